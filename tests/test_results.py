"""The results: what README and docs/results.md show, which runs count as what, publishing a run."""

import bisect
import glob
import io
import json
import os
import re
import shutil
import sys

import pytest

import mnist_main
from cells.registry import CELLS
from files.errors import UserError
from files.run_files import load_metrics
from files.writing import lock_folder
from reports import publishing, results_page, rows, tables
from reports import runs as runs_module
from reports.paper_results import AUTHORS_UNTUNED
from reports.runs import find_runs, find_winners
from sweeps import grids
from tools import grids as grid_tool
from tools import reproduce, reproduce_plan
from tools.grids import PAPER
from tools import results as tool

ROOT = tool.ROOT
JSB = os.path.join(ROOT, "results", "music", "JSB Chorales", "RRU", "seed1")
PNG = b"\x89PNG"


with open(os.path.join(JSB, "results.json")) as json_file:
    PUBLISHED_RESULTS = json.load(json_file)
with open(os.path.join(JSB, "settings.json")) as json_file:
    PUBLISHED_SETTINGS = json.load(json_file)


def make_run(folder, of=JSB, test=None, unpublished=(), settings=(), log="a line\n", **changes):
    """A folder like that of the published run `of`, with some of its content changed.

    It lacks the published average of batches, as runs of earlier versions do.
    unpublished: settings that are not the published ones. settings: others that are changed.
    """
    folder.mkdir(parents=True)
    saved, results = (json.loads(open(os.path.join(of, name)).read())
                      for name in ("settings.json", "results.json"))
    saved["settings"].update(unpublished)
    saved["settings"].update(settings)
    saved["unpublished"] = dict(unpublished)
    saved["command"] += "".join(" --%s %s" % item for item in dict(unpublished).items())
    for name in ("data_set", "cell"):
        saved["settings"][name + "_name"] = changes.get(name, results[name])
    saved["environment"] = changes.get("environment", saved["environment"])
    for split in ("valid", "test"):
        for name in ("batch_nll", "batch_accuracy"):
            results[split].pop(name, None)
    results.update(changes)
    if test is not None:
        results["test"][results["monitor"]] = results["valid"][results["monitor"]] = test
    (folder / "settings.json").write_text(json.dumps(saved))
    (folder / "results.json").write_text(json.dumps(results))
    line = {"epoch": 1, "seconds": 3.0, "train": results["valid"], "valid": results["valid"]}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "learning_curve.png").write_bytes(PNG)
    (folder / "log.txt").write_text(log)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.npz").write_bytes(b"weights")
    (folder / "checkpoints" / "last.npz").write_bytes(b"more weights")
    return folder


def change(path, **changes):
    """Change some of what a JSON file holds; a value of None removes it."""
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps({name: value for name, value in content.items()
                                if value is not None}))


def row(folder, tuned=False, data_set="JSB Chorales"):
    """The line of one of README's tables for a data set."""
    markdown = tables.table(tables.entries(tool.collect([str(folder)]), tuned), tuned)
    line, = [line for line in markdown.splitlines() if line.startswith("| [%s]" % data_set)]
    return line


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def test_the_generated_pages_are_in_step_with_the_published_runs():
    for name, markdown in tool.pages(tool.collect([tool.PUBLISHED])).items():
        text = read(name)
        assert tool.with_tables(name, text, markdown) == text, (
            "run: python -u tools/results.py --readme")


# The table of the paper, typed in once more: RRU, GRU, LSTM, Mogrifier LSTM.
THE_PAPERS_TABLE = """
JSB Chorales      7.72   8.20   8.33   8.18
Nottingham        2.92   3.22   3.25   3.28
MuseData          7.03   7.31   7.24   7.22
Piano-midi.de     7.38   7.58   7.54   7.52
penn            102.56 122.21 140.35 126.88
pennchar          1.27   1.28   1.34   1.29
enwik8            1.37   1.53   1.49   1.36
text8             1.35   1.55   1.44   1.37
IMDB             87.20  87.04  85.89  86.23
SequentialMNIST  98.74  98.36  92.88  98.14
P-MNIST          97.67  98.68  97.39  97.81
"""


def test_readme_has_the_papers_numbers():
    lines = tables.for_readme(tool.collect([tool.PUBLISHED])).splitlines()
    for row in THE_PAPERS_TABLE.strip().splitlines():
        *name, rru, gru, lstm, mogrifier = row.split()
        data_set, expected = " ".join(name), ["(%s)" % v for v in (rru, gru, lstm, mogrifier)]
        found = [re.findall(r"\([\d.]+\)", line) for line in lines
                 if line.startswith("| [%s]" % data_set)]
        assert expected in found


@pytest.mark.parametrize("data_set, rate, parameters, digits", [
    ("Nottingham", 1e-3, 5e6, 3), ("penn", 3e-3, 20e6, 0)])
def test_the_authors_untuned_range_is_of_the_four_points_of_their_grid_around_the_published(
        data_set, rate, parameters, digits):
    ranges = {}
    for grid in grids.load_paper_grids(PAPER):
        if grid.data_set == data_set and grid.cell in CELLS:
            rates, sizes = (sorted({point[axis] for point in grid.values}) for axis in (0, 1))
            after = bisect.bisect(rates, rate), bisect.bisect(sizes, parameters)
            found = [grid.values[rates[after[0] - i], sizes[after[1] - j]]
                     for i in (0, 1) for j in (0, 1)]
            ranges[grid.cell] = round(min(found), digits), round(max(found), digits)
    assert ranges == AUTHORS_UNTUNED[data_set]


