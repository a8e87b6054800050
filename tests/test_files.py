"""The ground floor: a damaged or hostile file is one line, no stranger's link is followed."""

import errno
import gzip
import io
import os
import pickle
import pty
import struct
import subprocess
import sys
import unittest.mock
import zipfile

import numpy as np
import pytest

from files import arrays, reading, writing
from files.errors import UserError, did_you_mean
from files.output import print_line
from files.project import ROOT, project_path, python_command, shown_path

pytestmark = pytest.mark.tf2


@pytest.mark.parametrize("activated", [True, False])
def test_python_is_called_by_its_path_unless_its_environment_is_activated(
        tmp_path, monkeypatch, activated):
    mine, other = tmp_path / "mine" / "python", tmp_path / "other" / "python"
    for python in (mine, other):  # both of the same installation, as environments are
        python.parent.mkdir()
        python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(mine))
    monkeypatch.setenv("PATH", str((mine if activated else other).parent))
    assert python_command() == ("python" if activated else shown_path(str(mine)))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert python_command() == shown_path(str(mine))


def test_what_the_terminal_cannot_show_is_a_question_mark(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="latin-1"))
    print_line("caf\xe9 \u2014 \udce9")
    assert shown.getvalue() == b"caf\xe9 ? ?\n"


def test_a_line_is_written_in_one_piece_as_several_threads_may_print(monkeypatch):
    stream = unittest.mock.Mock(closed=False, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    print_line("a line")
    written = [arguments[0] for _, arguments, _ in stream.write.mock_calls]
    assert list(filter(None, written)) == ["a line\n"]


@pytest.mark.parametrize("options", [[], ["-u"]])
def test_a_terminal_that_is_gone_stops_nothing(options):
    ours, terminal = pty.openpty()
    code = ("import sys; from files.errors import run_as_script; from files.output import *\n"
            "run_as_script(lambda: [sys.stdin.read(), print_line('a'), print_line('b')] and None)")
    process = subprocess.Popen([sys.executable] + options + ["-c", code], cwd=ROOT, stdout=terminal,
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(terminal)
    os.close(ours)
    assert process.communicate() == (None, b"") and process.returncode == 0


def test_a_pipe_that_nobody_reads_is_an_error(monkeypatch):
    stream = unittest.mock.Mock(closed=False, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    stream.write.side_effect = BrokenPipeError()
    with pytest.raises(BrokenPipeError):
        print_line("a line")


class Call(object):
    """Pickled as the call of a function, with what a pickle may do to its value afterwards."""

    def __init__(self, function, *arguments, state=None, items=()):
        self.function, self.arguments, self.state, self.items = function, arguments, state, items

    def __reduce__(self):
        return self.function, self.arguments, self.state, None, iter(self.items)


def number_type(code="i8"):
    """A dtype as numpy pickles it."""
    return np.dtype(code)


def fields(kind):
    """The state of a dtype with the one field a, of type `kind`."""
    return 3, "|", None, ("a",), {"a": (kind, 0)}, 8, 1, 63


def disguised():
    """The type of 8 plain bytes whose state claims that they are a pointer."""
    return Call(np.dtype, "V8", False, True, state=fields(np.dtype("O")))


def array(state):
    reconstruct, arguments = np.zeros(1).__reduce__()[:2]
    return Call(reconstruct, *arguments, state=state)


SCALAR = np.int64(1).__reduce__()[0]
NESTED = b"\x80\x02" + 200000 * b"]" + 199999 * b"a" + b"."
TUPLE_AS_KEY = b"\x80\x02}K\x01" + 400000 * b"\x85" + b"K\x01s."
LAUGHS = b"\x80\x02]q\x01" + b"".join(
    b"]q%c(" % n + 50 * (b"h%c" % (n - 1)) + b"e" for n in range(2, 12)) + b"."

HOSTILE = {
    "pointers in bytes": Call(np.ndarray, (1,), disguised(), b"A" * 8, items=[(0, "x")]),
    "pointers in an array's bytes": array((1, (1,), disguised(), False, b"A" * 8)),
    "pointers in a number's bytes": Call(SCALAR, disguised(), b"A" * 8),
    "an array called directly": Call(np.ndarray, (1,), np.dtype("O"), b"A" * 8),
    "a number type with fields": Call(np.dtype, "i8", False, True, state=fields(np.dtype("O"))),
    "a type of bytes": Call(np.dtype, "V8"),
    "a type of fields": Call(np.dtype, [("a", "O")]),
    "a type of texts": Call(np.dtype, "U4"),
    "an object out of bytes": Call(SCALAR, np.dtype("O"), b"A" * 8),
    "objects out of bytes": array((1, (1,), np.dtype("O"), False, b"A" * 8)),
    "a huge shape": array((1, (1 << 60,), number_type(), False, b"A" * 8)),
    "a negative shape": array((1, (-1,), number_type(), False, b"A" * 8)),
    "a shape of many": array((1, (1,) * 1000, number_type(), False, b"A" * 8)),
    "a shape of texts": array((1, ("1",), number_type(), False, b"A" * 8)),
    "objects of another number": array((1, (9,), np.dtype("O"), False, [1])),
    "numbers cut short": array((1, (1,), number_type(), False, b"A" * 7)),
    "a number cut short": Call(SCALAR, number_type(), b"A" * 4),
    "two numbers for one": Call(SCALAR, number_type(), b"A" * 16),
    "no type": Call(SCALAR, "i8", b"A" * 8),
    "a system call": Call(os.mkdir, "made by the pickle"),
    "a module": Call(__import__, "os"),
    "a function's own state": b"\x80\x02cnumpy\ndtype\n}U\x0c__defaults__K\x01sb.",
    "a container in itself": b"\x80\x02]q\x01h\x01a.",
    "a deep list": NESTED,
    "a deep key": TUPLE_AS_KEY,
    "a list that grows": LAUGHS,
    "a memory bomb": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a long text": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x0f.",
    "an unknown instruction": b"\x80\x02\xff.",
    "its end missing": b"\x80\x02]",
    "nothing": b"",
}


READ_ALL = """
import sys
from files import arrays, errors
for path in sys.argv[1:]:
    try:
        if path.endswith("npz"):
            print("READ", path, arrays.load_pickle(path, "x.npy"))
        else:
            print("READ", path, arrays.load_pickle(path))
    except errors.UserError as error:
        print(error)
"""


def run_python(code, *arguments):
    """Run `code` in a process of its own; give (exit status, stdout, stderr)."""
    command = [sys.executable, "-c", code] + [str(argument) for argument in arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def write_both(folder, name, content):
    """Write the same pickle as a music file and as the array x of an archive; give their paths."""
    plain, archive = folder / (name + ".pickle"), folder / (name + ".npz")
    plain.write_bytes(content)
    member = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(str(archive), "w") as file:
        file.writestr("x.npy", member.getvalue() + content)
    return [plain, archive]


def test_hostile_pickles_end_in_one_line_each(tmp_path):
    paths = []
    for name, hostile in HOSTILE.items():
        if isinstance(hostile, bytes):
            paths += write_both(tmp_path, name, hostile)
        else:
            paths += write_both(tmp_path, name, pickle.dumps([hostile], 2))
            paths += write_both(tmp_path, name + " 4", pickle.dumps(hostile, 4))[:1]
    status, output, errors = run_python(READ_ALL, *paths)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) == len(paths)
    for path, line in zip(paths, lines):
        assert line.startswith("%s cannot be read (" % path), line
        # A key as deep as this one overruns the C stack, which ends the reading process only.
        assert path.stem == "a deep key" or "ended with status" not in line
    assert not os.path.exists(os.path.join(ROOT, "made by the pickle"))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_what_data_files_hold_is_read_as_plain_values(tmp_path, protocol):
    number_types = ("bool", "i1", "u2", ">i4", "<i8", "u8", "f2", "f4", ">f8")
    numbers = [np.array([0, 1, 1], kind) for kind in number_types]
    reviews = np.empty(3, object)
    reviews[:] = [[1, 2], [3], []]
    value = {"train": [(1, 2), [np.int64(3)]], "numbers": [list(array) for array in numbers],
             "arrays": numbers, "reviews": reviews, "others": [None, True, 0.5, u"\xe4", 1 << 70]}
    path, archive = write_both(tmp_path, "value", pickle.dumps(value, protocol))
    expected = [[0, 1, 1]] * len(numbers)
    assert arrays.load_pickle(str(path)) == {
        "train": [[1, 2], [3]], "numbers": expected, "arrays": expected,
        "reviews": [[1, 2], [3], []], "others": [None, True, 0.5, u"\xe4", 1 << 70]}
    np.savez(str(archive), x=reviews, y=np.arange(3))
    assert arrays.load_pickle(str(archive), "x.npy") == [[1, 2], [3], []]
    with pytest.raises(UserError, match="it is no array of objects"):
        arrays.load_pickle(str(archive), "y.npy")


# --- Arrays ---

def with_header(text, version=1):
    """A .npy of one number with any text as its header."""
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + bytes(8)


def header(**changed):
    entries = dict({"descr": "<f8", "fortran_order": False, "shape": (1,)}, **changed)
    return with_header(repr(entries) + "\n")


DAMAGED_ARRAYS = {
    "texts": header(descr="<U2"),
    "bytes": header(descr="|V8"),
    "objects": header(descr="|O"),
    "fields": header(descr=[("a", "<i4"), ("b", "<f4")]),
    "times": header(descr="<M8[s]"),
    "a huge shape": header(shape=(1 << 60,)),
    "a shape that overflows": header(shape=(1 << 32, 1 << 32)),
    "a negative shape": header(shape=(-1,)),
    "two negative sizes": header(shape=(-1, -1)),
    "a shape of texts": header(shape=("1",)),
    "too many dimensions": header(shape=(1,) * 100),
    "a deep header": with_header("(" * 9000),
    "a deep sum": with_header("{'shape': (%s1,)}" % ("1+" * 300000), 2),
    "a long header": with_header("[" * 60000),
    "a header cut short": b"\x93NUMPY\x01\x00\xff\x0f{",
    "another version": b"\x93NUMPY\x09\x00" + bytes(80),
    "nothing": b"",
    "text": b"these are no numbers",
}
READ_ARRAYS = """
import sys
from files import arrays, errors
for path in sys.argv[1:]:
    try:
        print("READ", arrays.load_arrays(path) if path.endswith(".npz") else arrays.map_array(path))
    except errors.UserError as error:
        print(error)
"""


def test_damaged_arrays_end_in_one_line_each(tmp_path):
    paths = []
    for name, content in DAMAGED_ARRAYS.items():
        single, archive = tmp_path / (name + ".npy"), tmp_path / (name + ".npz")
        single.write_bytes(content)
        with zipfile.ZipFile(str(archive), "w") as file:
            file.writestr("x.npy", content)
        paths += [single, archive]
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(str(tmp_path / "pipe.npz"))
    paths += [tmp_path / "empty.npz", tmp_path / "folder.npz", tmp_path / "pipe.npz"]
    status, output, errors = run_python(READ_ARRAYS, *paths)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) == len(paths)
    for path, line in zip(paths, lines):
        assert line.startswith(("%s cannot be read (" % path, "%s is not a file" % path)), line


def test_texts_among_numbers_are_named_and_those_that_belong_there_are_read(tmp_path):
    path = str(tmp_path / "last.npz")
    arrays.save_arrays(path, progress="{}", weights=np.ones(2))
    assert arrays.load_arrays(path, texts=["progress"])["progress"] == "{}"
    with pytest.raises(UserError, match="progress holds <U2"):
        arrays.load_arrays(path)
    with pytest.raises(UserError, match="weights holds float64"):
        arrays.load_arrays(path, texts=["progress", "weights"])
    with pytest.raises(UserError, match="it has no biases"):
        arrays.load_arrays(path, ["biases"])


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path, packing):
    path = tmp_path / "bomb.npz"
    content = io.BytesIO()
    np.save(content, np.zeros(4000000))
    with zipfile.ZipFile(str(path), "w", packing) as file:
        file.writestr("x.npy", content.getvalue())
    assert path.stat().st_size * 200 < 32000000
    with pytest.raises(UserError, match="more than 100 times its size"):
        arrays.load_arrays(str(path))


# --- Reading ---

@pytest.mark.parametrize("content, reason", [
    (b"\xff\xfe", "UnicodeDecodeError"), (b"[" * 100000, "RecursionError"),
    (b"{", "JSONDecodeError"), (b"", "JSONDecodeError")])
def test_a_damaged_json_file_is_named(tmp_path, content, reason):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.json cannot be read .%s" % reason) as caught:
        reading.load_json(str(path))
    assert "\n" not in str(caught.value)


def test_a_packed_json_file_is_read(tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b'{"a": [1, 2]}'))
    assert reading.load_json(str(path)) == {"a": [1, 2]}


