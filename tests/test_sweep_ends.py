"""How trials end: points that failed, interruptions, broken surroundings; what is tried again."""

import errno
import json
import os
import pty
import re
import shlex
import shutil
import sys
import types

import pytest
from matplotlib import pyplot

import experiment
import mm_main
from files.errors import UserError
from files.progress import BAR_FILE, counted
from files.project import call_of
from reports.publishing import publish_sweep
from sweeps import options, progress, spark
from sweeps import sweep as sweep_module
from sweeps import trial as trial_module
from sweeps import winner
from sweeps.records import load_records
from sweeps.suggestions import next_point
from sweeps.trial import AGAIN, DONE
from test_sweep import Toy, folder_of
from training.read_settings import read_settings

CHOICES = ("{'learning_rate': None, 'number_of_parameters': None, "
           "'middle_layer_size_multiplier': None, 'dropout': ('choice', [0.1, 0.2])}")


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def recorded(toy):
    return load_records(str(folder_of(toy.folder)))


@pytest.mark.parametrize("order, reason", [
    ("broken", "the data are missing: run get_data.sh"), ("term", "interrupted by signal 15"),
    ("crash", re.escape("RuntimeError: cudaGetDevice() failed"))])
def test_broken_surroundings_end_a_sweep_and_spend_no_trial(toy, order, reason):
    toy.orders(**{"t%d" % number: order for number in range(2, 13)})
    with toy.open("--sweep_trials", "12") as sweep:
        with pytest.raises(UserError, match="3 times in a row a trial had no result, the last one: "
                           + reason + ": fix this, or remove .*trial-00[24] if its own files are "
                           "damaged"):
            sweep.search()
        assert len(toy.calls()) == 4
    assert [record["trial"] for record in recorded(toy)] == [1]
    toy.orders()
    with toy.open("--sweep_trials", "12") as sweep:
        sweep.search()
        assert [record["trial"] for record in sweep.records] == list(range(1, 13))
        assert not any(record["reason"] for record in sweep.records)


def test_points_tried_after_a_break_are_those_of_a_sweep_without_one(toy, tmp_path):
    toy.orders(t4="broken")
    with toy.open("--sweep_trials", "6") as sweep:
        with pytest.raises(UserError):
            sweep.search()
    toy.orders()
    with toy.open("--sweep_trials", "6") as sweep:
        sweep.search()
        points = [record["point"] for record in sweep.records]
    (tmp_path / "other").mkdir()
    with Toy(tmp_path / "other").open("--sweep_trials", "6") as sweep:
        sweep.search()
        assert [record["point"] for record in sweep.records] == points


def test_a_crash_that_others_do_not_share_is_a_failure(toy):
    toy.orders(t2="crash", t3="crash", t5="crash")
    with toy.open("--sweep_trials", "5") as sweep:
        sweep.search()
        assert [record["trial"] for record in sweep.records] == [1, 2, 3, 4, 5]
        assert [bool(record["reason"]) for record in sweep.records] == [
            False, True, True, False, True]
    assert len(toy.calls()) == 5


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPERM, errno.EAGAIN])
def test_a_disk_or_a_system_that_starts_no_process_spends_no_trial(toy, monkeypatch, number):
    def broken(*_, **__):
        raise OSError(number, os.strerror(number))
    with toy.open("--sweep_trials", "4") as sweep:
        with monkeypatch.context() as patched:
            patched.setattr(trial_module.subprocess, "Popen", broken)
            with pytest.raises(UserError, match="3 times in a row .* no process can be started"):
                sweep.search()
        with monkeypatch.context() as patched:
            patched.setattr(trial_module, "_wait_for_others", broken)
            with pytest.raises(UserError, match="3 times in a row .*%s" % os.strerror(number)):
                sweep._settle()
                sweep.search()
    assert recorded(toy) == []