def test_the_tables_of_the_grids_are_in_step_with_the_published_sweeps():
    page = read("docs", "sweeps.md")
    ours = glob.glob(os.path.join(ROOT, "results", "music", "JSB Chorales", "*", "grid*"))
    assert len(ours) == 5
    for shown in (grids.load_paper_grids(PAPER), list(map(grids.load_grid, ours))):
        for line in grid_tool.table(shown):
            assert line in page


def test_the_tables_keep_tuned_and_untuned_apart():
    runs = tool.collect([tool.PUBLISHED])
    assert "(7.72)" not in tables.table(tables.entries(runs, False), False)
    tuned = tables.table(tables.entries(runs, True), True)
    assert "(7.72)" in tuned and "(87.20)" not in tuned


def test_the_tables_have_no_line_breaks_or_links_in_entries():
    for line in tables.for_readme(tool.collect([tool.PUBLISHED])).splitlines():
        assert "<br>" not in line
        if line.startswith("| ["):
            assert "](" not in line.partition(" | ")[2]


def test_every_row_leads_to_its_part_of_the_page():
    page = read("docs", "results.md")
    headings = [tables.anchor(line.lstrip("# ")) for line in page.splitlines()
                if line.startswith("#")]
    found = re.findall(r"\(docs/results.md#([^)]+)\)", read("README.md"))
    assert set(found) <= set(headings) and len(set(found)) >= 11


def test_every_published_run_says_what_makes_it_again():
    folders = glob.glob(os.path.join(ROOT, "results", "**", "settings.json"), recursive=True)
    assert len(folders) > 30
    for path in folders:
        text = read(path)
        saved = json.loads(text)
        assert saved["command"].startswith("python -u %s --data_set_name " % saved["script"])
        assert isinstance(saved["unpublished"], dict)
        assert "learning_rate_decay" not in text and "zero_state_chance" not in text


def test_seeds_with_the_published_settings_share_an_entry(tmp_path):
    for seed, nll in enumerate((8.0, 8.1, 8.3), 1):
        make_run(tmp_path / ("seed%d" % seed), test=nll, seed=seed)
    assert "| NLL | 8.133 ± 0.153‡ | - | - | - | 3, -, -, - |" in row(tmp_path)
    page = results_page.page(tool.collect([str(tmp_path)]), ROOT)
    link = os.path.relpath(str(tmp_path / "seed3"), os.path.join(ROOT, "docs"))
    assert "[8.300](%s) window NLL" % link.replace(" ", "%20") in page


def test_the_papers_kind_of_average_is_compared_if_all_runs_have_it(tmp_path):
    first = make_run(tmp_path / "a", of=os.path.join(ROOT, "results/music/Nottingham/RRU/seed1"))
    results = json.loads((first / "results.json").read_text())
    change(first / "results.json", test=dict(results["test"], batch_nll=2.5))
    line = row(tmp_path, data_set="Nottingham")
    assert "| 2.500 (2.965 to 2.993) |" in line
    make_run(tmp_path / "b", of=os.path.join(ROOT, "results/music/Nottingham/RRU/seed1"), seed=2)
    assert "‡ (2.965 to 2.993) |" in row(tmp_path, data_set="Nottingham")


def test_runs_on_different_data_of_one_name_are_kept_apart(tmp_path, capsys):
    for name, seed, data in (("a", 1, "first"), ("b", 1, "second"), ("c", 2, "second")):
        make_run(tmp_path / name, data_set="OwnText notes", seed=seed, test=5.0 + seed,
                 data={"fingerprint": data, "fraction": 1}, data_fraction=1)
    assert len(tool.collect([str(tmp_path)])) == 3
    assert "left out" not in capsys.readouterr().err
    lines = rows.lines([str(tmp_path)])
    assert sorted(line.partition(", n ")[2] for line in lines if "OwnText notes" in line) == [
        "1, data with the fingerprint first", "2, data with the fingerprint second"]
    one, = [line for line in rows.lines([str(tmp_path / "a")]) if "OwnText notes" in line]
    assert one.endswith(", n 1")


def test_the_winner_on_one_own_text_is_not_that_of_another(tmp_path):
    won = {"dropout": 0.3}
    for name, data in (("a", "first"), ("b", "second")):
        make_run(tmp_path / name, data_set="OwnText notes", unpublished=won, data_fraction=1,
                 data={"fingerprint": data, "fraction": 1})
        saved = json.loads((tmp_path / name / "settings.json").read_text())
        saved["settings"].update(data_set_name="OwnText", own_text="notes.txt")
        change(tmp_path / name / "settings.json", settings=saved["settings"],
               data={"fingerprint": data})
    sweep = tmp_path / "night"
    shutil.copytree(str(tmp_path / "a"), str(sweep / "trial-001"))
    (sweep / "sweep.json").write_text(json.dumps(
        {"trials": 1, "seeds": [1], "winner": {"trial": 1, "loss": 5.0, "point": {}}}))
    kinds = {os.path.basename(run.folder): run.kind for run in find_runs([str(tmp_path)])[0]}
    assert kinds == {"a": "tuned", "trial-001": "tuned", "b": "other"}


@pytest.mark.parametrize("resumed, shown", [
    ([], "2 cores"), ([{"gpus": [1, 0]}], "1 GPU, then 2 cores"),
    ([{"cores": [1, 2], "step": 9}, {"epochs": [3, 9]}, {"cores": [2, 8]}, {"cores": [8, 2]}],
     "1 core, then 2 cores, then 8 cores, then 2 cores"),
    ([{"git_commit": ["a", "b"]}], "2 cores")])
