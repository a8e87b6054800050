"""The results table: README shows what results/ gives; which runs count as published ones; publishing a run."""

import json
import os
import re

import pytest

from reports import publishing
from tools import results as tool
from files.errors import UserError
from reports.paper_results import PAPER_RESULTS

ROOT = tool.ROOT
JSB = os.path.join(ROOT, "results", "music", "JSB Chorales", "RRU", "seed1")
PNG = b"\x89PNG"


def make_run(folder, of=JSB, test=None, settings=(), hyperparameters=(), log="a line\n", **changes):
    """A folder like that of the published run `of`, with some of its results, metrics and settings changed."""
    folder.mkdir(parents=True)
    saved, results = (json.loads(open(os.path.join(of, name)).read())
                      for name in ("settings.json", "results.json"))
    saved["settings"].update(settings)
    saved["settings"]["cell_hyperparameters"].update(hyperparameters)
    results.update(changes)
    if test is not None:
        results["test"][results["monitor"]] = results["valid"][results["monitor"]] = test
    (folder / "settings.json").write_text(json.dumps(saved))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "learning_curve.png").write_bytes(PNG)
    (folder / "log.txt").write_text(log)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.npz").write_bytes(b"weights")
    return folder


def rows(folder):
    return tool.rows_of(tool.find_runs([str(folder)]))


def test_readme_has_the_table_of_the_published_runs():
    text = open(os.path.join(ROOT, "README.md"), encoding="utf-8").read()
    markdown = tool.for_readme(rows(os.path.join(ROOT, "results")))
    assert tool.with_tables(text, markdown) == text, "run: python -u tools/results.py --readme"


def test_readme_has_the_papers_numbers():
    text = open(os.path.join(ROOT, "README.md"), encoding="utf-8").read()
    table = text[text.index("## The paper's results"):text.index("## Results")]
    signs = [(line, re.search(r"\| (\+|-|\+/-) \|", line)) for line in table.splitlines()]
    rows = [[sign.group(1)] + re.findall(r"\d+\.\d+", line) for line, sign in signs if sign]
    scales = [100 if row.metric == "accuracy" else 1 for row in PAPER_RESULTS.values()]
    expected = [[row.tuned] + ["%.2f" % (scale * row.values[cell])
                               for cell in ("RRU", "GRU", "LSTM", "MogrifierLSTM")]
                for scale, row in zip(scales, PAPER_RESULTS.values())]
    assert rows == expected and len(rows) == 11


def test_seeds_with_the_published_settings_share_an_entry(tmp_path):
    for seed, nll in enumerate((8.0, 8.1, 8.3), 1):
        make_run(tmp_path / ("seed%d" % seed), test=nll, seed=seed)
    markdown = tool.table(rows(tmp_path))
    assert markdown.count("\n") == 2
    assert "| window NLL | **8.133** ± 0.153 (n = 3)<br>paper, tuned 7.72, +0.413<br>seed [1]" in markdown
    link = os.path.relpath(str(tmp_path / "seed3"), ROOT).replace(" ", "%20")
    assert "[3](%s) | - | - | - |" % link in markdown


def test_a_repeated_seed_counts_once(tmp_path, capsys):
    make_run(tmp_path / "a", test=8.0)
    make_run(tmp_path / "b", test=8.0)
    assert "(n = 1)" in tool.table(rows(tmp_path))
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize("change, mark", [
    ({"settings": {"dropout": 0.25}}, "dropout 0.25"),
    ({"settings": {"clip_gradients": False}}, "clip_gradients False"),
    ({"hyperparameters": {"relu_layers": 2}}, "relu_layers 2"),
    ({"settings": {"epochs": 31}}, "epochs 31"),
    ({"environment": {"tensorflow": "2.11.0", "cores": 2}}, "TensorFlow 2.11.0"),
])
def test_what_differs_from_a_published_run_is_marked(tmp_path, change, mark):
    make_run(tmp_path / "published")
    make_run(tmp_path / "other", **change)
    markdown = tool.table(rows(tmp_path))
    assert "| music, JSB Chorales | " in markdown and "| music, JSB Chorales<br>*%s* | " % mark in markdown
    assert markdown.count("paper, tuned 7.72") == 2


def test_winners_of_sweeps_share_a_row(tmp_path):
    for cell, dropout, trials in (("RRU", 0.7, 20), ("GRU", 0.3, 12)):
        sweep = tmp_path / cell / "night"
        point = {"dropout": dropout, "learning_rate": 0.002}
        for seed in (1, 2):
            make_run(sweep / ("seed%d" % seed), test=7.9, seed=seed, cell=cell, settings=dict(point, batch_size=8))
            make_run(tmp_path / cell / "day" / ("seed%d" % seed), settings=dict(point, batch_size=8))
        for folder in (sweep, tmp_path / cell / "day"):
            (folder / "sweep.json").write_text(json.dumps({"trials": trials, "winner": {"point": point}}))
        make_run(sweep / "no winner", settings=dict(point, dropout=0.1))
    found = rows(tmp_path)
    tuned = found["music", "JSB Chorales", ("tuned (sweep night)", "batch_size 8")]
    assert {cell: len(runs) for cell, runs in tuned.items()} == {"RRU": 2, "GRU": 2}
    assert ("music", "JSB Chorales", ("dropout 0.1", "learning_rate 0.002")) in found
    markdown = tool.table(found)
    assert markdown.count("/night/trials.csv)") == 2 and " of [12 trials](" in markdown
    assert "**7.900** ± 0.000 (n = 2)<br>paper 7.72, +0.180<br>" in markdown  # tuned as the paper's
    assert markdown.count("<br>paper, tuned 7.72, ") == 1  # of the row that did not win
    assert "--dropout 0.3 " in tool.details(found)