@pytest.mark.parametrize("error", [
    RecursionError(), MemoryError(), KeyError("train"), OSError(5, "bad"),
    ZeroDivisionError("two\nlines")])
def test_whatever_goes_wrong_while_a_file_is_taken_apart_names_it(tmp_path, error):
    path = tmp_path / "a"
    path.write_text("")
    with pytest.raises(UserError) as caught:
        with reading.reading(str(path)):
            raise error
    line = str(caught.value)
    assert line.startswith("%s cannot be read (%s" % (path, type(error).__name__))
    assert "\n" not in line


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    for path, problem in ((tmp_path, "is not a file"), ("/dev/zero", "is not a file"),
                          (tmp_path / "none", "is missing"), (tmp_path / "a" / "b", "is missing"),
                          (tmp_path / "dangling", "cannot be read (FileNotFoundError")):
        with pytest.raises(UserError) as caught:
            reading.load_bytes(str(path))
        assert str(caught.value).startswith("%s %s" % (path, problem))


# --- Writing and locks ---

def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path):
    target, link = tmp_path / "target", tmp_path / "settings.json"
    target.write_text("precious")
    link.symlink_to(target)
    writing.save_json(str(link), {"a": u"\xe4"})
    assert target.read_text() == "precious" and not link.is_symlink()
    assert reading.load_json(str(link)) == {"a": u"\xe4"}