def test_a_run_that_moved_to_another_machine_names_both(tmp_path, resumed, shown):
    run = make_run(tmp_path / "run")
    saved = json.loads((run / "settings.json").read_text())
    change(run / "settings.json", changed_on_resume=resumed,
           environment=dict(saved["environment"], gpus=0, cores=2))
    found, _ = find_runs([str(tmp_path)])
    assert " on %s |" % shown in results_page.page(found)
    line = results_page.check_table(found).splitlines()[-1].split(" | ")
    assert (line[-3] == "-") == (", then " in shown)


def test_a_run_that_was_continued_by_other_versions_names_all(tmp_path):
    run = make_run(tmp_path / "run")
    saved = json.loads((run / "settings.json").read_text())
    change(run / "settings.json",
           changed_on_resume=[{"tensorflow": ["2.21.0", "1.15.0"], "git_commit": ["a" * 40, "b"]}],
           environment=dict(saved["environment"], tensorflow="1.15.0", git_commit="b" * 40))
    found, _ = find_runs([str(tmp_path)])
    page = results_page.page(found)
    assert "† | " in page and "| aaaaaaa, then bbbbbbb |" in page
    assert "| 2.21.0, then 1.15.0, " in page and "†" in row(tmp_path)


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_publication_that_is_cut_off_leaves_nothing(tmp_path, monkeypatch, files):
    run, sweep = make_run(tmp_path / "seed1"), make_sweep(tmp_path / "night")
    for copy, folder in ((publish, run), (publish_sweep, sweep)):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(publishing.shutil, "copyfileobj", interrupted_after(files))
            copy(folder, tmp_path)
        assert not list((tmp_path / "results").rglob("*%s*" % folder.name))
        assert os.path.isdir(copy(folder, tmp_path))


def interrupted_after(files):
    """shutil.copyfileobj, which Ctrl-C ends after so many files."""
    copy, left = shutil.copyfileobj, iter(range(files))

    def copied(*words):
        if next(left, None) is None:
            raise KeyboardInterrupt
        copy(*words)
    return copied


def test_a_repeated_seed_counts_once(tmp_path, capsys):
    make_run(tmp_path / "a", test=8.0)
    make_run(tmp_path / "b", test=8.0)
    assert "| 1, -, -, - |" in row(tmp_path)
    assert "left out: %s: another run has its settings and seed" % (tmp_path / "b") in (
        capsys.readouterr().err)


def test_the_sweeps_own_runs_of_published_winners_are_left_out_without_a_word(capsys):
    assert tool.collect([tool.PUBLISHED]) and capsys.readouterr() == ("", "")


def test_a_published_run_that_is_repeated_outside_a_sweep_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "PUBLISHED", str(tmp_path))
    make_run(tmp_path / "a", test=8.0)
    make_run(tmp_path / "b", test=8.0)
    tool.collect([str(tmp_path)])
    assert "left out: %s: another run" % (tmp_path / "b") in capsys.readouterr().err


def test_of_a_repeated_seed_the_run_with_the_papers_average_stays(tmp_path, capsys):
    make_run(tmp_path / "a", test=8.0)
    second = make_run(tmp_path / "b")
    results = json.loads((second / "results.json").read_text())
    change(second / "results.json", test=dict(results["test"], batch_nll=8.123))
    assert "| 8.123 |" in row(tmp_path)


@pytest.mark.parametrize("unpublished, changes, mark", [
    ({"dropout": 0.25}, {}, "dropout 0.25"), ({"epochs": 31}, {}, "epochs 31"),
    ({"clip_gradients": False}, {}, "clip_gradients False"),
    ({"relu_layers": 2}, {}, "relu_layers 2"),
    ({}, {"data_fraction": 0.05}, "5 % of the data"), ({}, {"data_fraction": None}, "other data")])
def test_only_runs_with_the_published_settings_and_data_count(tmp_path, unpublished, changes, mark):
    make_run(tmp_path / "published")
    make_run(tmp_path / "other", unpublished=unpublished, **changes)
    runs = tool.collect([str(tmp_path)])
    assert sorted(run.kind for run in runs) == ["other", "untuned"]
    assert mark in [run for run in runs if run.kind == "other"][0].differences()[0]
    page = results_page.page(runs, ROOT)
    assert "/other) window NLL" in page.partition("## Short trials and other settings")[2]
    assert "/other) window NLL" not in page.partition("## Short trials and other settings")[0]
    assert "| 1, -, -, - |" in row(tmp_path)


def test_runs_on_tensorflow_2_have_a_sign_and_share_the_row(tmp_path):
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", environment={"tensorflow": "2.21.0", "cores": 2})
    assert "†‡ | - |" in row(tmp_path) and "| 2, -, -, - |" in row(tmp_path)
    assert "†: with TensorFlow 2.x" in tables.for_readme(tool.collect([str(tmp_path)]))


def write_sweep(folder, trials, loss, seeds=(1,)):
    """Make a folder that of a sweep over dropout and learning rate, won by its first trial."""
    winner = {"loss": loss, "trial": 1, "point": {"dropout": 0.7, "learning_rate": 0.002}}
    (folder / "sweep.json").write_text(json.dumps(
        {"trials": trials, "seeds": list(seeds), "winner": winner}))