def test_settings_that_change_no_number_are_not_marked(tmp_path):
    make_run(tmp_path / "run", settings={"runs_folder": "elsewhere", "gpu": "1", "epochs": 500})
    assert [key[2] for key in rows(tmp_path)] == [()]


def test_with_a_decay_the_limit_of_epochs_is_marked(tmp_path):
    make_run(tmp_path / "run", settings={"epochs": 500, "linear_decay": True})
    assert [key[2] for key in rows(tmp_path)] == [("epochs 500", "linear_decay True")]


def test_a_run_that_was_cut_off_and_evaluated_is_no_result(tmp_path):
    run = make_run(tmp_path / "run", stop_reason=None)
    assert not rows(tmp_path)
    with pytest.raises(UserError, match="is not finished"):
        publishing.publish(str(run), str(tmp_path / "results"))


def test_a_part_of_the_data_never_has_the_papers_value_beside_it(tmp_path):
    make_run(tmp_path / "part", data_fraction=0.05)
    markdown = tool.table(rows(tmp_path))
    assert "*only 5 % of the data*" in markdown and "paper" not in markdown


def test_accuracies_are_percentages(tmp_path):
    make_run(tmp_path / "imdb", task="sentiment", data_set="IMDB", monitor="accuracy", test=0.86)
    assert "**86.00** (n = 1)<br>paper 87.20, -1.20<br>" in tool.table(rows(tmp_path))


def test_unknown_runs_and_missing_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        tool.find_runs(["nowhere"])
    make_run(tmp_path / "odd", data_set="Waltzes")
    with pytest.raises(UserError, match="'Waltzes'"):
        tool.find_runs([str(tmp_path)])
    with pytest.raises(UserError, match="lacks the lines"):
        tool.with_tables("a text", "a table")


@pytest.mark.parametrize("name, content, named", [
    ("results.json", "{", "cannot be read"), ("results.json", "null", "task"), ("results.json", "5", "task"),
    ("results.json", '{"test": {}}', "task"), ("results.json", '{"test": {}, "stop_reason": "x"}', "task"),
    ("results.json", "[]", "task"), ("settings.json", "{}", "script, .*settings"), ("settings.json", "[]", "script"),
    ("settings.json", '{"script": "mm_main.py", "settings": {}}', "settings"),
    ("../sweep.json", '{"trials": 3, "winner": null}', "winner")])
def test_damaged_files_are_named(tmp_path, name, content, named):
    run = make_run(tmp_path / "night" / "run")
    (run / name).write_text(content)
    with pytest.raises(UserError, match=os.path.basename(name) + " .*" + named):
        tool.find_runs([str(tmp_path)])
    if name == "results.json":
        with pytest.raises(UserError, match=name + " .*" + named):
            publishing.publish(str(run), str(tmp_path / "results"))
        assert not (tmp_path / "results").exists()


def test_results_without_the_value_of_their_metric_are_named(tmp_path):
    make_run(tmp_path / "run", test="low")
    with pytest.raises(UserError, match="results.json .* valid, test"):
        tool.find_runs([str(tmp_path)])


def test_to_publish_nothing_is_refused():
    with pytest.raises(UserError, match="--publish names no run"):
        tool.main(["--publish"])


def test_the_chart_is_written_beside_the_runs(tmp_path, capsys):
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", settings={"dropout": 0.25})
    tool.main([str(tmp_path)])
    assert (tmp_path / "chart.png").read_bytes().startswith(PNG)
    assert "dropout 0.25" in capsys.readouterr().out


def test_a_finished_run_is_published_without_its_checkpoints(tmp_path):
    run = make_run(tmp_path / "runs" / "seed7", log="".join("line %d\n" % i for i in range(1000)))
    target = publishing.publish(str(run), str(tmp_path / "results"))
    assert target == str(tmp_path / "results" / "music" / "JSB Chorales" / "RRU" / "seed7")
    assert sorted(os.listdir(target)) == ["learning_curve.png", "log.txt", "metrics.jsonl", "results.json",
                                          "settings.json"]
    log = open(os.path.join(target, "log.txt")).read().splitlines()
    assert len(log) == publishing.LOG_LINES + 1
    assert (log[0], log[100], log[-1]) == ("line 0", "... 800 lines left out ...", "line 999")
    with pytest.raises(UserError, match="remove what is there"):
        publishing.publish(str(run), str(tmp_path / "results"))


def test_a_run_of_a_sweep_is_published_with_the_trials(tmp_path):
    make_run(tmp_path / "night" / "trial-003")
    names = {"trials.jsonl", "trials.csv", "best_so_far.png", "settings.json", "log.txt"}
    for name in names:
        (tmp_path / "night" / name).write_text("{}\n" * 1000)
    target = publishing.publish(str(tmp_path / "night" / "trial-003"), str(tmp_path / "results"))
    assert target.endswith("RRU/night/trial-003")
    sweep = os.path.dirname(target)
    assert set(os.listdir(sweep)) == names | {"trial-003"}
    assert "... 800 lines left out ..." in open(os.path.join(sweep, "log.txt")).read()
    assert [run.folder for run in tool.find_runs([str(tmp_path / "results")])] == [target]


def test_runs_that_were_not_tested_are_no_results(tmp_path):
    run = make_run(tmp_path / "trial")
    results = json.loads((run / "results.json").read_text())
    del results["test"]
    (run / "results.json").write_text(json.dumps(results))
    assert not rows(tmp_path)
    with pytest.raises(UserError, match="was not tested"):
        publishing.publish(str(run), str(tmp_path / "results"))


def test_an_unfinished_run_is_not_published(tmp_path):
    with pytest.raises(UserError, match="let the run finish"):
        publishing.publish(str(tmp_path), str(tmp_path / "results"))
