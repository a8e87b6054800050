"""get_data.sh and its tools, against a local HTTP server with small made-up files."""

import contextlib
import errno
import hashlib
import http.server
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import zipfile

import pytest

from tools import download, get_data
from tools.download import MIRROR_RECORD
from data_preparation.sources import DOWNLOADS, Download, File
from files.errors import UserError, run_as_script

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MUSIC = bytes(range(256)) * 1000
WORDS = {"a.txt": b"the cat sat\n" * 500, "b.txt": b"on the mat\n" * 300}
WIKI = b"<page>text</page>" * 4000


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def tgz(contents, prefix="./simple/data/", extra=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        members = [(prefix + name, content) for name, content in contents.items()]
        for name, content in members + list(extra):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../outside", b"never to be written")
        archive.writestr(name, content)
    return buffer.getvalue()


class Server(object):
    """Serves `files` (path -> bytes) and notes what was asked for.

    `stop_after` (path -> [bytes, times]) breaks the connection there; a path in `hold` pauses in
    the middle until `go_on` is set; one in `no_range` ignores Range; `raw` has whole answers,
    header and all.
    """

    def __init__(self):
        self.files, self.stop_after, self.hold, self.no_range = {}, {}, set(), set()
        self.requests, self.go_on, self.raw = [], threading.Event(), {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with contextlib.suppress(ConnectionError):  # a client may leave in the middle
                    outer.answer(self)

            def log_message(self, *arguments):
                """Keep the test output quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        serve = threading.Thread(target=self._server.serve_forever, daemon=True,
                                 kwargs={"poll_interval": 0.01})
        serve.start()
        self.url = "http://127.0.0.1:%d" % self._server.server_port

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        path = urllib.parse.unquote(handler.path)
        self.requests.append((path, wanted))
        if path in self.raw:
            handler.close_connection = True
            return handler.wfile.write(self.raw[path])
        if path not in self.files:
            return handler.send_error(404)
        content, start = self.files[path], 0
        if wanted and path not in self.no_range:
            start = int(wanted[len("bytes="):-1])
            if start >= len(content):
                return handler.send_error(416)
            handler.send_response(206)
            sent = "bytes %d-%d/%d" % (start, len(content) - 1, len(content))
            handler.send_header("Content-Range", sent)
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        stop = len(content)
        if self.stop_after.get(path, [0, 0])[1]:
            self.stop_after[path][1] -= 1
            stop = max(self.stop_after[path][0], start)
        if path in self.hold:
            middle = (start + stop) // 2
            handler.wfile.write(content[start:middle])
            handler.wfile.flush()
            self.go_on.wait(30)
            start = middle
        handler.wfile.write(content[start:stop])

    def asked(self, path):
        """The Range header (None if there was none) of each request for `path`."""
        return [wanted for requested, wanted in self.requests if requested == path]

    def close(self):
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def downloads(server):
    """A file with a blank in its name, a tar archive for two sets and a zip; at /one and /two."""
    others = [("../../outside", b"x"), ("simple/data/c.txt", b"y")]
    for source in ("/one/", "/two/"):
        server.files[source + "Old Songs.pickle"] = MUSIC
        server.files[source + "simple.tgz"] = tgz(WORDS, extra=others)
        server.files[source + "wiki.zip"] = zipped("wiki", WIKI)

    def urls(name):
        name = urllib.parse.quote(name)
        return tuple("%s/%s/%s" % (server.url, source, name) for source in ("one", "two"))

    def file(name, content, member=None):
        checksum = hashlib.md5(content).hexdigest() if member else sha256(content)
        return File(name, checksum, len(content), member)

    return (
        Download("Old Songs.pickle", ("Old Songs",), "mm", urls("Old Songs.pickle"),
                 (file("Old Songs.pickle", MUSIC),)),
        Download("simple.tgz", ("words", "characters"), "lm", urls("simple.tgz"),
                 tuple(file(name, content, "simple/data/" + name)
                       for name, content in sorted(WORDS.items()))),
        Download("wiki.zip", ("wiki",), "lm", urls("wiki.zip"), (file("wiki", WIKI, "wiki"),)),
    )


@pytest.fixture
def run(downloads, tmp_path, monkeypatch, capsys):
    """run(*options, mirror=None) -> (exit status, output). The data folder is tmp_path/data."""
    monkeypatch.setattr(get_data, "PAUSE", 0)
    monkeypatch.setenv("no_proxy", "*")

    def run(*options, **others):
        monkeypatch.setenv("RRU_DATA_MIRROR", str(others.get("mirror", "")))
        words = list(options) + ["--data_folder", str(tmp_path / "data")]
        with pytest.raises(SystemExit) as ended:
            run_as_script(lambda: get_data.main(words, downloads))
        captured = capsys.readouterr()
        return ended.value.code, captured.out + captured.err

    return run


def contents(folder):
    """Relative path -> bytes of all files under data/, but for the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".get_data.lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


EVERYTHING = {"mm/unchanged/Old Songs.pickle": MUSIC, "lm/unchanged/a.txt": WORDS["a.txt"],
              "lm/unchanged/b.txt": WORDS["b.txt"], "lm/unchanged/wiki": WIKI}
SONGS = "mm/unchanged/Old Songs.pickle"


def make_mirror(folder, files, vouched=True):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if vouched:
        lines = ["%s  %s\n" % (sha256(content), name) for name, content in files.items()]
        (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


def test_fetches_everything_and_a_second_run_fetches_nothing(run, server, tmp_path):
    status, output = run()
    assert status == 0, output
    assert contents(tmp_path / "data") == EVERYTHING  # no archive, no temporary file, nothing else
    assert not (tmp_path / "outside").exists()
    assert all((tmp_path / "data" / task / "ready").is_dir() for task in ("mm", "lm"))
    assert "\r" not in output
    del server.requests[:]
    status, output = run()
    assert (status, server.requests) == (0, [])
    assert output.count(" right\n") == 4


def test_progress_is_shown_on_a_terminal_only(run, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    status, output = run("--only", "wiki")
    assert status == 0
    assert "\r" in output and "(100 %)" in output


def test_only_takes_the_named_sets_whatever_their_case(run, tmp_path):
    assert run("--only", "old songs", "WORDS")[0] == 0
    assert set(contents(tmp_path / "data")) == set(EVERYTHING) - {"lm/unchanged/wiki"}


@pytest.mark.parametrize("options, named", [
    (["--only", "wiki", "enwik9"], "enwik9"), (["--nosuch"], "--nosuch"), (["--only"], "--only")])
def test_wrong_options_end_in_one_line_and_status_2(run, server, options, named):
    status, output = run(*options)
    assert status == 2 and named in output
    assert output.startswith("error: ") and output.count("\n") == 1
    assert server.requests == []


def test_force_fetches_again_and_keeps_the_old_file_when_that_fails(run, server, tmp_path):
    run()
    del server.requests[:]
    assert run("--force", "--only", "Old Songs")[0] == 0
    assert server.asked("/one/Old Songs.pickle") == [None]
    server.files.clear()
    status, output = run("--force", "--only", "Old Songs")
    assert status == 1 and "HTTP 404" in output
    assert contents(tmp_path / "data")[SONGS] == MUSIC


def test_a_missing_file_at_the_first_address_comes_from_the_second(run, server, tmp_path):
    del server.files["/one/Old Songs.pickle"]
    assert run()[0] == 0
    assert server.asked("/two/Old Songs.pickle") == [None]
    assert contents(tmp_path / "data") == EVERYTHING


@pytest.mark.parametrize("wrong", [b"<html>log in first</html>", MUSIC[:-1] + b"?"])
def test_a_wrong_file_is_never_put_in_place(run, server, tmp_path, wrong):
    server.files["/one/Old Songs.pickle"] = wrong
    assert run()[0] == 0
    assert contents(tmp_path / "data") == EVERYTHING
    server.files["/two/Old Songs.pickle"] = wrong
    (tmp_path / "data" / SONGS).write_bytes(b"an old and damaged copy")
    status, output = run()
    assert status == 1
    assert "WRONG" in output and "Not fetched" in output and server.url + "/two/" in output
    assert dict(contents(tmp_path / "data"), **{SONGS: MUSIC}) == EVERYTHING


@pytest.mark.parametrize("archive, wrong", [
    ("wiki.zip", zipped("wiki", WIKI)[:200]), ("wiki.zip", zipped("other", WIKI)),
    ("wiki.zip", zipped("wiki", WIKI + b"x")), ("simple.tgz", tgz(WORDS)[:-20]),
    ("simple.tgz", tgz({"a.txt": WORDS["a.txt"]})), ("simple.tgz", b"not an archive")])
def test_damaged_archives_leave_nothing_behind(run, server, tmp_path, archive, wrong):
    server.files["/one/" + archive] = server.files["/two/" + archive] = wrong
    status, output = run()
    assert status == 1, output
    expected = {name: content for name, content in EVERYTHING.items()
                if name.endswith("wiki") != (archive == "wiki.zip") or name == SONGS}
    assert contents(tmp_path / "data") == expected


def test_a_link_in_an_archive_is_not_followed(run, server, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in WORDS:
            info = tarfile.TarInfo("simple/data/" + name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(info)
    server.files["/one/simple.tgz"] = buffer.getvalue()
    assert run()[0] == 0
    assert contents(tmp_path / "data") == EVERYTHING


def test_members_that_are_right_are_not_fetched_again_and_a_lost_one_is(run, server, tmp_path):
    run()
    del server.requests[:]
    (tmp_path / "data" / "lm" / "unchanged" / "b.txt").unlink()
    assert run()[0] == 0
    assert server.requests == [("/one/simple.tgz", None)]
    assert contents(tmp_path / "data") == EVERYTHING


def test_a_broken_connection_is_taken_up_where_it_broke(run, server, tmp_path):
    server.stop_after["/one/Old Songs.pickle"] = [100000, 1]
    status, output = run("--only", "Old Songs")
    assert status == 0 and "broke off after 100,000 of 256,000 bytes" in output
    assert server.asked("/one/Old Songs.pickle") == [None, "bytes=100000-"]
    assert contents(tmp_path / "data")[SONGS] == MUSIC


def test_a_truncated_file_is_given_up_then_finished_from_the_next_address(run, server, tmp_path):
    server.stop_after["/one/Old Songs.pickle"] = [100000, 100]
    assert run("--only", "Old Songs")[0] == 0
    assert len(server.asked("/one/Old Songs.pickle")) == get_data.TRIES
    assert server.asked("/two/Old Songs.pickle") == ["bytes=100000-"]
    assert contents(tmp_path / "data") == {SONGS: MUSIC}


@pytest.mark.parametrize("held", [b"something else", MUSIC[:500], MUSIC, MUSIC + b"more"])
@pytest.mark.parametrize("ranges", [True, False])
def test_any_half_fetched_file_ends_well(run, server, tmp_path, held, ranges):
    if not ranges:
        server.no_range.add("/one/Old Songs.pickle")
    (tmp_path / "data" / "mm" / "unchanged").mkdir(parents=True)
    (tmp_path / "data" / (SONGS + ".part")).write_bytes(held)
    status, output = run("--only", "Old Songs")
    assert status == 0, output
    assert contents(tmp_path / "data") == {SONGS: MUSIC}
    assert server.asked("/two/Old Songs.pickle") == []
    assert server.asked("/one/Old Songs.pickle")[0] == "bytes=%d-" % len(held)


def test_a_page_in_place_of_the_file_does_not_cost_what_is_there(run, server, tmp_path):
    server.files["/one/Old Songs.pickle"] = b"<html>this domain is for sale</html>"
    (tmp_path / "data" / "mm" / "unchanged").mkdir(parents=True)
    (tmp_path / "data" / (SONGS + ".part")).write_bytes(MUSIC[:200000])
    server.no_range.add("/one/Old Songs.pickle")
    status, output = run("--only", "Old Songs")
    assert status == 0 and "no: it has 36 bytes, fewer than are here already" in output
    assert server.asked("/two/Old Songs.pickle") == ["bytes=200000-"]
    assert contents(tmp_path / "data") == {SONGS: MUSIC}


def test_a_full_disk_in_unpacking_does_not_cost_the_archive(run, server, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(download, "_copy", full_disk)
        status, output = run("--only", "words")
    assert status == 1 and "simple.tgz: No space left on device" in output.replace("[Errno 28] ", "")
    assert list(contents(tmp_path / "data")) == ["lm/unchanged/simple.tgz.part"]
    del server.requests[:]
    assert run("--only", "words")[0] == 0
    whole = len(server.files["/one/simple.tgz"])
    assert server.requests == [("/one/simple.tgz", "bytes=%d-" % whole)]


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_unreachable_host_is_tried_once(run, downloads, tmp_path, monkeypatch, capsys):
    with socket.socket() as listener:  # nothing listens at its port afterwards
        listener.bind(("127.0.0.1", 0))
        closed = "http://127.0.0.1:%d/" % listener.getsockname()[1]
    dead = [download._replace(urls=(closed + "x",)) for download in downloads]
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("RRU_DATA_MIRROR", raising=False)
    assert get_data.main(["--data_folder", str(tmp_path / "data")], dead) == 1
    output = capsys.readouterr().out
    assert output.count("no: [Errno") == 1
    assert output.count("no: its host could not be reached before") == 2
    reason = ", because of\n    %sx: its host could not be reached before\n" % closed
    assert output.count(", because of\n") == 2 and "  a.txt, b.txt, wiki" + reason in output


@pytest.mark.parametrize("kind", ["folder", "file address", "http address"])
def test_a_mirror_is_tried_first_and_the_rest_comes_from_the_addresses(run, server, tmp_path, kind):
    mirror = make_mirror(tmp_path / "my mirror", {"Old Songs.pickle": MUSIC})
    server.files.update({"/my mirror/" + path.name: path.read_bytes() for path in mirror.iterdir()})
    address = {"folder": mirror, "file address": "file://%s" % mirror,
               "http address": server.url + "/my mirror"}[kind]
    status, output = run(mirror=address)
    assert status == 0, output
    assert server.asked("/one/Old Songs.pickle") == [] and server.asked("/one/wiki.zip") == [None]
    assert "mirror's word" not in output  # it has the published checksum
    assert contents(tmp_path / "data") == EVERYTHING


def test_what_only_the_mirror_vouches_for_is_taken_reported_and_kept(run, server, tmp_path):
    prefix = zipped("wiki", WIKI[:5000])
    mirror = make_mirror(tmp_path / "mirror", {"Old Songs.pickle": b"repacked", "wiki.zip": prefix})
    status, output = run(mirror=mirror)
    assert status == 0
    prefix_only = "taken on the mirror's word: only a prefix, 7.35 %: 5,000 bytes instead of 68,000"
    assert prefix_only in output
    assert "taken on the mirror's word: 8 bytes instead of 256,000" in output
    assert output.count("taken on the mirror's word") == 2
    del server.requests[:]
    status, output = run()
    assert (status, server.requests) == (0, [])
    assert "wiki.zip: there already, %s\n" % prefix_only in output
    assert output.count("taken on the mirror's word") == 4
    record = json.loads((tmp_path / "data" / "lm" / "unchanged" / MIRROR_RECORD).read_text())
    assert record == {"wiki": sha256(WIKI[:5000])}
    (tmp_path / "data" / "lm" / "unchanged" / "wiki").write_bytes(WIKI[:4999])  # damaged later on
    assert run()[0] == 0
    assert contents(tmp_path / "data")["lm/unchanged/wiki"] == WIKI


@pytest.mark.parametrize("sums", [None, "0" * 64 + "  Old Songs.pickle\n", "rubbish\n\n"])
def test_what_nobody_vouches_for_is_not_taken_from_a_mirror(run, server, tmp_path, sums):
    mirror = make_mirror(tmp_path / "mirror", {"Old Songs.pickle": b"repacked"}, vouched=False)
    if sums:
        (mirror / "SHA256SUMS").write_text(sums)
    assert run("--only", "Old Songs", mirror=mirror)[0] == 0
    assert contents(tmp_path / "data") == {SONGS: MUSIC}


def test_a_mirrors_word_does_not_cover_the_other_addresses(run, server, tmp_path):
    mirror = make_mirror(tmp_path / "mirror", {"Old Songs.pickle": b"repacked"})
    (mirror / "Old Songs.pickle").unlink()
    server.files["/one/Old Songs.pickle"] = b"repacked"
    assert run("--only", "Old Songs", mirror=mirror)[0] == 0
    assert contents(tmp_path / "data") == {SONGS: MUSIC}


def test_output_that_nobody_reads_ends_it_quietly(downloads, tmp_path):
    process = start(downloads, tmp_path / "data", stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 141


@pytest.mark.parametrize("mirror", [
    "/no/such/folder", "ftp://host/data", "http://[bad", "http://a..b/data"])
def test_an_unusable_mirror_is_named(run, mirror):
    status, output = run(mirror=mirror)
    assert status == 2 and mirror in output and output.count("\n") == 1


def test_an_unusable_data_folder_is_named(run, tmp_path):
    (tmp_path / "data").write_text("a file")
    status, output = run()
    assert status == 2 and str(tmp_path / "data") in output and output.count("\n") == 1


def start(downloads, folder, **streams):
    """get_data's main() as a process of its own, with the downloads of these tests."""
    code = ("import sys; sys.path.insert(0, %r); from tools import get_data; "
            "from data_preparation.sources import Download, File; "
            "get_data.run_as_script(lambda: get_data.main(['--data_folder', %r], %r))" % (
                ROOT, str(folder), downloads))
    environment = dict(os.environ, RRU_DATA_MIRROR="", no_proxy="*")
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment,
                            universal_newlines=True, **streams)


def wait_until(condition):
    deadline = time.time() + 30
    while not condition():
        assert time.time() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_killed_download_continues_where_it_was(run, server, downloads, tmp_path):
    server.hold.add("/one/Old Songs.pickle")
    part = tmp_path / "data" / (SONGS + ".part")
    process = start(downloads, tmp_path / "data")
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "data" / SONGS).exists()
    held = part.stat().st_size
    assert 0 < held < len(MUSIC)
    server.hold.clear()
    status, output = run()
    assert status == 0, output
    assert "continuing after {:,} bytes".format(held) in output
    assert server.asked("/one/Old Songs.pickle") == [None, "bytes=%d-" % held]
    assert contents(tmp_path / "data") == EVERYTHING


def test_of_two_runs_at_once_the_second_waits(server, downloads, tmp_path):
    server.hold.add("/one/Old Songs.pickle")
    first = start(downloads, tmp_path / "data")
    wait_until(lambda: server.requests)
    second = start(downloads, tmp_path / "data")
    assert "waiting" in second.stdout.readline()
    server.go_on.set()
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert outputs[1].count(": there already") == 3
    assert sorted(server.requests) == [("/one/" + download.name, None) for download in downloads]
    assert contents(tmp_path / "data") == EVERYTHING


# --- Servers and archives that mean ill ---

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LONG_LABEL = b"http://%s.example/" % (b"a" * 70)
NONSENSE = {
    "a length in letters": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nwrong",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nwrong",
    "a length of many digits": OK + b"Content-Length: %s\r\n\r\nwrong" % (b"9" * 6000),
    "a redirect to half an address": b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
    "a redirect to no host": b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % LONG_LABEL,
    "a redirect to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\n\r\n",
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\n\r\n",
    "a redirect to a wrong port": b"HTTP/1.1 302 Found\r\nLocation: http://h:99999999/\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nwrong\r\n0\r\n\r\n",
    "a chunk in letters": CHUNKED + b"xyz\r\nwrong",
    "a status in letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "no status": b"\x00\x01\x02\x1b[2J\r\n\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"x" * 100000),
    "control characters": b"HTTP/1.1 404 \x1b[2J\x07gone\x9b1m\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("answer", sorted(NONSENSE))
def test_nonsense_from_one_server_leaves_the_others(run, server, tmp_path, answer):
    server.raw["/one/Old Songs.pickle"] = NONSENSE[answer]
    status, output = run()
    assert status == 0, output
    assert contents(tmp_path / "data") == EVERYTHING
    assert "  no: " in output and "Traceback" not in output
    assert all(sign == "\n" or sign.isprintable() for sign in output)


def test_a_mirrors_nonsense_instead_of_checksums_is_told(run, server, tmp_path):
    for answer in list(NONSENSE.values()) + [b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (2 << 20)]:
        server.raw["/mirror/SHA256SUMS"] = answer
        status, output = run("--only", "wiki", mirror=server.url + "/mirror")
        assert status == 0, output
    assert "SHA256SUMS cannot be read (it is longer than 1,048,576 bytes)" in output


@pytest.mark.parametrize("length", [b"", b"Content-Length: 25600000\r\n"])
def test_more_than_the_published_size_is_not_written(run, server, tmp_path, monkeypatch, length):
    answer = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + MUSIC * 100
    server.raw["/one/Old Songs.pickle"] = server.raw["/two/Old Songs.pickle"] = answer
    written = []
    true_fetch = get_data.fetch

    def fetch(url, part, *others):
        try:
            true_fetch(url, part, *others)
        finally:
            written.append(os.path.getsize(part))

    monkeypatch.setattr(get_data, "fetch", fetch)
    status, output = run("--only", "Old Songs")
    assert status == 1 and output.count("no: it is longer than the 256,000 bytes") == 2
    assert max(written) <= len(MUSIC) and contents(tmp_path / "data") == {}


def test_a_member_is_unpacked_to_its_published_size_and_no_further(run, server, tmp_path):
    for source in ("/one/", "/two/"):
        server.files[source + "wiki.zip"] = zipped("wiki", bytes(20000000))
        server.files[source + "simple.tgz"] = tgz(dict(WORDS, **{"a.txt": bytes(20000000)}))
    status, output = run()
    assert status == 1
    assert "wiki: it unpacks to more than 68000 bytes" in output
    assert "a.txt: it unpacks to more than 6000 bytes" in output
    assert contents(tmp_path / "data") == {SONGS: MUSIC}


@pytest.mark.parametrize("extra, problem", [
    ([("other", bytes(40000000))], "it unpacks to far more than it should"),
    ([("x" * 30000000, b"")], "its records are too long")])
def test_an_archive_that_unpacks_to_far_more_is_left_early(run, server, tmp_path, extra, problem):
    server.files["/one/simple.tgz"] = tgz(WORDS, extra=extra + [("last", b"")])
    status, output = run("--only", "words")
    assert status == 0 and "no: " + problem in output


def linked(kind):
    """An archive with a link in place of the folder of its files, or of one of its files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("simple/data" if kind == "folder" else "simple/data/a.txt")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(info)
        for name in WORDS:
            info = tarfile.TarInfo("simple/data/" + name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    return buffer.getvalue()


@pytest.mark.parametrize("archive, problem", [
    (linked("folder"), "no: simple/data in it is a link"),
    (linked("file"), "a.txt in it is a link"),
    (tgz({name: b"x" for name in WORDS}), "1 bytes instead of")])
def test_a_mirrors_word_does_not_cover_links_and_other_files(run, tmp_path, archive, problem):
    mirror = make_mirror(tmp_path / "mirror", {"simple.tgz": archive})
    status, output = run("--only", "words", mirror=mirror)
    assert status == 0 and problem in output
    assert set(contents(tmp_path / "data").values()) == set(WORDS.values())


def test_a_link_in_place_of_a_temporary_file_is_not_written_through(run, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "data" / "mm" / "unchanged").mkdir(parents=True)
    (tmp_path / "data" / (SONGS + ".part")).symlink_to(tmp_path / "precious")
    status, output = run("--only", "Old Songs")
    assert status == 1 and "Old Songs.pickle.part is a link" in output
    assert (tmp_path / "precious").read_text() == "precious"


# --- Files of the user's own, names and paths ---

@pytest.mark.parametrize("options", [[], ["--force"]])
def test_a_file_of_ones_own_under_a_published_name_is_kept(run, tmp_path, options):
    folder = tmp_path / "data" / "lm" / "unchanged"
    folder.mkdir(parents=True)
    (folder / "wiki").write_text("a text of my own")
    status, output = run("--only", "wiki", *options)
    kept = "kept the other file of this name that was there: %s" % (folder / "wiki.other-1")
    assert status == 0 and kept in output
    assert (folder / "wiki").read_bytes() == WIKI
    assert (folder / "wiki.other-1").read_text() == "a text of my own"
    run("--only", "wiki", "--force")
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("names, sets", [
    (["SequentialMNIST", "penn-standard"], ["MNIST", "penn"]), (["p-mnist"], ["MNIST"]),
    (["jsb chorales"], ["JSB Chorales"])])
def test_the_names_of_the_scripts_are_known(names, sets):
    assert get_data._parser(DOWNLOADS).parse_args(["--only"] + names).only == sets


@pytest.mark.parametrize("name, told", [
    ("JSB", "did you mean JSB Chorales?"), ("nottingam", "did you mean Nottingham?"),
    ("Bach Chorales", "needs no download"), ("SequentialDigits", "needs no download"),
    ("rubbish", "MuseData"), ("rubbish", "P-MNIST")])
def test_a_wrong_name_is_told_what_is_meant(capsys, name, told):
    with pytest.raises(SystemExit) as ended:
        run_as_script(lambda: get_data.main(["--only", name]))
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and repr(name)[1:-1] in line and told in line


def test_a_lock_that_is_a_link_is_named_and_not_waited_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RRU_DATA_MIRROR", "")
    os.symlink(str(tmp_path / "target"), str(tmp_path / ".get_data.lock"))
    with pytest.raises(UserError, match="is a link"):
        get_data.main(["--data_folder", str(tmp_path)], ())
    assert capsys.readouterr().out == ""


def test_a_data_folder_may_be_in_the_home_and_a_relative_one_is_the_projects(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RRU_DATA_MIRROR", "")
    assert get_data.main(["--data_folder", "~/my data"], ()) == 0
    assert (tmp_path / "my data").is_dir()
    folders = []
    monkeypatch.setattr(get_data.os, "makedirs", lambda folder, exist_ok: folders.append(folder))
    monkeypatch.setattr(get_data, "lock_folder", lambda *_: open(os.devnull))
    monkeypatch.chdir(tmp_path)
    for name in ("data", "./other"):
        assert get_data.main(["--data_folder", name], ()) == 0
    assert folders == [os.path.join(ROOT, "data"), os.path.join(ROOT, "other")]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_matter(downloads, tmp_path, closed):
    code = ("import sys; sys.path.insert(0, %r); from tools import get_data; "
            "from data_preparation.sources import Download, File; "
            "get_data.run_as_script(lambda: get_data.main(['--data_folder', %r], %r))" % (
                ROOT, str(tmp_path / "data"), downloads))
    environment = dict(os.environ, RRU_DATA_MIRROR="", no_proxy="*")
    command = ["bash", "-c", '"$0" -c "$1" ' + closed, sys.executable, code]
    status = subprocess.call(command, env=environment)
    assert status == 0 and contents(tmp_path / "data") == EVERYTHING


def launch(script, *options, **environment):
    environment = {name: str(value) for name, value in environment.items()}
    folder = environment.pop("folder", "/")
    command = ["/bin/bash", str(script)] + [str(option) for option in options]
    return subprocess.run(command, cwd=folder, timeout=60, env=dict(os.environ, **environment),
                          universal_newlines=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_script_runs_from_any_folder_with_the_users_mirror(tmp_path):
    mirror = make_mirror(tmp_path / "mirror",
                         {"JSB Chorales.pickle": b"tiny", "enwik8.zip": zipped("enwik8", b"wiki")})
    options = ["--only", "JSB Chorales", "enwik8", "--data_folder", tmp_path / "data"]
    result = launch(os.path.join(ROOT, "get_data.sh"), *options, folder=tmp_path,
                    RRU_DATA_MIRROR="mirror", PYTHON="/bin/false")
    assert result.returncode == 0, result.stderr
    files = contents(tmp_path / "data")
    assert files["mm/unchanged/JSB Chorales.pickle"] == b"tiny"
    assert files["lm/unchanged/enwik8"] == b"wiki"
    told = "taken on the mirror's word: only a prefix, 4e-06 %: 4 bytes instead of 100,000,000"
    assert told in result.stdout
    assert mirror.joinpath("enwik8.zip").exists()


def test_the_script_explains_itself_and_names_a_wrong_set(tmp_path):
    here = os.path.basename(ROOT)
    result = launch(os.path.join(here, "get_data.sh"), "--help", folder=os.path.dirname(ROOT),
                    CDPATH=".:/tmp")
    assert result.returncode == 0
    assert "RRU_DATA_MIRROR" in result.stdout and "Piano-midi.de" in " ".join(result.stdout.split())
    result = launch(os.path.join(ROOT, "get_data.sh"), "--only", "enwik9",
                    "--data_folder", tmp_path / "data")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "enwik9" in result.stderr and "JSB Chorales" in result.stderr


def test_the_script_says_what_to_install_when_there_is_no_python(tmp_path):
    script = tmp_path / "get_data.sh"
    with open(os.path.join(ROOT, "get_data.sh")) as original:
        script.write_text(original.read())
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "dirname").symlink_to("/usr/bin/dirname")
    result = launch(script, PATH=tools, HOME=tmp_path, PYENV_ROOT=tmp_path, PYTHON="")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "install python3" in result.stderr


def test_files_and_hosts_are_the_published_ones():
    checksums = {file.name: file.checksum for download in DOWNLOADS for file in download.files}
    assert checksums["enwik8"] == "a1fa5ffddb56f4953e226637dabbb36a"
    assert checksums["text8"] == "3bea1919949baf155f99411df5fada7e"
    imdb = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
    assert checksums["imdb.npz"] == imdb
    original = {"mm": "http://www-etud.iro.umontreal.ca/~boulanni/",
                "sa": "https://storage.googleapis.com/", "mnist": "https://storage.googleapis.com/"}
    for download in DOWNLOADS:
        is_zip = download.name.endswith(".zip")
        texts = "http://mattmahoney.net/dc/" if is_zip else "http://www.fit.vutbr.cz/~imikolov/"
        assert download.urls[0].startswith(original.get(download.task, texts))
        assert urllib.parse.unquote(download.urls[0]).endswith("/" + download.name)


def test_the_table_of_sources_is_whole():
    sets = {name for download in DOWNLOADS for name in download.sets}
    assert sets == {"JSB Chorales", "Nottingham", "MuseData", "Piano-midi.de", "penn", "pennchar",
                    "enwik8", "text8", "IMDB", "MNIST"}
    files = [(download.task, file.name) for download in DOWNLOADS for file in download.files]
    assert len(set(files)) == len(files) == 15
    for download in DOWNLOADS:
        assert len(download.urls) >= 2
        assert all(url.startswith("http") and " " not in url for url in download.urls)
        for file in download.files:
            assert len(file.checksum) in (32, 64) and int(file.checksum, 16) and file.size > 0