def test_winners_of_sweeps_are_tuned(tmp_path):
    for cell, dropout, trials in (("RRU", 0.7, 20), ("GRU", 0.3, 12)):
        sweep = tmp_path / cell / "night"
        point = {"dropout": dropout, "learning_rate": 0.002}
        for seed, name in ((1, "trial-001"), (2, "winner-001-seed-2")):
            make_run(sweep / name, test=7.9, seed=seed, cell=cell, unpublished=point)
        make_run(tmp_path / cell / ("tuned-seed3"), test=7.9, seed=3, cell=cell, unpublished=point)
        write_sweep(sweep, trials, 8.0)
        make_run(sweep / "no winner", unpublished=dict(point, dropout=0.1))
        worse = dict(point, dropout=0.6)  # the winner of a sweep that is not the cell's best one
        make_run(tmp_path / cell / "earlier" / "trial-001", cell=cell, unpublished=worse)
        write_sweep(tmp_path / cell / "earlier", 5, 8.1)
    line = row(tmp_path, tuned=True)
    assert "| 7.900 ± 0.000‡ (7.72) | 7.900 ± 0.000‡ (8.20) | - (8.33) | - (8.18) |" in line
    assert "| 3, 3, -, - |" in line
    page = results_page.page(tool.collect([str(tmp_path)]), ROOT)
    assert "GRU: [12 trials](" in page and "/night/trials.csv)" in page
    assert "--dropout 0.3" in page.partition("## Short trials")[0]
    for dropout in ("--dropout 0.1", "--dropout 0.6"):
        assert dropout in page.partition("## Short trials")[2]


def test_a_sweep_of_short_trainings_is_no_tuning(tmp_path):
    make_run(tmp_path / "night" / "trial-001", unpublished={"dropout": 0.7, "epochs": 31})
    write_sweep(tmp_path / "night", 20, 8.0)
    run, = tool.collect([str(tmp_path)])
    assert run.kind == "other" and "epochs 31" in run.differences()


def test_a_limit_of_epochs_that_made_no_difference_is_no_other_setting_of_a_winner(tmp_path):
    make_run(tmp_path / "night" / "trial-001", unpublished={"dropout": 0.7})
    make_run(tmp_path / "tuned-seed2", unpublished={"dropout": 0.7, "epochs": 500}, seed=2)
    write_sweep(tmp_path / "night", 20, 8.0)
    assert {run.kind for run in find_runs([str(tmp_path)])[0]} == {"tuned"}


def test_a_winner_that_is_continued_keeps_no_run_from_being_shown(tmp_path):
    make_run(tmp_path / "seed1")
    run = make_run(tmp_path / "night" / "trial-001", unpublished={"dropout": 0.7})
    write_sweep(tmp_path / "night", 20, 8.0)
    os.remove(str(run / "results.json"))
    runs, left_out = find_runs([str(tmp_path)])
    assert [run.kind for run in runs] == ["untuned"]
    assert left_out == ["%s: it is not finished, or was not tested" % run]


@pytest.mark.parametrize("fraction", [0.5, None])
def test_a_sweep_on_other_data_or_a_part_of_them_is_no_tuning(tmp_path, fraction):
    run = make_run(tmp_path / "night" / "trial-001", unpublished={"dropout": 0.7})
    write_sweep(tmp_path / "night", 20, 7.0)
    change(run / "settings.json", data={"fingerprint": "of these", "fraction": 1})
    assert len(find_winners([str(tmp_path)])) == 1
    saved = json.loads((run / "settings.json").read_text())
    saved["data"]["fraction"] = fraction
    (run / "settings.json").write_text(json.dumps(saved))
    assert find_winners([str(tmp_path)]) == []


def test_runs_behind_links_are_found_once(tmp_path):
    make_run(tmp_path / "elsewhere" / "a")
    (tmp_path / "runs").mkdir()
    for name, target in (("link", "elsewhere"), ("again", "elsewhere"), ("circle", "runs")):
        (tmp_path / "runs" / name).symlink_to(tmp_path / target)
    runs, left_out = find_runs([str(tmp_path / "runs")])
    assert [os.path.relpath(run.folder, str(tmp_path)) for run in runs] == ["runs/again/a"]
    assert left_out == []


def test_settings_that_change_no_number_are_not_marked(tmp_path):
    make_run(tmp_path / "run", settings={"runs_folder": "elsewhere", "gpu": "1"},
             unpublished={"epochs": 500})
    run, = tool.collect([str(tmp_path)])
    assert run.kind == "untuned" and run.differences() == []


def test_with_a_decay_the_limit_of_epochs_is_marked(tmp_path):
    make_run(tmp_path / "run", unpublished={"epochs": 500, "linear_decay": True})
    run, = tool.collect([str(tmp_path)])
    assert run.differences() == ["epochs 500", "linear_decay True"]


def test_unfinished_runs_are_left_out_with_a_word(tmp_path, capsys):
    make_run(tmp_path / "good")
    make_run(tmp_path / "cut off", stop_reason=None)
    os.remove(str(make_run(tmp_path / "begun") / "results.json"))
    assert len(tool.collect([str(tmp_path)])) == 1
    said = capsys.readouterr().err
    for name in ("begun", "cut off"):
        assert "left out: %s: it is not finished, or was not tested" % (tmp_path / name) in said


def test_a_run_that_was_cut_off_and_evaluated_is_no_result(tmp_path):
    run = make_run(tmp_path / "run", stop_reason=None)
    assert find_runs([str(tmp_path)]) == ([], ["%s: it is not finished, or was not tested" % run])
    with pytest.raises(UserError, match="is not finished"):
        publish(run, tmp_path)


