"""Grids, random search, heat maps, the summary of a sweep, and pruning."""

import csv
import json
import math
import os

import pytest

import mm_main
from files.errors import UserError
from reports.publishing import SWEEP_FILES
from sweeps import grids, heat_map, winner
from sweeps import report as sweep_report
from sweeps.pruning import median_rule
from sweeps.search_space import points_in, search_space
from sweeps.suggestions import next_point
from sweeps.summary import summary
from test_sweep import Toy, folder_of
from tools import grids as tool
from training.early_stopping import EarlyStopping
from training.read_settings import read_settings

GRID = {"dropout": ("grid", 0.1, 0.5, 3), "number_of_parameters": ("log_grid", 1000, 100000, 3)}


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


SWEEP = ["--do_hyperparameter_optimization", "True"]


def grid_words(search=GRID):
    return ["--search_method", "grid", "--search", str(search), "--sweep_trials", "2"]


def test_a_grid_is_all_combinations_and_sweep_trials_does_not_limit_it(toy):
    toy.orders(t4="broken")
    with toy.open(*grid_words()) as sweep:
        with pytest.raises(UserError, match="3 times in a row"):
            sweep.search()
        assert len(sweep.records) == 3
    toy.orders(t8="nan")
    with toy.open(*grid_words()) as sweep:
        sweep.search()
        points = [tuple(sorted(record["point"].items())) for record in sweep.records]
        assert len(points) == len(set(points)) == 9
        assert {dict(point)["dropout"] for point in points} == {0.1, 0.3, 0.5}
        assert {dict(point)["number_of_parameters"] for point in points} == {1000, 10000, 100000}
        winner.finish(sweep)
        report = json.loads(open(sweep.run.file("sweep.json")).read())
        for name in ("heat_map.png", "epochs.png"):
            assert os.path.getsize(sweep.run.file(name)) > 5000
        pictures = {name for name in os.listdir(sweep.run.path) if name.endswith(".png")}
        assert pictures <= set(SWEEP_FILES)
    assert report["summary"]["failed"] == 1 and report["summary"]["worst"] is None
    assert report["summary"]["epochs"] == 8 * 4 and report["summary"]["trials"] == 9


def test_a_grid_may_grow_but_not_shrink(toy):
    large = {"dropout": ("choice", [0.3, 0.1, 0.2, 0.5]),
             "number_of_parameters": ("log_grid", 1000, 1000000, 4)}
    with toy.open(*grid_words()) as sweep:
        sweep.search()
        before = list(sweep.records)
        winner.finish(sweep)
    with toy.open(*grid_words(large)) as sweep:
        sweep.search()
        assert sweep.records[:9] == before and len(sweep.records) == 16
        points = {tuple(sorted(record["point"].items())) for record in sweep.records}
        assert len(points) == 16
        winner.finish(sweep)
    for search in (GRID, dict(large, batch_size=("choice", [8, 16])), {"dropout": large["dropout"]},
                   dict(large, dropout=("choice", [0.1, 0.2, 0.5, 0.7]))):
        with pytest.raises(UserError, match="was begun with search .*--sweep_name"):
            toy.open(*grid_words(search))


def test_seeds_may_be_a_dimension_of_a_grid_only(toy):
    search = {"dropout": ("choice", [0.1, 0.3]), "seed": ("choice", [1, 2, 3])}
    with toy.open(*grid_words(search)) as sweep:
        sweep.search()
        seeds = sorted((record["point"]["dropout"], record["point"]["seed"])
                       for record in sweep.records)
        assert seeds == [(rate, seed) for rate in (0.1, 0.3) for seed in (1, 2, 3)]
        assert {call["seed"] for call in toy.calls()} == {"1", "2", "3"}
    with pytest.raises(UserError, match="seed is the same in all trials"):
        search_space(toy.settings("--search", str(search)))


@pytest.mark.parametrize("search, words", [
    ({}, "a grid needs dimensions"), ({"dropout": ("uniform", 0.1, 0.5)}, "a grid is of lists"),
    ({"dropout": ("grid", 0.1, 0.5)}, "must be"), ({"dropout": ("grid", 0.1, 0.5, 1)}, "must be"),
    ({"dropout": ("log_grid", 0, 0.5, 3)}, "must be"),
    ({"dropout": ("grid", 0.5, 1.5, 3)}, "dropout is 1.0"),
    ({"dropout": ("grid", 0.1, 0.5, 2.0)}, "must be"),
    ({name: ("grid", 0.1, 0.5, 1000) for name in ("dropout", "learning_rate")},
     "a grid of 1,000,000 points, but at most 100,000 are possible")])