def test_a_temporary_file_never_follows_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_temporary_name", lambda path: path + ".part")
    (tmp_path / "target").write_text("precious")
    (tmp_path / "a.part").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        writing.save_json(str(tmp_path / "a"), 1)
    assert (tmp_path / "target").read_text() == "precious" and not (tmp_path / "a").exists()


def test_a_lock_that_is_a_link_is_refused_and_its_target_is_whole(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(UserError, match="lock is a link, to .*target: remove it"):
        writing.lock_folder(str(tmp_path))
    assert (tmp_path / "target").read_text() == "precious"


def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "lock"))
    with pytest.raises(OSError):
        writing.lock_folder(str(tmp_path))


def test_a_folder_is_locked_for_one_process_at_a_time(tmp_path):
    with writing.lock_folder(str(tmp_path)):
        with pytest.raises(UserError, match="is in use by another process: wait for it or stop it"):
            writing.lock_folder(str(tmp_path))
        writing.lock_folder(str(tmp_path), "another lock").close()
    writing.lock_folder(str(tmp_path), wait=True).close()


@pytest.mark.parametrize("number", [
    errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EPERM, errno.EINVAL])
def test_a_file_system_without_locks_is_told_once_and_used(tmp_path, monkeypatch, capsys, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(writing.fcntl, "flock", refuse)
    for _ in range(2):
        writing.lock_folder(str(tmp_path)).close()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("warning: %s cannot be locked (%s)" % (tmp_path, os.strerror(number)))


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EACCES])
def test_a_lock_that_is_held_is_not_taken_for_one_that_cannot_be_had(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(writing.fcntl, "flock", refuse)
    with pytest.raises(UserError, match="in use"):
        writing.lock_folder(str(tmp_path))


# --- Names and paths ---

@pytest.mark.parametrize("name, meant", [
    ("JSB", "JSB Chorales"), ("nottingam", "Nottingham"), ("PENN", "penn"), ("xyz", None),
    ("", None)])
def test_did_you_mean(name, meant):
    names = ["JSB Chorales", "Nottingham", "penn", "pennchar"]
    assert did_you_mean(name, names) == (", did you mean %s?" % meant if meant else "")


def test_a_relative_path_begins_at_the_project_and_a_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert project_path("data") == os.path.join(ROOT, "data")
    assert project_path("./data/") == os.path.join(ROOT, "data")
    assert project_path("~/data") == "/home/me/data"
    assert project_path("/x/data") == "/x/data"
