"""The benchmark: a row for each path, of the form that its readers expect, from processes that take turns."""

import json
import os
import subprocess
import sys

import pytest

from tools import benchmark
from files.errors import UserError

FIELDS = {"shape", "cell", "path", "tensorflow", "version", "steps", "step_seconds", "gflops", "peak_rss_gb"}


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark.py"] + list(arguments))
    benchmark.main()


def test_rows_of_a_small_shape(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "SHAPES", {"music": dict(D=3, N=20, B=4, T=5, output_size=2)})
    monkeypatch.setitem(benchmark.LARGEST, "data_set_name", "PythonDocs")
    out = tmp_path / "new" / "latest.json"
    run(monkeypatch, "--cells", "RRU", "--repeats", "2", "--largest", "--dropout", "0.5", "--out", str(out))
    result = json.loads(out.read_text())
    assert [(row["shape"], row["path"], row["steps"]) for row in result["rows"]] == [
        ("music", "sequence", 2), ("music", "dynamic_rnn", 2), ("music", "matmul", 2), ("enwik8", "model", 1)]
    for row in result["rows"]:
        assert set(row) == FIELDS and row["cell"] == "RRU"
        assert row["gflops"] > 0 and row["step_seconds"] > 0 and 0 < row["peak_rss_gb"] < 10
    assert result["machine"]["cores"] == len(os.sched_getaffinity(0))
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("music") and line.count(" of dynamic_rnn") == line.count(" of matmul") == 1


@pytest.mark.parametrize("option, value", [
    ("--tf2_python", "/bin/false"), ("--torch_python", "/bin/true"), ("--torch_python", "/nonexist"),
    ("--repeats", "0"), ("--repeats", "many"), ("--dropout", "2"), ("--dropout", "-1"), ("--parts", "0"),
    ("--parts", "-1"), ("--out", "."), ("--out", "new/"), ("--out", "/dev/null/latest.json")])
def test_wrong_options_are_named_before_anything_is_measured(monkeypatch, tmp_path, option, value):
    monkeypatch.setattr(benchmark, "Worker", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="^%s is '%s'" % (option, value)):
        run(monkeypatch, "--out", "latest.json", option, value)
    assert not list(tmp_path.iterdir())


def test_where_our_path_fails_the_others_are_ended():
    other = benchmark.Worker(sys.executable, dict(cell="RRU", path="matmul", B=2, N=3, columns=4))
    ours = benchmark.Worker("/bin/false", dict(cell="RRU", path="sequence"))
    with pytest.raises(UserError, match="RRU by sequence ended early"):
        benchmark.measure("music", [ours, other], 1)
    assert other._process.returncode < 0


@pytest.mark.parametrize("arguments, named", [
    ([], "[]"), (["{"], "{"), (["{}"], "{}"), (["null"], "null"), (['{"path": "walk"}'], "walk"),
    (['{"path": "matmul", "B": 2}'], "lacks N, columns")])
def test_a_wrong_spec_is_named_by_the_worker(arguments, named):
    script = os.path.join(benchmark.ROOT, "tools", "benchmark_step.py")
    result = subprocess.run([sys.executable, script] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1 and named in result.stderr


def test_a_comparison_that_fails_is_left_out(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "SHAPES", {"music": dict(D=3, N=4, B=2, T=5, output_size=2)})
    out, torch = tmp_path / "latest.json", tmp_path / "python"
    torch.write_text('#!/bin/sh\n[ "$1" = -c ] && echo "ModuleSpec(name=\'torch\')"\n')  # and makes no step
    torch.chmod(0o755)
    run(monkeypatch, "--cells", "GRU", "--repeats", "1", "--torch_python", str(torch), "--out", str(out))
    assert [row["path"] for row in json.loads(out.read_text())["rows"]] == ["sequence", "dynamic_rnn", "matmul"]
    assert "left out: GRU by torch ended early" in capsys.readouterr().err


def test_a_worker_that_dies_between_its_steps_is_left_out_too(monkeypatch):
    worker = benchmark.Worker(sys.executable, dict(cell="RRU", path="matmul", B=2, N=3, columns=4))
    worker._process.kill()
    worker._process.wait()
    monkeypatch.setattr(benchmark.Worker, "wait", lambda _: None)
    assert benchmark.measure("music", [worker], 2) == []


def test_the_committed_rows_are_whole_and_those_of_the_readme():
    with open(os.path.join(benchmark.ROOT, "benchmarks", "latest.json")) as file:
        rows = json.load(file)["rows"]
    assert all(set(row) == FIELDS for row in rows)
    for shape in benchmark.SHAPES:
        for cell in benchmark.COLUMNS:
            assert {row["path"] for row in rows if (row["shape"], row["cell"]) == (shape, cell)} >= {
                "sequence", "dynamic_rnn", "matmul"}
    with open(os.path.join(benchmark.ROOT, "README.md"), encoding="utf-8") as file:
        assert benchmark.markdown(rows) in file.read(), "put what benchmark.markdown(rows) gives into README.md"