def test_grids_that_cannot_be_are_named(search, words):
    settings = read_settings(vars(mm_main), SWEEP + grid_words(search))
    with pytest.raises(UserError, match=words):
        search_space(settings)


def test_a_method_that_is_unknown_is_named():
    with pytest.raises(UserError, match="search_method is 'grib', .* tpe, random, grid"):
        search_space(read_settings(vars(mm_main), SWEEP + ["--search_method", "grib"]))


def test_values_of_grids_are_short_and_keep_their_ends():
    space = search_space(read_settings(vars(mm_main), SWEEP + grid_words({
        "learning_rate": ("log_grid", 1e-4, 1e-2, 5), "batch_size": ("grid", 1, 4, 7)})))
    assert space["learning_rate"][1] == [1e-4, 0.0003162, 0.001, 0.003162, 1e-2]
    assert space["batch_size"][1] == [1, 2, 3, 4] and points_in(space) == 20


def test_random_search_does_not_learn():
    space = {"dropout": ("uniform", 0.0, 0.8)}
    found = []
    for losses in ([0.0, 1.0] * 10, [1.0, 0.0] * 10):
        earlier = [{"point": {"dropout": 0.04 * number}, "loss": loss}
                   for number, loss in enumerate(losses)]
        found.append([next_point("random", space, earlier, (1, number)) for number in range(5)])
    assert found[0] == found[1]


def test_a_grid_under_the_name_of_another_kind_of_sweep_is_told_so(toy):
    for search in ("{}", "{'dropout': ('uniform', 0.1, 0.5)}"):
        name = ["--sweep_name", "sweep%d" % len(search), "--sweep_trials", "2"]
        with toy.open("--search", search, *name) as sweep:
            sweep.search()
        with pytest.raises(UserError, match="sweep%d was begun with search .*--sweep_name" % len(
                search)):
            toy.open(*grid_words(), *name)


def test_a_grid_over_three_settings_keeps_no_map_of_its_first_slice(toy):
    search = dict(GRID, middle_layer_size_multiplier=("choice", [1.0, 2.0]))
    with toy.open(*grid_words(search)) as sweep:
        sweep.search()
        name = sweep.run.file("heat_map.png")
        slice_of_two = [record for record in sweep.records
                        if record["point"]["middle_layer_size_multiplier"] == 1.0]
        sweep_report.write(sweep.run, slice_of_two, sweep.space)
        assert os.path.exists(name)
        sweep_report.write(sweep.run, sweep.records, sweep.space)
        assert not os.path.exists(name) and not os.path.exists(sweep.run.file("epochs.png"))


def test_a_grid_names_its_data_and_counts_the_epochs_of_all_seeds(toy):
    search = {"learning_rate": None, "number_of_parameters": None, "seed": ("choice", [1, 2]),
              "middle_layer_size_multiplier": ("choice", [1.0]), "dropout": ("choice", [0.1])}
    with toy.open("--search_method", "grid", "--search", str(search)) as sweep:
        sweep.search()
        grid = grids.load_grid(sweep.run.path)
        path = sweep.run.file("settings.json")
    assert list(grid.epochs.values()) == [4] and grids.grid_summary(grid)["epochs"] == 8
    saved = json.loads(open(path).read())
    saved["data"] = {"fingerprint": "of a part", "fraction": 0.25}
    with open(path, "w") as file:
        json.dump(saved, file)
    part = grids.load_grid(sweep.run.path)
    assert part.data_set == "25 % of the full " + grid.data_set


def test_the_summary_of_a_sweep():
    assert summary([2.0, 2.1, 3.0, None], [1, 2, 3, 0], lower_is_better=True) == {
        "trials": 4, "failed": 1, "epochs": 6, "best": 2.0, "median": 2.55, "worst": None,
        "within_5_percent": 0.5}
    accuracies = summary([-0.9, -0.86, -0.5], [1, 1, 1], lower_is_better=False)
    assert (accuracies["best"], accuracies["median"], accuracies["worst"]) == (0.9, 0.86, 0.5)
    assert accuracies["within_5_percent"] == pytest.approx(2 / 3)