def test_a_sweep_on_a_full_disk_ends_in_one_line(toy, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(sweep_module, "save_json_lines", full)
    monkeypatch.setattr(sweep_module, "train", lambda trial: ({"trial": trial.number}, "done"))
    data = types.SimpleNamespace(identity={"fingerprint": "that of toys", "fraction": 1})
    words = toy.words() + ["--sweep_trials", "2"]
    with pytest.raises(UserError, match="No space left.* make room .* the same command again"):
        experiment.run(vars(mm_main), lambda settings: data, None, None, words)


def test_failed_trials_are_tried_again_if_asked(toy):
    toy.orders(t2="nan", t3="overflow")
    with toy.open("--sweep_trials", "4") as sweep:
        sweep.search()
        before = list(sweep.records)
    with toy.open("--sweep_trials", "4") as sweep:
        sweep.search()
        assert sweep.records == before and len(toy.calls()) == 4
    toy.orders(t2="nan")
    left = os.path.join(sweep.run.path, "trial-003", "events.out.tfevents.1")
    open(left, "w").close()  # by which the run would refuse its own folder
    with toy.open("--sweep_trials", "4", "--retry_failed", "True") as sweep:
        sweep.search()
    assert not os.path.exists(left)
    found = {record["trial"]: record for record in recorded(toy)}
    assert sorted(found) == [1, 2, 3, 4] and len(toy.calls()) == 6
    assert found[2]["reason"] and not found[3]["reason"]
    assert {number: record["point"] for number, record in found.items()} == {
        record["trial"]: record["point"] for record in before}


def test_a_trial_on_data_that_were_replaced_meanwhile_ends_the_sweep(toy):
    toy.orders(t3="other data")
    with toy.open("--sweep_trials", "4") as sweep, pytest.raises(
            UserError, match="trial-003 was trained on other data .* put them back, remove"):
        sweep.search()
    toy.orders()
    trial = os.path.join(sweep.run.path, "trial-003")
    with toy.open("--sweep_trials", "4") as sweep:
        assert [record["trial"] for record in sweep.records] == [1, 2]
        shutil.rmtree(trial)
        sweep.search()
        assert [record["loss"] is None for record in sweep.records] == 4 * [False]


def test_a_sweep_without_trials_takes_other_settings(toy):
    with toy.open("--sweep_trials", "1"):
        pass
    with toy.open("--sweep_trials", "1", "--batch_size", "8") as sweep:
        sweep.search()
    with pytest.raises(UserError, match="was begun with batch_size 8, not 16"):
        toy.open("--sweep_trials", "1")


def test_a_hyperparameter_that_did_not_exist_when_a_sweep_began_has_its_published_value(toy):
    with toy.open("--sweep_trials", "1") as sweep:
        sweep.search()
        path = sweep.run.file("settings.json")
    with open(path) as file:
        saved = json.load(file)
    del saved["settings"]["cell_hyperparameters"]["normalize"]
    with open(path, "w") as file:
        json.dump(saved, file)
    with pytest.raises(UserError, match="was begun with cell_hyperparameters .*'normalize': True"):
        toy.open("--sweep_trials", "2", "--normalize", "False")
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()
        assert len(sweep.records) == 2


def test_a_sweep_follows_no_link(toy, tmp_path):
    with toy.open("--sweep_trials", "1") as sweep:
        for name in ("trials.jsonl", "spark.log"):
            os.symlink(str(tmp_path / "target"), sweep.run.file(name))
        with pytest.raises(UserError, match="spark.log is a link"):
            spark.search(sweep)
        sweep.search()
    assert not (tmp_path / "target").exists() and len(recorded(toy)) == 1


def test_the_command_that_continues_tries_what_is_left_and_nothing_twice(toy):
    toy.orders(t1="nan", t2="nan", t3="nan")
    words = ["--sweep_trials", "4"]
    with toy.open(*words) as sweep:
        sweep.search()
    toy.orders(t1="nan", t2="broken")
    with toy.open(*words, "--retry_failed", "True") as sweep:
        assert "--retry_failed True" not in options.continuing_command(sweep.settings)
        with pytest.raises(UserError, match="3 times in a row"):
            sweep.search()
    toy.orders(t1="nan")
    done = len(toy.calls())
    for _ in range(2):  # without --retry_failed, as the command has it
        with toy.open(*words) as sweep:
            sweep.search()
    assert [bool(record["reason"]) for record in recorded(toy)].count(True) == 1
    assert len(toy.calls()) == done + 2


def test_failures_are_kept_until_they_are_tried_again(toy):
    toy.orders(t1="nan", t2="nan")
    with toy.open("--sweep_trials", "3") as sweep:
        sweep.search()
    toy.orders(t1="broken")
    with toy.open("--sweep_trials", "3", "--retry_failed", "True") as sweep:
        with pytest.raises(UserError, match="3 times in a row"):
            sweep.search()
    assert sorted(record["trial"] for record in recorded(toy)) == [1, 2, 3]


def test_a_trial_that_is_tried_again_and_interrupted_is_resumed(toy):
    toy.orders(t2="nan")
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()
    toy.orders(t2="broken")
    with toy.open("--sweep_trials", "2", "--retry_failed", "True") as sweep:
        with pytest.raises(UserError, match="3 times in a row"):
            sweep.search()
    trial = folder_of(toy.folder) / "trial-002"
    shutil.copytree(str(folder_of(toy.folder) / "trial-001"), str(trial))
    (trial / "results.json").unlink()  # as an interrupted training is
    toy.orders()
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()
    assert toy.calls()[-1]["resume"] == str(trial)
    assert [record["reason"] for record in recorded(toy)] == [None, None]


@pytest.mark.parametrize("zero", [0, 0.0])
def test_a_point_is_the_same_whether_its_numbers_are_whole(zero):
    space = {"dropout": ("choice", [0, 0.5]), "number_of_parameters": ("choice", [3e5])}
    earlier = [{"point": {"dropout": zero, "number_of_parameters": 300000}, "loss": 1.0}]
    assert next_point("grid", space, earlier, (1, 2))["dropout"] == 0.5
    assert next_point("tpe", space, earlier, (1, 2))["dropout"] == 0.5


def test_a_sweep_without_a_test_is_refused(toy):
    with pytest.raises(UserError, match="evaluate_on_test is False, but a sweep tests its winner"):
        sweep_module.run(toy.settings("--evaluate_on_test", "False"), None, {})


def test_the_advice_for_a_winners_further_seed_is_of_how_it_ended(toy, monkeypatch):
    with toy.open("--sweep_trials", "1", "--final_seeds", "2") as sweep:
        sweep.search()
        for kind, advice in ((AGAIN, "the same command tries again"),
                             (DONE, "final_seeds 1 gives the report without it")):
            ended = {"reason": "it ended"}, kind
            monkeypatch.setattr(winner, "train", lambda trial, ended=ended: ended)
            with pytest.raises(UserError, match="no result with seed 2 .it ended.: " + advice):
                winner.finish(sweep)
        damaged = os.path.join(sweep.run.path, "winner-001-seed-2")
        os.makedirs(damaged)
        open(os.path.join(damaged, "results.json"), "w").close()
    for seeds in "12":
        with toy.open("--sweep_trials", "1", "--final_seeds", seeds) as sweep:
            with pytest.raises(UserError, match="seed-2/results.json cannot be read.*: remove it"):
                winner.finish(sweep)


@pytest.mark.parametrize("method", ["tpe", "random", "grid"])
def test_identical_points_are_not_trained_twice(toy, capsys, method):
    with toy.open("--sweep_trials", "6", "--search", CHOICES, "--search_method", method) as sweep:
        sweep.search()
        winner.finish(sweep)
        assert sorted(record["point"]["dropout"] for record in sweep.records) == [0.1, 0.2]
    said = "search has only 2 different points" in capsys.readouterr().out
    assert said == (method != "grid")
    assert len(toy.calls()) == 3  # and the test of the winner


def test_a_lower_number_of_trials_than_there_are_ends_the_search(toy, capsys):
    with toy.open("--sweep_trials", "3") as sweep:
        sweep.search()
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search_and_finish()
        assert sweep.size == len(sweep.records) == 3
    assert "sweep of 3 trials, 3 of them done, in " in capsys.readouterr().out


def test_all_points_of_a_small_space_are_found_and_then_none():
    space, earlier = {"a": ("integer", 1, 4), "b": ("choice", ["x", "y", "z"])}, []
    for number in range(12):
        point = next_point("tpe", space, earlier, (1, number))
        assert point not in [record["point"] for record in earlier]
        earlier.append({"point": point, "loss": 1.0 if number % 2 else None})
    assert next_point("tpe", space, earlier, (1, 12)) is None


def test_a_sweep_survives_a_rename_of_its_folder(toy):
    with toy.open("--sweep_trials", "3") as sweep:
        sweep.search()
        best = sweep.best
    folder_of(toy.folder).rename(folder_of(toy.folder, name="better name"))
    with toy.open("--sweep_trials", "4", "--sweep_name", "better name") as sweep:
        sweep.search()
        winner.finish(sweep)
        assert len(sweep.records) == 4 and sweep.best["value"] <= best["value"]
        report = json.loads((folder_of(toy.folder, name="better name") / "sweep.json").read_text())
        assert report["winner"] == sweep.best
    assert not folder_of(toy.folder).exists()


def test_a_folder_without_settings_that_a_kill_left_is_taken(toy):
    folder_of(toy.folder).mkdir(parents=True)
    (folder_of(toy.folder) / "lock").write_text("")
    with toy.open("--sweep_trials", "1") as sweep:
        sweep.search()
        assert len(sweep.records) == 1


def test_other_data_are_refused(toy):
    toy.open("--sweep_trials", "1").__exit__()
    path = folder_of(toy.folder) / "settings.json"
    content = json.loads(path.read_text())
    content["data"]["fingerprint"] = "that of others"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="was made with other data"):
        toy.open("--sweep_trials", "1")