def publish(run, tmp_path):
    return publishing.publish(str(run), str(tmp_path / "results"))


def test_the_outcome_counts_runs_and_names_misses(tmp_path):
    imdb = os.path.join(ROOT, "results", "sentiment", "IMDB", "RRU", "seed1")
    make_run(tmp_path / "good", of=imdb, test=0.869)
    make_run(tmp_path / "bad", of=imdb, cell="GRU", test=0.80)
    make_run(tmp_path / "alone")
    runs = tool.collect([str(tmp_path)])
    words = tables.outcome(tables.entries(runs, True), tables.entries(runs, False))
    assert "Of the paper's 44 results 3 were run here. 2 of them have" in words
    assert "1 are within 1 % of it or its range (accuracies: 0.3 points) or better" in words
    assert "Not so: IMDB GRU (7.04 points worse)" in words
    assert words.endswith("The other one was run untuned and is 4.2 % above the published, "
                          "tuned value.")


def test_accuracies_are_percentages(tmp_path):
    make_run(tmp_path / "imdb", of=os.path.join(ROOT, "results/sentiment/IMDB/RRU/seed1"),
             test=0.86)
    assert "| accuracy % | 86.00‡ (87.20) | - (87.04) |" in row(tmp_path, data_set="IMDB")


def test_the_check_table_has_the_first_epochs_and_the_best():
    line, = [line for line in results_page.check_table(tool.collect([JSB])).splitlines()
             if "JSB" in line]
    assert line == ("| JSB Chorales | RRU | window NLL | 14.956 | 9.170 | 8.016 | 31 | 29.4 | "
                    "0.7 | 1.15.0, 1 core |")


def test_the_table_names_where_a_run_was_trained_not_where_it_was_evaluated():
    folder = os.path.join(ROOT, "results", "music", "JSB Chorales", "GRU", "tuned", "trial-005")
    with open(os.path.join(folder, "results.json")) as file:
        evaluated = json.load(file)["environment"]
    assert evaluated["cores"] == 1 and evaluated["git_commit"].startswith("7b10c80")
    page = results_page.page(tool.collect([folder]))
    line, = [line for line in page.splitlines() if "| 4c22582 |" in line]
    assert " on 2 cores |" in line


def test_the_tables_are_shown_in_any_encoding(tmp_path, monkeypatch):
    make_run(tmp_path / "a", of=os.path.join(ROOT, "results/music/Nottingham/RRU/seed1"))
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    tool.main([str(tmp_path)])
    assert b"2.984? (2.965 to 2.993)" in shown.getvalue()


def test_of_your_own_runs_only_the_rows_that_are_there_are_shown(tmp_path, capsys):
    make_run(tmp_path / "one")
    make_run(tmp_path / "other", of=os.path.join(ROOT, "results/sentiment/IMDB/RRU/seed1"),
             unpublished={"dropout": 0.25})
    tool.main([str(tmp_path)])
    shown = capsys.readouterr().out
    assert "Untuned, on the test part: ours (theirs)" in shown and "### JSB Chorales" in shown
    assert "penn" not in shown and "### IMDB" not in shown and "Not run yet" not in shown
    assert "## Other settings and your own data" in shown and "--dropout 0.25" in shown


def test_a_single_run_can_be_shown(capsys):
    before = set(os.listdir(JSB))
    tool.main([JSB + os.sep])
    assert "8.041" in capsys.readouterr().out
    assert set(os.listdir(JSB)) == before  # no chart of a single run


def test_unknown_data_sets_are_shown_and_missing_folders_are_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        find_runs(["nowhere"])
    monkeypatch.setattr(runs_module, "PUBLISHED", str(tmp_path / "none"))  # a copy without results/
    assert find_runs([runs_module.PUBLISHED]) == ([], []) == find_runs([str(tmp_path)])
    with pytest.raises(UserError, match="no finished run is below"):
        tool.collect([str(tmp_path)])
    make_run(tmp_path / "odd", data_set="Waltzes")
    assert "### Waltzes" in results_page.page(tool.collect([str(tmp_path)]), ROOT)
    with pytest.raises(UserError, match="README.md lacks the lines"):
        tool.with_tables("README.md", "a text", "a table")


@pytest.mark.parametrize("name, content", [
    ("results.json", "{"), ("results.json", "null"), ("results.json", "5"), ("results.json", "[]"),
    ("results.json", json.dumps(dict(PUBLISHED_RESULTS, data_fraction="1"))),
    ("results.json", json.dumps(dict(PUBLISHED_RESULTS, data={"fraction": 1}))),
    ("results.json", json.dumps(dict(PUBLISHED_RESULTS, seconds=1e999))),
    ("results.json", '{"test": {}}'), ("results.json", '{"test": {}, "stop_reason": "x"}'),
    ("results.json", json.dumps(dict(PUBLISHED_RESULTS, epochs=0))),
    ("results.json", json.dumps(dict(PUBLISHED_RESULTS, valid={}))),
    ("metrics.jsonl", '{"epoch": 1, "seconds": 1, "train": {}, "valid": {}}\n{"epoch": 2, "trai'),
    ("settings.json", "{}"), ("settings.json", "[]"),
    ("settings.json", '{"script": "mm_main.py", "settings": {}}'),
    ("settings.json", json.dumps(dict(PUBLISHED_SETTINGS, changed_on_resume=[{"gpus": 1}]))),
    ("settings.json", json.dumps(dict(PUBLISHED_SETTINGS, environment={
        "tensorflow": "1.15.0", "cores": 2, "gpus": "two"}))),
    ("results.json", json.dumps(dict(PUBLISHED_RESULTS, test={"window_nll": "low"})))])