def test_a_grid_whose_points_all_failed_with_a_seed_has_no_picture(toy):
    search = {"learning_rate": None, "number_of_parameters": None, "seed": ("choice", [1, 2]),
              "middle_layer_size_multiplier": ("choice", [1.0]), "dropout": ("choice", [0.1])}
    toy.orders(t2="nan")
    with toy.open("--search_method", "grid", "--search", str(search)) as sweep:
        sweep.search()
        sweep_report.write(sweep.run, sweep.records, sweep.space)
        assert not os.path.exists(sweep.run.file("heat_map.png"))
        with pytest.raises(UserError, match="is not a sweep over two settings that has results"):
            grids.load_grid(sweep.run.path)


def test_trained_epochs_stand_beside_a_sweep_over_their_limit(toy):
    search = {"learning_rate": None, "number_of_parameters": None, "epochs": ("choice", [9]),
              "middle_layer_size_multiplier": None, "dropout": ("choice", [0.1])}
    with toy.open("--search_method", "grid", "--search", str(search)) as sweep:
        sweep.search()
        sweep_report.write(sweep.run, sweep.records, sweep.space)
        with open(sweep.run.file("trials.csv")) as file:
            line, = csv.DictReader(file)
    assert (line["epochs"], line["epochs_done"]) == ("9", "4")


@pytest.mark.parametrize("low, high", [
    (1e-4, 1e-2), (1e-3, 1e-2), (2e-4, 9e-3), (1e-6, 1), (1e-12, 1), (7e-4, 8e-4), (8e-4, 1.2e-3)])
def test_the_ticks_of_a_logarithmic_dimension_do_not_overlap(toy, monkeypatch, low, high):
    drawn = {}
    monkeypatch.setattr(sweep_report, "save",
                        lambda figure, path: drawn.update({os.path.basename(path): figure}))
    dimension = {"learning_rate": ("log", low, high)}
    space = dict(dimension, dropout=("uniform", 0, 0.8), window_size=("integer", 2, 9))
    rates = [low * (high / low) ** (number / 9) for number in range(10)]
    records = [{"trial": number, "loss": rate, "value": rate, "metric": "window_nll",
                "point": {"learning_rate": rate, "dropout": 0.1, "window_size": 3}}
               for number, rate in enumerate(rates, 1)]
    with toy.open() as sweep:
        sweep_report.write(sweep.run, records, space)
    figure = drawn["dimensions.png"]
    figure.canvas.draw()
    axes = figure.axes[1]
    assert axes.get_xlabel() == "learning_rate"
    left, right = axes.get_xlim()
    boxes = [tick.label1.get_window_extent() for tick in axes.xaxis.get_major_ticks()
             if left <= tick.get_loc() <= right]
    assert len(boxes) >= 2
    assert all(one.x1 < other.x0 for one, other in zip(boxes, boxes[1:]))
    low_dropout, high_dropout = figure.axes[0].get_xlim()
    assert low_dropout < 0 and high_dropout > 0.8  # all of the dimension, wherever the trials are


@pytest.mark.parametrize("metric, best, step, arrow", [("window_nll", 8.0, 0.1, "^"),
                                                       ("accuracy", 0.9, -0.05, "v")])
def test_trials_that_failed_or_are_far_worse_are_marked_at_the_edge(toy, monkeypatch, metric, best,
                                                                    step, arrow):
    drawn = {}
    monkeypatch.setattr(sweep_report, "save",
                        lambda figure, path: drawn.update({os.path.basename(path): figure}))
    values = [best + step * number for number in (1, 0, 2, 2, 9.5)]
    records = [{"trial": number, "loss": value if step > 0 else -value, "value": value,
                "metric": metric, "pruned": number == 3, "point": {"dropout": 0.1 * number}}
               for number, value in enumerate(values, 2)]
    failed = {"trial": 1, "loss": None, "reason": "nan", "point": {"dropout": 0.7}}
    with toy.open() as sweep:
        sweep_report.write(sweep.run, [failed] + records, {"dropout": ("uniform", 0, 0.8)})
    factor = 100 if metric == "accuracy" else 1
    for name in ("dimensions.png", "best_so_far.png"):
        axes = drawn[name].axes[0]
        points, arrows = axes.collections
        assert len(points.get_offsets()) == 4 and len(arrows.get_offsets()) == 1
        assert points.get_facecolors()[1][3] == 0 and points.get_facecolors()[0][3] == 1  # hollow
        ends = axes.get_ylim()
        edge = arrows.get_offsets()[0][1]
        assert min(ends) < edge < max(ends)
        assert abs(edge - factor * best) < 8 * abs(factor * step)
        crosses = next(line for line in axes.lines if line.get_marker() == "x")
        assert crosses.get_ydata().tolist() == [edge]
        title = axes.get_title() or drawn[name]._suptitle.get_text()
        assert title.endswith("6 trials, 1 failed\nhollow: pruned; triangle: worse, as far as "
                              "%.4g; cross: failed" % (factor * values[-1]))