@pytest.mark.parametrize("line, reason", [
    ({"point": {"dropout": "0.5"}}, "'0.5' is not a number"),
    ({"point": "dropout"}, ""), ({"point": {"dropout": float("nan")}}, "nan is not finite"),
    ({"loss": float("nan")}, "loss is nan"), ({"loss": "0.1"}, "wrong kind"),
    ({"value": float("inf")}, "value is inf"), ({"trial": 1}, "trial 1 has a line already"),
    ({"trial": 0}, "0 is below 1"), ({"trial": "2"}, "wrong kind"),
    ({"epochs": 1.5}, "wrong kind")])
def test_a_record_that_cannot_be_is_one_line(toy, line, reason):
    with toy.open("--sweep_trials", "1") as sweep:
        sweep.search()
        path, record = sweep.run.file("trials.jsonl"), sweep.records[0]
    with open(path, "a") as file:
        file.write(json.dumps(dict(record, **dict({"trial": 2}, **line))) + "\n")
    with pytest.raises(UserError, match="trials.jsonl: line 2 cannot be read as the record of a "
                       "trial .*%s.*: fix or remove the line" % re.escape(reason)) as error:
        toy.open("--sweep_trials", "2")
    assert "\n" not in str(error.value)


def test_a_record_nested_deeply_is_one_line(toy):
    with toy.open("--sweep_trials", "1") as sweep:
        sweep.search()
        path = sweep.run.file("trials.jsonl")
    with open(path, "a") as file:
        file.write("[" * 100000 + "]" * 100000 + "\n")
    with pytest.raises(
            UserError, match="trials.jsonl.* cannot be read .*: fix or remove the line"):
        toy.open("--sweep_trials", "2")


