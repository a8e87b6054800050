"""How scripts end: one line for what a user can mend, nothing for a reader that went away."""

import subprocess
import sys

import pytest

from files.errors import UserError, run_as_script


def test_a_user_error_is_one_line_and_status_2(capsys):
    def main():
        raise UserError("two\nlines")
    with pytest.raises(SystemExit) as ended:
        run_as_script(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: two lines\n"


@pytest.mark.parametrize("unbuffered", [["-u"], []])
@pytest.mark.parametrize("main", ["lambda: print('line\\n' * 100000)", "lambda: print('line') or sys.exit(0)"])
def test_a_reader_that_goes_away_ends_a_script_quietly(unbuffered, main):
    code = "import sys; sys.stdin.read(1); from files.errors import run_as_script; run_as_script(%s)" % main
    process = subprocess.Popen([sys.executable] + unbuffered + ["-c", code], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    _, errors = process.communicate(b"x")
    assert (process.returncode, errors) == (141, b"")