def test_the_same_value_in_all_trials_can_be_drawn(toy):
    records = [{"trial": number, "loss": 8.0, "value": 8.0, "metric": "nll",
                "point": {"dropout": 0.1}} for number in (1, 2)]
    with toy.open() as sweep:
        sweep_report.write(sweep.run, records, {"dropout": ("choice", [0.1, 0.2])})
        assert os.path.getsize(sweep.run.file("dimensions.png")) > 5000


@pytest.mark.tf2
def test_tensorboard_compares_runs_by_settings_and_final_metrics(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from training.events import Events
    from training.quiet_tensorflow import tf
    with tf.Graph().as_default():
        events = Events(str(tmp_path))
        events.hyperparameters(7, {"learning_rate": 0.5, "cell_name": "RRU", "stateful": True},
                               {"best_valid/bpc": 1.5})
        events.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    assert values["learning_rate"].number_value == 0.5
    assert values["stateful"].bool_value or values["stateful"].number_value == 1  # on 1.15
    assert values["cell_name"].string_value == "RRU"
    assert metadata.SESSION_END_INFO_TAG in found.summary_metadata
    assert [(event.step, event.value) for event in found.Scalars("best_valid/bpc")] == [(7, 1.5)]


# --- tools/grids.py ---

def test_the_authors_grids_and_their_summary():
    found = grids.load_paper_grids(tool.PAPER)
    assert len(found) == 9 and {len(grid.values) for grid in found} == {100}
    lines = "\n".join(tool.table(found))
    for text in ("| Nottingham RRU, test window NLL | 2.961 (0.0008, 2.6 M) | 3.027 | 3.141 | 98 %"
                 " | 0 of 100 | 4,027 |",
                 "| penn LSTM, test perplexity | 142.40 (0.0013, 10 M) | 157.05 | failed | 12 % | "
                 "17 of 100 | 3,174 |"):
        assert text in lines


def test_grids_over_different_settings_name_them_in_each_line():
    paper = grids.load_paper_grids(tool.PAPER)[0]
    other = paper._replace(names=("dropout", "number_of_layers"))
    lines = tool.table([paper, other])
    assert lines[0].startswith("| grid | best (at) |")
    assert "(learning_rate 0.0008, number_of_parameters 2.6 M)" in lines[2]
    assert "(dropout 0.0008, number_of_layers 2.6 M)" in lines[3]


def our_grid(toy, *words):
    """The folder of a grid on Nottingham whose four trials all came to 3.0."""
    search = {"learning_rate": ("choice", [0.001, 0.0013]),
              "number_of_parameters": ("choice", [2600000, 3000000])}
    with toy.open("--data_set_name", "Nottingham", *grid_words(search), *words) as sweep:
        sweep.search()
        folder = sweep.run.path
        records = [dict(record, metric="window_nll", value=3.0, loss=3.0)
                   for record in sweep.records]
    with open(os.path.join(folder, "trials.jsonl"), "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return folder


@pytest.mark.parametrize("normalize, cell, title", [
    ("True", "RRU", "RRU"), ("False", grids.NOT_NORMALISED, "RRU, not normalised")])
def test_our_grids_are_drawn_and_set_beside_the_authors(toy, tmp_path, capsys, normalize, cell,
                                                        title):
    folder = our_grid(toy, "--normalize", normalize)
    tool.main([folder, "--output", str(tmp_path / "grid.png")])
    assert (tmp_path / "grid.png").stat().st_size > 5000
    shown = capsys.readouterr().out
    assert "| Nottingham %s, validation window NLL | 3.000 (" % title in shown
    theirs = next(grid for grid in grids.load_paper_grids(tool.PAPER) if grid.cell == cell)
    value = theirs.values[0.0013, 2600000]
    assert "| Nottingham %s | 0.0013, 2.6 M | 3.000 (validation) | %.3f | %+.3f |" % (
        title, value, 3 - value) in shown
    assert shown.count("(validation)") == 1


def test_failed_fields_of_a_heat_map_are_marked(monkeypatch):
    grid = grids.Grid("toy", "RRU", ("a", "b"), "accuracy", "validation",
                      {(1, 2): 0.5, (2, 2): None}, {(1, 2): 3, (2, 2): 1})
    figure, axes = heat_map.pyplot.subplots()
    heat_map.draw(axes, grid, heat_map.limits([grid]))
    assert sorted(text.get_text() for text in axes.texts) == ["50.00", "failed"]
    heat_map.pyplot.close(figure)


def test_pruned_fields_of_a_heat_map_are_marked_and_counted_if_there_are_any():
    plain = grids.Grid("toy", "RRU", ("a", "b"), "accuracy", "validation",
                       {(1, 2): 0.5, (2, 2): 0.25, (3, 2): None},
                       {(1, 2): 3, (2, 2): 1, (3, 2): 0})
    grid = plain._replace(pruned={(2, 2)})
    for attribute, shown in (("values", ["(25.00)", "50.00", "failed"]),
                             ("epochs", ["(1)", "3", "failed"])):
        figure, axes = heat_map.pyplot.subplots()
        heat_map.draw(axes, grid, heat_map.limits([grid], attribute), attribute)
        assert sorted(text.get_text() for text in axes.texts) == shown
        assert axes.get_xlabel() == "a\n(in brackets: pruned)"
        heat_map.pyplot.close(figure)
    titles, marks, first, second = tool.table([plain, grid])
    assert titles.endswith("| failed | pruned | epochs |") and marks.count("---:") == 6
    assert first.endswith("| 1 of 3 | 0 of 3 | 4 |") and second.endswith("| 1 of 3 | 1 of 3 | 4 |")
    assert "pruned" not in "".join(tool.table([plain]))


def test_pruned_trials_of_a_sweep_are_so_in_its_grid(toy):
    search = {"dropout": ("choice", [0.1, 0.3]), "batch_size": ("choice", [4, 8]),
              "learning_rate": ("choice", [0.01])}  # a third dimension, but it does not vary
    toy.orders(t2="pruned")
    with toy.open(*grid_words(search)) as sweep:
        sweep.search()
        sweep_report.write(sweep.run, sweep.records, sweep.space)
        assert os.path.exists(sweep.run.file("heat_map.png"))
        pruned = next(record for record in sweep.records if record["trial"] == 2)["point"]
        grid = grids.load_grid(sweep.run.path)
    assert grid.names == ("batch_size", "dropout") and len(grid.values) == 4
    assert grid.pruned == {(pruned["batch_size"], pruned["dropout"])}


def test_of_two_settings_one_may_have_a_single_value():
    points = [{"a": 1, "b": 2, "seed": 1}, {"a": 3, "b": 2, "seed": 2}]
    assert grids.two_settings(points) == ("a", "b")
    assert grids.two_settings([dict(point, c=5) for point in points]) is None  # which of b and c?


def test_grids_of_one_data_set_have_one_bar_of_colours(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(tool, "save", lambda figure, path: drawn.append(figure))
    tool.draw(grids.load_paper_grids(tool.PAPER), str(tmp_path / "grid.png"), "values")
    labels = [axes.get_ylabel() for axes in drawn[0].axes]
    assert [label for label in labels if "better" in label] == [
        "test window NLL\n(lower is better)", "test perplexity\n(lower is better)"]
    assert [axes.get_title() for axes in drawn[0].axes[:5]] == [
        "Nottingham " + cell for cell in ("RRU", "GRU", "LSTM", "Mogrifier LSTM",
                                          "RRU, not normalised")]


def test_a_folder_that_is_given_twice_is_one_grid(toy, tmp_path, capsys):
    folder = our_grid(toy)
    tool.main([folder, folder + os.sep, "--output", str(tmp_path / "grid.png")])
    assert capsys.readouterr().out.count("| Nottingham RRU, validation window NLL |") == 1


@pytest.mark.parametrize("line, named", [
    ("Foo,RRU,0.001,1,3.0,5", "line 4: the data set is 'Foo', but must be: one of Nottingham, p"),
    ("penn,RRU,low,1,3.0,5", "line 4: could not convert string to float: 'low'"),
    ("penn,RRU", "line 4: ")])
def test_a_damaged_line_of_the_authors_grids_is_named(tmp_path, line, named):
    path = tmp_path / "paper.csv"
    path.write_text("# by whom\ndata_set,cell,learning_rate,millions_of_parameters,test_metric,"
                    "epochs\npenn,RRU,0.01,1,100,5\n%s\n" % line)
    with pytest.raises(UserError, match="paper.csv cannot be read .*" + named):
        tool.main(["--paper", str(path), "--output", str(tmp_path / "grid.png")])
    assert not (tmp_path / "grid.png").exists()


def test_a_picture_that_would_not_be_named_png_is_refused(tmp_path):
    with pytest.raises(UserError, match="--output is .*/x.xyz: give a name that ends in .png"):
        tool.main(["--paper", tool.PAPER, "--output", str(tmp_path / "x.xyz")])
    assert not list(tmp_path.iterdir())


def test_a_grid_of_failures_only_has_limits():
    failed = grids.Grid("toy", "RRU", ("a", "b"), "accuracy", "validation", {(1, 2): None}, {})
    assert heat_map.limits([failed]) == (-0.5, 0.5)


@pytest.mark.parametrize("words, named", [
    ([], "no grid to draw"), (["/no/such"], "/no/such/settings.json is missing"),
    (["--paper", "/no/such.csv"], "/no/such.csv is missing")])
def test_grids_that_are_missing_are_named(tmp_path, words, named):
    with pytest.raises(UserError, match=named):
        tool.main(words + ["--output", str(tmp_path / "grid.png")])
    assert not (tmp_path / "grid.png").exists()


# --- Pruning ---

def write_trials(folder, courses, metric="nll", **more):
    records = []
    for number, course in enumerate(courses, 1):
        trial = folder / ("trial-%03d" % number)
        trial.mkdir(parents=True)
        lines = [{"epoch": epoch, "seconds": 1, "train": {metric: value}, "valid": {metric: value}}
                 for epoch, value in enumerate(course, 1)]
        (trial / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        record = {"trial": number, "point": {}, "reason": None, "metric": metric, "seconds": 1,
                  "loss": min(course), "value": min(course), "epochs": len(course)}
        records.append(dict(record, **more.get("t%d" % number, {})))
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in records))


def test_the_median_of_the_finished_trials_by_epoch(tmp_path):
    courses = [[9, 8, 9, 4], [9, 7, 6, 6], [9, 6], [8, 5, 5, 5], [8, 4, 4, 4]]
    write_trials(tmp_path, courses)
    median = median_rule(str(tmp_path / "trial-006"), 2)
    # The third one, which stopped after two epochs, counts with its best; best values so far.
    assert [median(epoch) for epoch in (1, 2, 3, 4, 9)] == [None, 6, 6, 5, 5]
    assert median_rule(str(tmp_path / "trial-006"), 0) is None


@pytest.mark.parametrize("more", [{}, {"t5": {"pruned": True}}, {"t5": {"loss": None}}])
def test_none_is_pruned_before_five_are_finished(tmp_path, more):
    write_trials(tmp_path, [[5.0, 5.0]] * (5 if more else 4), **more)
    assert median_rule(str(tmp_path / "trial-006"), 1)(2) is None


def test_a_trial_that_is_worse_than_the_median_stops():
    stopping = EarlyStopping(patience=9, epochs=9, lower_is_better=True)
    stopping.median_at = lambda epochs_done: 5.0 if epochs_done >= 2 else None
    reasons = []
    for value in (7.0, 4.9, 6.0, 6.0):
        stopping.update(value)
        reasons.append(stopping.reason)
    assert reasons == [None] * 4
    stopping = EarlyStopping(patience=9, epochs=9, lower_is_better=False)
    stopping.median_at = lambda epochs_done: 0.5 if epochs_done >= 2 else None
    stopping.update(0.4)
    assert stopping.reason is None
    stopping.update(0.45)
    assert stopping.reason.startswith("pruned: ")
    again = EarlyStopping(patience=9, epochs=9, lower_is_better=False)
    again.restore(json.loads(json.dumps(stopping.state())))
    assert again.reason == stopping.reason


def test_pruned_trials_are_recorded_as_such_and_their_value_is_learnt(toy):
    toy.orders(t2="pruned")
    with toy.open("--sweep_trials", "3", "--prune_after", "2") as sweep:
        sweep.search()
        first, second, _ = sweep.records
        assert second["pruned"] and "pruned" not in first
        assert second["reason"] is None and math.isfinite(second["loss"])
        winner.finish(sweep)
        report = json.loads(open(sweep.run.file("sweep.json")).read())
    assert report["summary"]["pruned"] == 1 and report["summary"]["failed"] == 0
    assert {call["prune_after"] for call in toy.calls() if "prune_after" in call} == {"2"}
    assert (folder_of(toy.folder) / "trials.csv").read_text().count("True") == 1