def test_a_published_sweep_continues_without_training_its_winner_again(toy, tmp_path):
    words = ["--final_seeds", "2", "--sweep_trials"]
    with toy.open(*words, "2") as sweep:
        sweep.search()
        winner.finish(sweep)
        folder = sweep.run.path
    published = publish_sweep(folder, str(tmp_path / "results"))
    shutil.rmtree(folder)
    shutil.copytree(published, folder)
    toy.orders(t3="worse")
    before = len(toy.calls())
    with toy.open(*words, "3") as sweep:
        sweep.search()
        winner.finish(sweep)
    assert [os.path.basename(call["name"]) for call in toy.calls()[before:]] == ["trial-003"]


# --- What people see of a sweep while it runs ---

def files_of(toy):
    return {path.name for path in folder_of(toy.folder).glob("*")
            if path.suffix in (".csv", ".png", ".json")} - {"settings.json"}


def seen(toy, number):
    """Note what files there are when a trial begins; returns the notes."""
    notes = []

    def train(trial):
        notes.append(files_of(toy))
        if trial.number == number:
            raise KeyboardInterrupt
        return trial_module.train(trial)
    return notes, train


def run_until(toy, monkeypatch, number, *words):
    """The files that each trial found, of a sweep that Ctrl-C ends in a trial."""
    notes, train = seen(toy, number)
    monkeypatch.setattr(sweep_module, "train", train)
    with pytest.raises(SystemExit) as ended, toy.open(*words) as sweep:
        sweep.search_and_finish()
    assert ended.value.code == 130
    return notes