def test_a_damaged_run_is_left_out_with_a_word(tmp_path, name, content):
    good = make_run(tmp_path / "night" / "good")
    run = make_run(tmp_path / "night" / "run")
    (run / name).write_text(content)
    runs, left_out = find_runs([str(tmp_path)])
    assert [run.folder for run in runs] == [str(good)]
    assert len(left_out) == 1 and left_out[0].startswith("%s cannot be read (" % (run / name))
    advice = {"results.json": "evaluate the run again", "metrics.jsonl": "fix or remove the line",
              "settings.json": "put it back, or take the folder away"}
    assert left_out[0].endswith("): " + advice[name])
    assert name != "metrics.jsonl" or "line 2: Unterminated" in left_out[0]
    if name == "results.json":
        with pytest.raises(UserError, match=name + " cannot be read"):
            publish(run, tmp_path)
        assert not (tmp_path / "results").exists()


def test_of_the_published_runs_none_may_be_damaged(tmp_path, monkeypatch):
    results = tmp_path / "results"
    make_run(results / "good")
    (make_run(results / "run") / "results.json").write_text("{")
    monkeypatch.setattr(tool, "PUBLISHED", str(results))
    with pytest.raises(UserError, match="of the published runs, .*run/results.json cannot be read"):
        tool.collect([str(results)])


@pytest.mark.parametrize("winner", ["null", '{"trial": 1, "loss": 5.0}'])
def test_a_damaged_sweep_is_named(tmp_path, winner):
    make_run(tmp_path / "night" / "run")
    (tmp_path / "night" / "sweep.json").write_text('{"trials": 3, "winner": %s}' % winner)
    with pytest.raises(UserError, match="sweep.json cannot be read .*: remove it, or give"):
        find_runs([str(tmp_path)])


def test_a_damaged_metrics_file_is_named(tmp_path):
    run = make_run(tmp_path / "run")
    for content in ("{}\n", "[" * 100000,
                    '{"epoch": "x", "seconds": 1, "train": {}, "valid": {}}\n'):
        (run / "metrics.jsonl").write_text(content)
        with pytest.raises(UserError, match="metrics.jsonl cannot be read .*line 1: "):
            load_metrics(str(run))


def test_what_a_publication_that_was_killed_left_is_no_run(tmp_path):
    run = make_run(tmp_path / "run")
    target = publish(run, tmp_path)
    left = os.path.join(os.path.dirname(target), ".part-other")
    shutil.copytree(target, left)
    assert [found.folder for found in find_runs([str(tmp_path / "results")])[0]] == [target]


def test_an_option_that_is_nearly_one_is_named():
    with pytest.raises(UserError, match="--read-me is not an option of .*, did you mean --readme"):
        tool.main(["--read-me"])


def test_to_publish_nothing_is_refused():
    with pytest.raises(UserError, match="--publish names no run"):
        tool.main(["--publish"])


def test_two_tasks_at_once_are_refused():
    with pytest.raises(UserError, match="argument --redraw: not allowed with argument --readme"):
        tool.main(["--readme", "--redraw"])


def test_the_chart_is_written_beside_the_runs(tmp_path, capsys):
    make_run(tmp_path / "one")
    make_run(tmp_path / "two", unpublished={"dropout": 0.25})
    tool.main([str(tmp_path)])
    assert (tmp_path / "chart.png").read_bytes().startswith(PNG)
    assert "--dropout 0.25" in capsys.readouterr().out


def test_learning_curves_are_drawn_again_and_left_alone_if_they_are_the_same(tmp_path, capsys):
    runs = [make_run(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 2), ("c", 2))]
    curves = [run / "learning_curve.png" for run in runs]
    before = (runs[0] / "results.json").read_bytes()
    tool.main(["--redraw", str(tmp_path)])
    assert "3 learning curves are drawn" in capsys.readouterr().out
    assert all(curve.stat().st_size > 5000 for curve in curves)
    assert not (tmp_path / "chart.png").exists()
    assert (runs[0] / "results.json").read_bytes() == before
    curves[1].write_bytes(PNG)
    times = [curve.stat().st_mtime_ns for curve in curves]
    tool.main(["--redraw", str(tmp_path)])
    later = [curve.stat().st_mtime_ns for curve in curves]
    assert [one == other for one, other in zip(times, later)] == [True, False, True]


def test_a_finished_run_is_published_without_its_large_checkpoints(tmp_path):
    run = make_run(tmp_path / "runs" / "seed7", log="a line\n")
    target = publish(run, tmp_path)
    assert target == str(tmp_path / "results" / "music" / "JSB Chorales" / "RRU" / "seed7")
    assert sorted(os.listdir(target)) == ["learning_curve.png", "log.txt", "metrics.jsonl",
                                          "results.json", "settings.json"]
    with open(os.path.join(target, "log.txt")) as log:
        assert log.read() == "a line\n"
    with pytest.raises(UserError, match="remove what is there"):
        publish(run, tmp_path)


def test_small_weights_are_published(tmp_path):
    run = make_run(tmp_path / "seed7", parameters=1500000)
    target = publish(run, tmp_path)
    assert os.listdir(os.path.join(target, "checkpoints")) == ["best.npz"]
    os.remove(str(run / "checkpoints" / "best.npz"))
    with pytest.raises(UserError, match="has lost its weights"):
        publish(run, tmp_path)


