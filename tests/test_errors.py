"""How scripts end: one line for what a user can fix, nothing for a reader that went away."""

import contextlib
import errno
import io
import json
import os
import pty
import subprocess
import sys
import types

import pytest

from files.errors import UserError, run_as_script
from files.output import print_error
from files.project import ROOT
from training.run_folder import RunFolder

pytestmark = pytest.mark.tf2


def test_a_user_error_is_one_line_and_status_2(capsys):
    def main():
        raise UserError("two\nlines")
    with pytest.raises(SystemExit) as ended:
        run_as_script(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: two lines\n"


@pytest.mark.parametrize("unbuffered", [["-u"], []])
@pytest.mark.parametrize("main", ["lambda: print('line\\n' * 100000)",
                                  "lambda: print('line') or sys.exit(0)"])
def test_a_reader_that_goes_away_ends_a_script_quietly(unbuffered, main):
    code = ("import sys; sys.stdin.read(1); from files.errors import run_as_script; "
            "run_as_script(%s)" % main)
    pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
    process = subprocess.Popen([sys.executable] + unbuffered + ["-c", code], cwd=ROOT, **pipes)
    process.stdout.close()
    _, errors = process.communicate(b"x")
    assert (process.returncode, errors) == (141, b"")


CLOSED = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]
USE_STREAMS = """
import os, sys
from files.errors import UserError, run_as_script
from files.output import print_error, print_line
from files.progress import ProgressLine

class Run(object):
    log = staticmethod(print_line)

def main():
    with open(sys.argv[1], "w") as file:  # would take the number of a closed stream
        os.write(1, b"from a library"), os.write(2, b"from a library")
        print("a line", flush=True), print_line("a line"), print_error("a line")
        with ProgressLine(Run(), "epoch 1", 10, 0) as line:
            line.update(5, loss=1.0)
        file.write("the content")
    %s

run_as_script(main)
"""


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("end, status", [
    ("return 0", 0), ("raise UserError('wrong')", 2), ("raise KeyboardInterrupt", 130),
    ("os.kill(os.getpid(), 15)", 130)])
def test_closed_streams_are_no_matter_and_no_file_takes_their_place(tmp_path, closed, end, status):
    command = '"$0" -c "$1" "$2" %s' % closed
    path = tmp_path / "file"
    done = subprocess.run(["bash", "-c", command, sys.executable, USE_STREAMS % end, str(path)],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == status
    assert path.read_text() == "the content"
    assert b"Traceback" not in done.stdout + done.stderr


def test_a_training_goes_to_its_end_with_closed_streams(tmp_path):
    command = ('"$0" -u mm_main.py --data_set_name "Bach Chorales" --epochs 1'
               ' --number_of_parameters 60000 --runs_folder "$1" --name closed <&- >&- 2>&-')
    status = subprocess.call(["bash", "-c", command, sys.executable, str(tmp_path)], cwd=ROOT)
    run = tmp_path / "music" / "Bach Chorales" / "RRU" / "closed"
    assert status == 0 and (run / "results.json").exists()
    assert "epoch 1" in (run / "log.txt").read_text()
    for path in run.rglob("*"):  # nothing that was meant for a stream is in a file
        assert path.suffix != ".json" or json.loads(path.read_text())


def test_a_full_disk_under_what_is_printed_is_one_line_first():
    code = "from files.errors import run_as_script; run_as_script(lambda: print('line'))"
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=full,
                              stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode and done.stderr.startswith("error: ")
    assert "No space left" in done.stderr.splitlines()[0] and "Traceback" not in done.stderr


def test_errors_are_dropped_and_logged_lines_kept_when_the_terminal_is_gone(monkeypatch):
    ours, terminal = pty.openpty()
    os.close(ours)
    with open(terminal, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        monkeypatch.setattr(sys, "stderr", gone)
        print_error("nobody sees it")
        run = types.SimpleNamespace(_log_file=io.StringIO())
        RunFolder.log(run, "interrupted")
        assert run._log_file.getvalue().endswith("  interrupted\n")
        with contextlib.suppress(OSError):
            gone.close()


def test_an_error_of_the_disk_that_nobody_foresaw_is_one_line(capsys):
    def main():
        raise PermissionError(errno.EPERM, "Operation not permitted", "/data/immutable")
    with pytest.raises(SystemExit) as caught:
        run_as_script(main)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "/data/immutable" in message and "fixed" in message

    def no_error_of_the_disk():
        raise OSError(errno.EBADF, "Bad file descriptor")
    with pytest.raises(OSError):
        run_as_script(no_error_of_the_disk)


def test_an_error_cannot_command_the_terminal(capsys):
    def main():
        raise UserError("a file says \x1b[2J\x07\x9b1m\u202e")
    with pytest.raises(SystemExit):
        run_as_script(main)
    assert capsys.readouterr().err == "error: a file says [2J 1m\n"