REPORT = {"trials.csv", "best_so_far.png", "dimensions.png"}


def test_table_and_pictures_are_there_while_a_sweep_runs(toy, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_REPORTS", 0)
    toy.orders(t1="nan")
    notes = run_until(toy, monkeypatch, 4, "--sweep_trials", "4")
    assert notes == [set(), {"trials.csv"}, REPORT, REPORT]


def test_an_interrupted_sweep_leaves_its_report_and_names_the_command_that_continues(
        toy, monkeypatch, capsys):
    notes = run_until(toy, monkeypatch, 3, "--sweep_trials", "4")
    assert notes == [set()] * 3 and files_of(toy) == REPORT
    said = [line.partition("continue with: ") for line in capsys.readouterr().out.splitlines()]
    command, = [after for before, _, after in said if before == "interrupted after 2 of 4 trials; "]
    assert command.startswith(call_of("mm_main.py") + " --data_set_name ")
    monkeypatch.setattr(sweep_module, "train", trial_module.train)
    again = read_settings(vars(mm_main), shlex.split(command)[3:])
    assert again.values == toy.settings("--sweep_trials", "4").values


def test_a_sweep_that_ends_with_an_error_leaves_its_report(toy):
    toy.orders(**{"t%d" % number: "broken" for number in range(2, 9)})
    with pytest.raises(UserError, match="3 times in a row"), toy.open() as sweep:
        sweep.search_and_finish()
    assert files_of(toy) == REPORT


def test_a_picture_that_cannot_be_drawn_ends_no_sweep(toy, monkeypatch, capsys):
    def broken(*_, **__):
        raise ValueError("no font")
    monkeypatch.setattr(pyplot, "subplots", broken)
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search_and_finish()
    assert files_of(toy) == {"trials.csv", "sweep.json"}
    assert "table and pictures are not up to date (ValueError: no font)" in capsys.readouterr().out


def test_a_sweep_says_what_it_searches_and_where_its_results_are(toy, capsys):
    search = {"learning_rate": ("log", 0.0001, 0.01), "batch_size": ("choice", [8, 16]),
              "number_of_parameters": None, "middle_layer_size_multiplier": None,
              "dropout": ("grid", 0.0, 0.8, 9)}
    for trials, done in (("1", ""), ("2", ", 1 of them done")):
        with toy.open("--search", str(search), "--sweep_trials", trials) as sweep:
            sweep.search_and_finish()
        shown, folder = capsys.readouterr().out.splitlines(), sweep.run.path
        assert ("sweep of %s%s, in %s: tpe over batch_size choice 8, 16; dropout grid 9 values, "
                "0.0, .., 0.8; learning_rate log 0.0001 to 0.01" % (
                    counted(int(trials), "trial"), done, folder)) in shown
        assert shown[-1] == "its run: %s/trial-%03d; table (trials.csv) and pictures: %s" % (
            folder, sweep.best["trial"], folder)


def test_a_sweep_that_grows_has_no_summary_before_its_end(toy):
    for trials in "12":
        with toy.open("--sweep_trials", trials) as sweep:
            sweep.search()
            assert not os.path.exists(sweep.run.file("sweep.json"))
            winner.finish(sweep)
            summary = sweep.run.file("sweep.json")
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()  # has nothing to do
        assert os.path.exists(summary)


def test_a_trial_ends_well_though_the_terminal_of_its_bar_is_gone(monkeypatch):
    ours, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        environment = {}
        with trial_module._terminal_for_bar(environment) as numbers:
            assert environment == {BAR_FILE: str(*numbers)}
            os.close(ours)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(*numbers)