def test_a_run_of_a_sweep_is_published_with_the_trials(tmp_path):
    make_run(tmp_path / "night" / "trial-003")
    names = {"trials.jsonl", "trials.csv", "best_so_far.png", "log.txt"}
    for name in names:
        (tmp_path / "night" / name).write_text("{}\n" * 1000)
    settings = (tmp_path / "night" / "trial-003" / "settings.json").read_text()
    (tmp_path / "night" / "settings.json").write_text(settings)
    change(tmp_path / "night" / "settings.json", settings=dict(
        json.loads(settings)["settings"], do_hyperparameter_optimization=True))
    target = publish(tmp_path / "night" / "trial-003", tmp_path)
    assert target.endswith("RRU/night/trial-003")
    sweep = os.path.dirname(target)
    assert set(os.listdir(sweep)) == names | {"trial-003", "settings.json"}
    runs, left_out = find_runs([str(tmp_path / "results")])
    assert [run.folder for run in runs] == [target] and left_out == []


def test_the_own_winner_of_a_cell_counts_and_not_the_published_one(tmp_path):
    published = find_winners([tool.PUBLISHED])
    theirs = next(winner.unpublished for winner in published
                  if (winner.data[0], winner.cell) == ("JSB Chorales", "RRU"))
    make_run(tmp_path / "tuned-seed1", unpublished=theirs)
    run, = tool.collect([str(tmp_path)])
    assert run.kind == "tuned"
    make_run(tmp_path / "night" / "trial-001", unpublished={"dropout": 0.7})
    write_sweep(tmp_path / "night", 5, 8.0)
    kinds = {os.path.basename(run.folder): run.kind for run in tool.collect([str(tmp_path)])}
    assert kinds == {"trial-001": "tuned", "tuned-seed1": "other"}


def make_sweep(folder, method="tpe", **changes):
    """A finished sweep, whose winner, trial 1, was trained with two seeds."""
    point = {"dropout": 0.7, "learning_rate": 0.002}
    for name, seed in (("trial-001", 1), ("winner-001-seed-2", 2), ("trial-003", 1)):
        make_run(folder / name, seed=seed, unpublished=point, settings={"search_method": method},
                 **changes)
    shutil.copy(str(folder / "trial-001" / "settings.json"), str(folder))
    change(folder / "settings.json", settings=dict(
        json.loads((folder / "settings.json").read_text())["settings"],
        do_hyperparameter_optimization=True))
    for name in ("trials.jsonl", "heat_map.png", "log.txt"):
        (folder / name).write_text("{}\n")
    write_sweep(folder, 3, 8.0, seeds=(1, 2))
    return folder


def publish_sweep(folder, tmp_path):
    return publishing.publish_sweep(str(folder), str(tmp_path / "results"))


def test_a_sweep_is_published_with_its_winners_runs_and_no_other_trials(tmp_path, monkeypatch):
    sweep = make_sweep(tmp_path / "night", parameters=1000)
    (sweep / "sweep.json").rename(tmp_path / "sweep.json")
    with pytest.raises(UserError, match="sweep.json is missing: let the sweep finish"):
        publish_sweep(sweep, tmp_path)
    (tmp_path / "sweep.json").rename(sweep / "sweep.json")
    change(sweep / "winner-001-seed-2" / "results.json", stop_reason="")
    with pytest.raises(UserError, match="winner-001-seed-2 is not finished"):
        publish_sweep(sweep, tmp_path)
    assert not (tmp_path / "results").exists()
    change(sweep / "winner-001-seed-2" / "results.json", stop_reason="done")
    target = publish_sweep(sweep, tmp_path)
    assert target == str(tmp_path / "results" / "music" / "JSB Chorales" / "RRU" / "night")
    assert sorted(os.listdir(target)) == [
        "heat_map.png", "log.txt", "settings.json", "sweep.json", "trial-001", "trials.jsonl",
        "winner-001-seed-2"]
    for name in ("trial-001", "winner-001-seed-2"):
        assert os.listdir(os.path.join(target, name, "checkpoints")) == ["best.npz"]
    runs, left_out = find_runs([str(tmp_path / "results")])
    assert [run.kind for run in runs] == ["tuned", "tuned"] and left_out == []
    with pytest.raises(UserError, match="remove what is there"):
        publish_sweep(sweep, tmp_path)
    # tools/reproduce.py finds the winner.
    monkeypatch.setattr(reproduce_plan, "PUBLISHED", str(tmp_path / "results"))
    job, = reproduce_plan.plan(*reproduce._options(
        ["JSB Chorales", "--cells", "RRU", "--tuned", "--runs_folder", str(tmp_path)]))
    assert (job.settings.dropout, job.settings.learning_rate) == (0.7, 0.002)


def test_the_winner_of_a_grid_is_no_tuning(tmp_path):
    make_sweep(tmp_path / "grid", method="grid")
    assert find_winners([str(tmp_path)]) == []
    publish_sweep(tmp_path / "grid", tmp_path)
    runs, _ = find_runs([str(tmp_path / "results")])
    assert {run.kind for run in runs} == {"other"}


