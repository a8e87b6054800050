"""The benchmark: a row for each path, as its readers expect, from processes that take turns."""

import json
import os
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

from tools import benchmark
from files.errors import UserError, run_as_script

FIELDS = {"shape", "cell", "path", "tensorflow", "version", "steps", "step_seconds", "gflops",
          "peak_rss_gb"}


SMALL = dict(D=3, N=20, B=4, T=5, output_size=2)
MATMUL = dict(shape="music", cell="RRU", path="matmul", columns=46, **SMALL)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark.py"] + list(arguments))
    benchmark.main()


def test_rows_of_a_small_shape(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "SHAPES", {"music": SMALL})
    out = tmp_path / "new" / "latest.json"
    run(monkeypatch, "--cells", "RRU", "--repeats", "2", "--out", str(out))
    result = json.loads(out.read_text())
    assert [(row["shape"], row["path"], row["steps"]) for row in result["rows"]] == [
        ("music", "sequence", 2), ("music", "dynamic_rnn", 2), ("music", "matmul", 2)]
    for row in result["rows"]:
        assert set(row) == FIELDS and row["cell"] == "RRU"
        assert row["gflops"] > 0 and row["step_seconds"] > 0 and 0 < row["peak_rss_gb"] < 10
    assert result["machine"]["cores"] == len(os.sched_getaffinity(0))
    printed = capsys.readouterr().out
    assert benchmark.markdown(result["rows"]) in printed and str(out) in printed
    ours, dynamic_rnn, matmul = [row["gflops"] for row in result["rows"]]
    assert printed.splitlines()[2] == "| music | RRU | %s | %.0f | %.2f | %.2f | - |" % (
        tf.version.VERSION, ours, ours / dynamic_rnn, ours / matmul)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1e99"])
def test_a_wrong_number_of_repeats_is_named_before_anything_is_measured(monkeypatch, value):
    monkeypatch.setattr(benchmark, "Worker", None)
    with pytest.raises(UserError, match="^--repeats is "):
        run(monkeypatch, "--repeats", value)


@pytest.mark.parametrize("option, value, named", [
    ("--torch_python", "/nonexist", "/nonexist"), ("--torch_python", "/bin/true", "GRU by torch"),
    ("--out", "/dev/null/latest.json", "/dev/null")])
def test_what_cannot_be_used_is_one_line(monkeypatch, capsys, option, value, named):
    monkeypatch.setattr(benchmark, "SHAPES", {"music": SMALL})
    monkeypatch.setattr(benchmark, "TF_PATHS", ("matmul",))
    with pytest.raises(SystemExit) as ended:
        run_as_script(lambda: run(monkeypatch, "--cells", "GRU", "--repeats", "1", option, value))
    message, = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert ended.value.code == 2 and named in message


def test_where_our_path_fails_the_others_are_ended():
    other = benchmark.Worker(sys.executable, MATMUL)
    ours = benchmark.Worker("/bin/false", dict(cell="RRU", path="sequence"))
    with pytest.raises(UserError, match="RRU by sequence ended early"):
        benchmark.measure([ours, other], 1)
    assert other._process.returncode < 0


def test_where_tensorflows_own_loop_fails_it_is_left_out(capsys):
    others = [benchmark.Worker(sys.executable, MATMUL),
              benchmark.Worker("/bin/false", dict(cell="RRU", path="dynamic_rnn"))]
    row, = benchmark.measure(others, 1)
    assert row["path"] == "matmul" and row["steps"] == 1
    assert "left out: RRU by dynamic_rnn ended early" in capsys.readouterr().err


def test_a_worker_that_dies_between_its_steps_is_told(monkeypatch):
    worker = benchmark.Worker(sys.executable, MATMUL)
    wait = benchmark.Worker.wait

    def wait_and_die(worker):
        line = wait(worker)
        worker._process.kill()
        worker._process.wait()
        return line

    monkeypatch.setattr(benchmark.Worker, "wait", wait_and_die)
    with pytest.raises(UserError, match="RRU by matmul ended early"):
        benchmark.measure([worker], 2)


def test_the_committed_rows_are_whole_and_those_of_the_page():
    with open(os.path.join(benchmark.ROOT, "benchmarks", "latest.json")) as file:
        rows = json.load(file)["rows"]
    assert all(set(row) == FIELDS for row in rows)
    for shape in benchmark.SHAPES:
        for cell in benchmark.COLUMNS:
            of_both = [row["path"] for row in rows
                       if (row["shape"], row["cell"]) == (shape, cell)]
            assert set(of_both) >= {"sequence", "dynamic_rnn", "matmul"}
    with open(os.path.join(benchmark.ROOT, "docs", "speed.md"), encoding="utf-8") as file:
        text = file.read()
    assert benchmark.markdown(rows) in text, "put what benchmark.markdown(rows) gives there"


def test_the_program_imports_no_tensorflow_before_it_is_needed():
    code = ("import sys; sys.path.insert(0, %r); import tools.benchmark; "
            "sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)" % benchmark.ROOT)
    assert subprocess.call([sys.executable, "-c", code]) == 0