def test_a_trial_is_added_to_its_published_sweep_only(tmp_path):
    sweep = make_sweep(tmp_path / "night")
    published = publish_sweep(sweep, tmp_path)
    (sweep / "heat_map.png").write_text("of more trials")
    (sweep / "trials.jsonl").write_text("{}\n[]\n")
    (sweep / "sweep.json").rename(tmp_path / "sweep.json")
    before = contents(tmp_path / "results")
    with pytest.raises(UserError, match="night is not finished, but what is published of it is: "
                                        "let the sweep finish"):
        publish(sweep / "trial-003", tmp_path)
    (tmp_path / "sweep.json").rename(sweep / "sweep.json")
    (sweep / "trials.jsonl").write_text("[]\n")
    with pytest.raises(UserError, match="results/.*night has trials that .*night does not have: "
                                        "remove what is published"):
        publish(sweep / "trial-003", tmp_path)
    assert contents(tmp_path / "results") == before
    (sweep / "trials.jsonl").write_text("{}\n[]\n")
    assert publish(sweep / "trial-003", tmp_path) == os.path.join(published, "trial-003")
    assert read(published, "heat_map.png") == "of more trials"


def test_runs_that_were_not_tested_are_no_results(tmp_path):
    run = make_run(tmp_path / "trial")
    change(run / "results.json", test=None)
    assert find_runs([str(tmp_path)]) == ([], ["%s: it is not finished, or was not tested" % run])
    with pytest.raises(UserError, match="was not tested"):
        publish(run, tmp_path)


def test_a_run_whose_samples_are_being_made_is_not_published(tmp_path):
    run = make_run(tmp_path / "run")
    with lock_folder(str(run)), pytest.raises(UserError, match="is in use by another process"):
        publish(run, tmp_path)
    assert not (tmp_path / "results").exists()


def test_an_unfinished_run_is_not_published(tmp_path):
    with pytest.raises(UserError, match="let the run finish"):
        publish(tmp_path, tmp_path)


@pytest.fixture
def published_weights(tmp_path):
    """A copy of a run that is published with its weights."""
    folder = os.path.join(ROOT, "results", "mnist", "SequentialDigits", "RRU", "seed1")
    shutil.copytree(folder, str(tmp_path / "seed1"))
    return tmp_path / "seed1"


def test_published_weights_give_the_published_metrics_again(published_weights, tmp_path):
    published = json.loads(read(published_weights, "results.json"))
    change(published_weights / "results.json", test=None)
    mnist_main.main(["--evaluate", str(published_weights), "--data_folder", str(tmp_path)])
    again = json.loads(read(published_weights, "results.json"))
    for split in ("valid", "test"):
        assert again[split] == pytest.approx(published[split], rel=1e-5)
    for name in ("epochs", "best_epoch", "stop_reason", "seconds", "steps"):
        assert again[name] == published[name]
    assert not (published_weights / "checkpoints" / "last.npz").exists()


def test_to_evaluate_a_published_run_changes_none_of_its_files(published_weights, tmp_path, capsys):
    before = contents(published_weights)
    mnist_main.main(["--evaluate", str(published_weights), "--data_folder", str(tmp_path)])
    published = json.loads(read(published_weights, "results.json"))
    assert "accuracy        valid %.2f %%, test %.2f %%" % (
        100 * published["valid"]["accuracy"], 100 * published["test"]["accuracy"]
    ) in capsys.readouterr().out
    assert contents(published_weights) == before


def contents(folder):
    """{path: bytes} of all files below a folder, but for the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path): path.read_bytes() for path in files}


def test_runs_with_settings_of_their_own_stand_under_no_empty_heading(tmp_path, capsys):
    make_run(tmp_path / "own", unpublished={"dropout": 0.1})
    tool.main([str(tmp_path)])
    shown = capsys.readouterr().out
    assert shown.startswith("## Other settings") and "## The runs of each row" not in shown
    assert "## What to expect" not in shown and "Short trials" not in shown
    assert not (tmp_path / "chart.png").exists()  # it would have no panel


def test_in_a_terminal_the_commands_stand_below_the_tables(tmp_path, capsys):
    make_run(tmp_path / "first", unpublished={"dropout": 0.1})
    make_run(tmp_path / "second")
    tool.main([str(tmp_path)])
    shown = capsys.readouterr().out
    assert "%s:\n    python -u mm_main.py" % (tmp_path / "first") in shown
    lines = [line for line in shown.splitlines() if line.startswith("| ")]
    assert lines and max(map(len, lines)) < 120 and "python" not in "".join(lines)
    assert "| 8.041 window NLL |" in shown and "](" not in shown


@pytest.mark.parametrize("data_set, of, tuned, label", [
    ("JSB Chorales", JSB, False, "no untuned value is published"), ("JSB Chorales", JSB, True, ""),
    ("IMDB", os.path.join(ROOT, "results/sentiment/IMDB/RRU/seed1"), False, "")])
def test_a_panel_of_the_chart_says_so_if_there_is_nothing_of_theirs(tmp_path, monkeypatch, data_set,
                                                                    of, tuned, label):
    drawn = []
    monkeypatch.setattr(tool.chart, "save", lambda figure, path: drawn.append(figure))
    make_run(tmp_path / "trial-001", of=of, unpublished={"dropout": 0.77} if tuned else ())
    if tuned:
        write_sweep(tmp_path, 5, 8.0)
    tool.main([str(tmp_path)])
    axes = drawn[0].axes[0]
    assert axes.get_title().startswith(data_set + ", %s\n" % ("tuned" if tuned else "untuned"))
    assert axes.get_xlabel() == label


def test_to_look_at_the_published_runs_changes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(tool.chart, "draw", None)
    tool.main([])
    assert "## The runs of each row" in capsys.readouterr().out
    with pytest.raises(UserError, match="--readme is given with folders"):
        tool.main(["runs", "--readme"])
