"""Sweeps: what is tried, what survives a kill, what is never read, what people get to look at."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from concurrent import futures

import pytest

import lm_main
import mm_main
import mm_utils
import sa_main
import test_mm_utils
from cells.registry import CELLS
from sweeps import sweep as sweep_module
from sweeps import report as sweep_report
from sweeps import trial as trial_module
from files.errors import UserError
from files.writing import lock_folder, save_json
from sweeps import parallel, winner
from sweeps.records import load_records
from sweeps.search_space import check_value, bounds_or_values, search_space
from sweeps.suggestions import suggest
from sweeps.sweep import Sweep
from sweeps.trial import AGAIN, DONE, UNCLEAR, Ended, Trial, call, train
from training.read_settings import read_settings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEARCH = {"number_of_parameters": ("integer", 30000, 60000), "learning_rate": ("log", 1e-3, 1e-2),
          "middle_layer_size_multiplier": ("uniform", 0.5, 1.5)}

# A stand-in for a main script that needs no TensorFlow.
# Its validation metric is the distance of dropout from 0.3.
# What goes wrong with a trial is in the file "orders" beside it, as {name of the trial: order}.
STAND_IN = '''
import ast, json, os, signal, sys, time
options = dict(word[2:].split("=", 1) for word in sys.argv[1:])
folder = options.get("resume") or options.get("evaluate") or os.path.join(
    options["runs_folder"], "music", options["data_set_name"],
    options["cell_name"], options["name"])
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "calls"), "a") as file:
    file.write(json.dumps(dict(options, cuda=os.environ.get("CUDA_VISIBLE_DEVICES"))) + "\\n")
order = json.load(open(os.path.join(here, "orders"))).get(os.path.basename(folder), "")
if order == "nan":
    sys.stderr.write("some warning\\nepoch 1:  50%|#####     |\\r"
                     "error: the loss became nan at step 7\\n")
    sys.exit(3)
if order == "broken":
    sys.stderr.write("error: the data are missing: run get_data.sh\\n")
    sys.exit(2)
if order == "term":
    os.kill(os.getpid(), signal.SIGTERM)
if order == "crash":
    raise RuntimeError("cudaGetDevice() failed")
os.makedirs(os.path.join(folder, "checkpoints"), exist_ok=True)
if not (options.get("resume") or options.get("evaluate")):
    values = dict(options, dropout=float(options["dropout"]))
    for name in ("seed", "batch_size", "number_of_parameters"):
        values[name] = int(options[name])
    values["cell_hyperparameters"] = ast.literal_eval(options["cell_hyperparameters"])
    values.update(data_set_name="toy", cell_name="RRU")
    saved = {"task": "toys", "script": "toy_main.py", "command": "", "unpublished": {},
             "environment": {"tensorflow": "none", "cores": 1}, "settings": values,
             "data": {"fingerprint": "of others" if order == "other data" else "that of toys"}}
    json.dump(saved, open(os.path.join(folder, "settings.json"), "w"))
settings = json.load(open(os.path.join(folder, "settings.json")))["settings"]
for name in ("last.npz", "best.npz"):
    open(os.path.join(folder, "checkpoints", name), "w").close()
if order == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if order == "wait" and not options.get("resume"):
    time.sleep(600)
value = None if order == "overflow" else abs(settings["dropout"] - 0.3) + (order == "worse")
results = {"valid": {"nll": value}, "monitor": "nll", "lower_is_better": True,
           "seconds": 1.0, "epochs": 4,
           "best_epoch": 3, "parameters": 5, "hidden_units": 1, "seed": int(settings["seed"]),
           "stop_reason": "pruned: it is worse" if order == "pruned" else "done",
           "task": "toys", "data_set": "toy", "cell": "RRU", "data_fraction": 1,
           "environment": {"tensorflow": "none", "cores": 1}}
if options["evaluate_on_test"] == "True":
    results["test"] = {"nll": 10.0 + int(settings["seed"])}
json.dump(results, open(os.path.join(folder, "results.json"), "w"))
'''


class Toy(object):
    """A sweep over the dropout of the stand-in."""

    def __init__(self, folder):
        self.folder, self.script = folder, folder / "toy_main.py"
        self.script.write_text(STAND_IN)
        self.orders()

    def orders(self, **orders):
        (self.folder / "orders").write_text(json.dumps({"trial-%03d" % int(name[1:]): order
                                                        for name, order in orders.items()}))

    def settings(self, *more):
        return read_settings(vars(mm_main), self.words() + list(more))

    def words(self):
        search = {"learning_rate": None, "number_of_parameters": None,
                  "dropout": ("uniform", 0.0, 0.8), "middle_layer_size_multiplier": None}
        return ["--runs_folder", str(self.folder / "runs"), "--search", str(search),
                "--do_hyperparameter_optimization", "True"]

    def open(self, *more):
        settings = self.settings(*more)
        data = types.SimpleNamespace(identity={"fingerprint": "that of toys", "fraction": 1})
        return Sweep(settings, search_space(settings), str(self.script), data)

    def calls(self):
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def folder_of(tmp_path, data_set="JSB Chorales", name="sweep"):
    return tmp_path / "runs" / "music" / data_set / "RRU" / name


def children(pid):
    return [int(entry) for entry in os.listdir("/proc")
            if entry.isdigit() and parent_of(entry) == pid]


def parent_of(pid):
    try:
        with open("/proc/%s/stat" % pid) as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def wait_for(condition, what):
    deadline = time.time() + 300
    while not condition():
        assert time.time() < deadline, what
        time.sleep(0.05)


# --- The real thing ---

def test_killed_trials_and_sweeps_lose_nothing_and_the_test_split_is_the_winners(tmp_path):
    data, path = tmp_path / "data", folder_of(tmp_path)
    test_mm_utils.write_source(data, test_mm_utils.made_up_splits(), "JSB Chorales")
    mm_utils.prepare("JSB Chorales", str(data))
    test_split = data / "mm" / "ready" / "JSB Chorales" / "test.npz"
    whole = test_split.read_bytes()
    times = test_split.stat().st_atime_ns, test_split.stat().st_mtime_ns

    def write_test_split(content):
        test_split.write_bytes(content)
        os.utime(str(test_split), ns=times)  # with another time, the files would be prepared again
    write_test_split(b"whoever opens this fails".ljust(len(whole)))
    words = ["--data_folder", str(data), "--runs_folder", str(tmp_path / "runs"),
             "--sweep_trials", "3", "--do_hyperparameter_optimization", "True",
             "--search", str(SEARCH), "--epochs", "60", "--patience", "100", "--batch_size", "2"]
    process = subprocess.Popen([sys.executable, "-u", "mm_main.py"] + words, cwd=ROOT)

    def epochs(number):
        lines = path / ("trial-%03d" % number) / "metrics.jsonl"
        return len(lines.read_text().splitlines()) if lines.exists() else 0
    wait_for(lambda: epochs(2) >= 3, "trial 2 does not train")
    trial, = children(process.pid)
    os.kill(trial, signal.SIGKILL)
    wait_for(lambda: epochs(3) >= 3, "trial 3 does not train")
    orphan, = children(process.pid)
    process.kill()
    process.wait()

    with pytest.raises(UserError, match="could not be tested: .*test.npz cannot be read"):
        mm_main.main(words)
    assert parent_of(orphan) is None
    records = load_records(str(path))
    assert [(record["trial"], record["reason"]) for record in records] == [
        (1, None), (2, "killed by signal 9 (out of memory?)"), (3, None)]
    log = (path / "trial-003" / "log.txt").read_text()
    assert log.count("  epoch 1: ") == 1 and log.count("  epoch 60: ") == 1 and "interrupted" in log
    space = search_space(read_settings(vars(mm_main), words))
    for number, record in enumerate(records):
        assert record["point"] == suggest(space, records[:number], (1, number + 1))
    kept = [name for name in ("trial-001", "trial-002", "trial-003")
            if (path / name / "checkpoints").exists()]
    best = min((record for record in records if record["loss"]), key=lambda record: record["loss"])
    assert kept == ["trial-%03d" % best["trial"]]
    assert not any("test" in json.loads(results.read_text())
                   for results in path.glob("trial-*/results.json"))

    write_test_split(whole)
    mm_main.main(words)
    report = json.loads((path / "sweep.json").read_text())
    assert report["winner"] == best and report["test"]["window_nll"]["values"][0] > 0
    mm_main.main(shlex.split(report["command"])[3:] + words[:4] + ["--name", "again"])
    again = json.loads((path.parent / "again" / "results.json").read_text())
    assert again["valid"]["window_nll"] == best["value"]
    assert again["test"]["window_nll"] == report["test"]["window_nll"]["values"][0]


# --- With the stand-in ---

def test_failed_trials_are_recorded_with_their_reason_and_the_sweep_continues(toy, capsys):
    toy.orders(t2="nan", t3="kill", t4="overflow")
    with toy.open("--sweep_trials", "5") as sweep:
        sweep.search()
        first, second, third, fourth, fifth = [record["reason"] for record in sweep.records]
    assert first is None and fifth is None and second == "the loss became nan at step 7"
    assert third == "killed by signal 9 (out of memory?)"
    assert "results.json cannot be read" in fourth
    shown = capsys.readouterr().out
    assert "trial 2 of 5: failed: the loss became nan at step 7; dropout" in shown
    assert "best so far" in shown


def test_a_sweep_continues_as_if_it_had_not_stopped(toy, tmp_path):
    with toy.open("--sweep_trials", "4") as sweep:
        sweep.search()
    with toy.open("--sweep_trials", "13") as sweep:
        sweep.search()
        resumed = [record["point"] for record in sweep.records]
    assert len(toy.calls()) == 13
    (tmp_path / "other").mkdir()
    with Toy(tmp_path / "other").open("--sweep_trials", "13") as sweep:
        sweep.search()
        assert [record["point"] for record in sweep.records] == resumed
    assert len(set(map(str, resumed))) == 13
    with toy.open("--sweep_trials", "13", "--sweep_name", "seed 2", "--seed", "2") as sweep:
        assert sweep.next_trial().point != resumed[0]


def test_a_bad_line_within_the_records_is_named(toy):
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()
        path = sweep.run.file("trials.jsonl")
    with open(path, "r+") as file:
        file.write("?")
    with pytest.raises(UserError, match="trials.jsonl: line 1 cannot be read"):
        toy.open("--sweep_trials", "2")


@pytest.mark.parametrize("line", [
    '5', '[]', '{}', '{"trial": 1}', '{"trial": 1, "point": {}, "loss": null, "reason": "nan"}',
    ('{"trial": 1, "point": {"dropout": 0.5}, "loss": 0.2, "reason": null, '
     '"metric": "nll", "epochs": 4, "seconds": 1}')])
def test_a_line_that_is_no_record_is_named(toy, line):
    with toy.open("--sweep_trials", "1") as sweep:
        sweep.search()
        path = sweep.run.file("trials.jsonl")
    with open(path, "a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"trials.jsonl: line 2 cannot .* of a trial \(%s" %
                       re.escape(line[:60])):
        toy.open("--sweep_trials", "2")


@pytest.mark.parametrize("text", ["5", "{}", '{"settings": 5}', '{"settings": {}}'])
def test_settings_of_a_sweep_or_a_trial_without_settings_are_named(toy, text):
    with toy.open() as sweep:
        unfinished = folder_of(toy.folder) / "trial-001"
        unfinished.mkdir()
        (unfinished / "settings.json").write_text(text)
        with pytest.raises(
                UserError, match="trial-001/settings.json (cannot be read|lacks) .*: remove this"):
            sweep.search()
    (folder_of(toy.folder) / "settings.json").write_text(text)
    with pytest.raises(
            UserError, match="settings.json cannot be read .* or give another --sweep_name"):
        toy.open()


def test_seeds_that_would_be_too_large_are_named_at_once(toy):
    words = ["--seed", str(2 ** 31 - 1), "--final_seeds", "2"]
    with pytest.raises(UserError, match="seed is 2147483648, .*: the winner is trained with"):
        sweep_module.run(toy.settings(*words), None, vars(mm_main))
    grid = ["--search_method", "grid", "--search", str({"seed": ("choice", [1, 2 ** 31 - 1])})]
    with pytest.raises(UserError, match="seed is 2147483648, .*: the winner is trained with"):
        sweep_module.run(toy.settings("--final_seeds", "2", *grid), None, vars(mm_main))
    assert not (toy.folder / "runs").exists()


def test_a_sweep_name_that_is_a_file_is_named(toy):
    folder_of(toy.folder).parent.mkdir(parents=True)
    folder_of(toy.folder).write_text("mine")
    with pytest.raises(UserError, match="sweep/settings.json is missing: put it back from a copy, "
                       "or give another --sweep_name"):
        toy.open()
    assert folder_of(toy.folder).read_text() == "mine"


@pytest.mark.parametrize("text, reason", [
    ("{", "cannot be read"), ("{}", "cannot be read"), ("5", "cannot be read")])
def test_a_trial_whose_results_are_damaged_failed(toy, text, reason):
    with toy.open("--sweep_trials", "1") as sweep:
        sweep.search()
        os.remove(sweep.run.file("trials.jsonl"))
        with open(sweep.run.file("trial-001/results.json"), "w") as file:
            file.write(text)
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()
        assert "trial-001/results.json " + reason in sweep.records[0]["reason"]
        assert sweep.records[1]["reason"] is None and sweep.best["trial"] == 2
    assert len(toy.calls()) == 2


def test_an_interrupted_trial_is_continued(toy):
    toy.orders(t2="wait")
    with toy.open("--sweep_trials", "2") as sweep:
        last = sweep.run.file("trial-002/checkpoints/last.npz")

        def interrupt():
            wait_for(lambda: os.path.exists(last), "trial 2 does not train")
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            sweep.search()
        assert len(sweep.records) == 1
        # The user has a look at it: its results are not those of a finished training.
        results = json.loads((toy.folder / sweep.run.file("trial-001/results.json")).read_text())
        with open(sweep.run.file("trial-002/results.json"), "w") as file:
            json.dump(dict(results, stop_reason=None), file)
    with toy.open("--sweep_trials", "2") as sweep:
        sweep.search()
    begun, again = toy.calls()[1:]
    assert "resume" not in [name for name, value in begun.items() if value]
    assert again["resume"].endswith("trial-002") and again["evaluate_on_test"] == "False"
    # A trial keeps those of its point.
    assert "epochs" in begun and not {"epochs", "patience"} & set(again)


def test_the_winner_is_tested_with_several_seeds(toy, capsys):
    with toy.open("--sweep_trials", "4", "--final_seeds", "3") as sweep:
        sweep.search()
        assert not any(call["evaluate_on_test"] == "True" for call in toy.calls())
        winner.finish(sweep)
        calls, folder = toy.calls(), sweep.run.path
        winner.finish(sweep)
        assert toy.calls() == calls  # nothing is tested twice
        best = sweep.best
    with toy.open("--sweep_trials", "4", "--final_seeds", "1") as sweep:
        winner.finish(sweep)  # what was tested before stays in the report
    with open(os.path.join(folder, "sweep.json")) as file:
        report = json.load(file)
    assert report["seeds"] == [1, 2, 3]
    assert report["test"]["nll"] == {"mean": 12.0, "std": 1.0, "values": [11.0, 12.0, 13.0]}
    assert report["winner"] == best
    assert best["value"] == min(record["value"] for record in sweep.records)
    assert os.listdir(os.path.join(folder, "trial-%03d" % best["trial"], "checkpoints"))
    shown = capsys.readouterr().out
    ranks = re.findall(r"^ *(\d) +0\.\d+  nll (0\.\d+) after", shown, re.MULTILINE)[:4]
    assert [float(value) for _, value in ranks] == sorted(
        round(record["value"], 4) for record in sweep.records)
    assert "test nll of the winner: 12.0000, standard deviation 1.0000 over 3 seeds" in shown
    with open(os.path.join(folder, "trials.csv")) as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [record["value"] for record in sweep.records]
    assert float(rows[-1]["best_so_far"]) == best["value"]
    for name in ("best_so_far.png", "dimensions.png"):
        assert os.path.getsize(os.path.join(folder, name)) > 5000


@pytest.mark.parametrize("trials", [1, 3])
def test_pictures_of_a_sweep_have_the_metric_with_its_unit_and_whole_trials(
        toy, monkeypatch, trials):
    drawn = {}
    monkeypatch.setattr(sweep_report, "save",
                        lambda figure, path: drawn.update({os.path.basename(path): figure}))
    with toy.open() as sweep:
        records = [{"trial": number + 1, "point": {"dropout": 0.1 * number}, "loss": 8.0 - number,
                    "value": 8.0 - number, "metric": "window_nll"} for number in range(trials)]
        sweep_report.write(sweep.run, records, sweep.space)
    trial_axes = drawn["best_so_far.png"].axes[0].xaxis, drawn["dimensions.png"].axes[-1].yaxis
    for axis in trial_axes:
        low, high = axis.get_view_interval()
        shown = [tick for tick in axis.get_ticklocs() if low <= tick <= high]
        assert shown and all(tick == round(tick) for tick in shown)
    for figure in drawn.values():
        assert figure.axes[0].get_ylabel() == "validation\nnegative log-likelihood [nats/step]"


def test_a_winner_whose_run_is_gone_is_trained_again(toy):
    with toy.open("--sweep_trials", "3") as sweep:
        sweep.search()
        first, records, folder = sweep.best, list(sweep.records), sweep.run.path
    path = os.path.join(folder, "trial-%03d" % first["trial"])
    os.remove(os.path.join(path, "results.json"))
    toy.orders(**{"t%d" % first["trial"]: "broken"})
    with toy.open("--sweep_trials", "3") as sweep:
        with pytest.raises(UserError, match="winner has no result .the data are missing"):
            winner.finish(sweep)
        assert sweep.records == records
    toy.orders()
    shutil.rmtree(path)  # as in a published sweep
    with toy.open("--sweep_trials", "3") as sweep:
        winner.finish(sweep)
        assert sweep.best["value"] == first["value"] and len(sweep.records) == 3
        assert load_records(sweep.run.path, sweep.space) == sweep.records
    again = toy.calls()[-2:]
    assert [call.get("resume") or call.get("evaluate") for call in again] == ["", path]


def test_of_several_seeds_only_the_metrics_that_all_have_are_averaged():
    finals = [{"test": {"nll": 1.0, "batch_nll": 5.0}}, {"test": {"nll": 3.0}}]
    for runs in (finals, finals[::-1]):  # one is of an earlier version
        found = winner._by_metric(runs, "test")
        assert list(found) == ["nll"] and found["nll"]["mean"] == 2.0


@pytest.mark.parametrize("lost", ["", "checkpoints"])
def test_a_winner_that_is_worse_when_trained_again_stays_the_winner(toy, capsys, lost):
    words = ["--sweep_trials", "3", "--prune_after", "2", "--final_seeds", "2"]
    with toy.open(*words) as sweep:
        sweep.search()
        first, records = sweep.best, list(sweep.records)
        shutil.rmtree(sweep.run.file("trial-%03d/%s" % (first["trial"], lost)))
    toy.orders(**{"t%d" % first["trial"]: "worse"})
    for _ in range(2):  # the second time nothing is trained
        with toy.open(*words) as sweep:
            winner.finish(sweep)
            assert sweep.records == records and sweep.best == first
    trials, again = toy.calls()[:3], toy.calls()[3:]
    assert [bool(call.get("evaluate")) for call in again] == [False, False, True]
    assert [call["prune_after"] for call in trials] == ["2"] * 3
    assert [call["prune_after"] for call in again if "name" in call] == ["0"] * 2
    report = json.loads((folder_of(toy.folder) / "sweep.json").read_text())
    assert report["winner"] == first
    valid = report["valid"]["nll"]
    assert valid["values"] == pytest.approx([first["value"] + 1, first["value"]])
    assert valid["mean"] == pytest.approx(first["value"] + 0.5)
    assert "; it won, and stays the winner, by: nll 0." in capsys.readouterr().out


def test_a_winner_that_fails_when_trained_again_gives_way_to_the_next(toy):
    with toy.open("--sweep_trials", "3") as sweep:
        sweep.search()
        first, folder = sweep.best, sweep.run.path
    shutil.rmtree(os.path.join(folder, "trial-%03d" % first["trial"]))
    toy.orders(**{"t%d" % first["trial"]: "nan"})
    with toy.open("--sweep_trials", "3") as sweep:
        winner.finish(sweep)
        assert sweep.best["trial"] != first["trial"]
    with open(os.path.join(folder, "sweep.json")) as file:
        report = json.load(file)
    assert report["winner"] == sweep.best and report["summary"]["failed"] == 1


def test_a_sweep_in_which_nothing_succeeds_stops_early(toy):
    toy.orders(**{"t%d" % number: "nan" for number in range(1, 100)})
    with toy.open() as sweep:
        with pytest.raises(
                UserError, match="all 5 trials failed, the last with: the loss became nan"):
            sweep.search()


def test_only_one_process_sweeps_and_only_with_the_same_settings(toy, tmp_path):
    with toy.open():
        with pytest.raises(UserError, match="in use by another process"):
            toy.open()
    with toy.open("--gpu", "", "--sweep_trials", "7") as sweep:
        os.mkdir(sweep.run.file("trial-001"))
        save_json(sweep.run.file("trial-001/settings.json"), {})
    with pytest.raises(UserError, match="was begun with batch_size 16, not 8: .*--sweep_name"):
        toy.open("--batch_size", "8")
    run = tmp_path / "runs" / "music" / "JSB Chorales" / "RRU" / "run"
    run.mkdir()
    saved = json.loads((run.parent / "sweep" / "settings.json").read_text())
    saved["settings"]["do_hyperparameter_optimization"] = False
    (run / "settings.json").write_text(json.dumps(saved))
    with pytest.raises(UserError, match="is not a sweep"):
        toy.open("--sweep_name", "run")


def test_a_child_ends_when_its_sweep_is_killed(tmp_path):
    child = tmp_path / "child.py"
    child.write_text("import os, time; open(%r, 'w').write(str(os.getpid())); time.sleep(60)" % str(
        tmp_path / "pid"))
    parent = subprocess.Popen(
        [sys.executable, "-c", "from sweeps.trial import call; call(%r, [])" % str(child)],
        cwd=ROOT)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(),
             "the child does not start")
    parent.kill()
    parent.wait()
    wait_for(lambda: parent_of((tmp_path / "pid").read_text()) is None, "the child still runs")


def test_a_run_that_another_process_begins_meanwhile_is_waited_for(tmp_path, monkeypatch):
    ends = [Ended(AGAIN, "it exists already"), Ended(AGAIN, "the data are missing")]
    held = []

    def run(trial, _variables):
        if len(ends) == 2:
            held.append(lock_folder(trial.folder))
        return ends.pop(0)
    monkeypatch.setattr(trial_module, "_run", run)
    monkeypatch.setattr(trial_module.STOPPING, "wait", lambda _: held.pop().close())
    record, kind = train(Trial(1, {}, str(tmp_path), "unused", [], []))
    assert (record["reason"], kind) == ("the data are missing", AGAIN) and ends == held == []


def test_waiting_for_another_process_says_so_and_can_be_ended(tmp_path, capsys):
    with lock_folder(str(tmp_path)), futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(train, Trial(1, {}, str(tmp_path), "unused", [], []))
        with pytest.raises(futures.TimeoutError):
            waiting.result(0.5)
        parallel.stop([waiting])
        record, kind = waiting.result()
    assert (record["reason"], kind) == ("it was not begun", AGAIN)
    said = "waiting for another process, which trains %s\n" % tmp_path
    assert capsys.readouterr().out == said and not trial_module.STOPPING.is_set()


def test_trainings_side_by_side_end_if_one_cannot_be_announced(tmp_path, monkeypatch):
    jobs = [Trial(number, {}, str(tmp_path), "unused", [], []) for number in range(3)]
    monkeypatch.setattr(parallel.trial, "train", lambda job, variables: ({"trial": 1}, DONE))

    def announce(job):
        time.sleep(0.5)
        raise OSError("nobody reads it")
    with pytest.raises(OSError, match="nobody reads it"):
        list(parallel.train_all(jobs, 1, [], announce))
    assert not trial_module.STOPPING.is_set()


def test_a_lock_that_is_a_link_is_not_waited_for(tmp_path):
    os.symlink(str(tmp_path / "target"), str(tmp_path / "lock"))
    with pytest.raises(UserError, match="is a link"):
        train(Trial(1, {}, str(tmp_path), "unused", [], []))


def test_why_a_process_failed_is_its_last_word(tmp_path):
    script = tmp_path / "script.py"
    fault = "import sys; sys.stderr.write('error: %s'); sys.exit(%d)"
    for text, kind, reason in [
            ("pass", DONE, None), ("1 / 0", UNCLEAR, "ZeroDivisionError: division by zero"),
            ("import sys; sys.exit(3)", DONE, "it ended with status 3"),
            (fault % ("finishing this step", 130), AGAIN,
             "interrupted; the same command continues it"),
            (fault % ("the loss became nan", 3), DONE, "the loss became nan"),
            (fault % ("data are missing", 2), AGAIN, "data are missing"),
            ("import nosuch", AGAIN, "ModuleNotFoundError: No module named 'nosuch'"),
            ("open('/no/such')", AGAIN,
             "FileNotFoundError: [Errno 2] No such file or directory: '/no/such'"),
            ("import os; os.kill(os.getpid(), 15)", AGAIN, "interrupted by signal 15"),
            ("import os; os.kill(os.getpid(), 9)", DONE, "killed by signal 9 (out of memory?)"),
            ("import os; os.abort()", UNCLEAR, "killed by signal 6")]:
        script.write_text(text)
        assert call(str(script), []) == Ended(kind, reason)
    kind, reason = call(str(tmp_path / "gone.py"), [])
    assert kind == AGAIN and "can't open file" in reason


@pytest.mark.parametrize("monitor, loss", [("window_nll", 0.75), ("accuracy", -0.75)])
def test_what_a_sweep_minimises(tmp_path, monitor, loss):
    finished = os.path.join(ROOT, "results", "mnist", "SequentialDigits", "RRU", "seed1")
    with open(os.path.join(finished, "results.json")) as file:
        results = dict(json.load(file), monitor=monitor, valid={monitor: 0.75})
    results.pop("test")
    (tmp_path / "results.json").write_text(json.dumps(results))
    record, kind = train(Trial(1, {}, str(tmp_path), "unused", [], []))
    assert kind == DONE
    assert (record["loss"], record["value"], record["reason"]) == (loss, 0.75, None)


# --- Search spaces ---

def space_of(script, *words):
    words = ["--do_hyperparameter_optimization", "True"] + list(words)
    return search_space(read_settings(vars(script), words))


def test_dimensions_are_those_of_task_and_cell():
    assert space_of(mm_main) == {
        "learning_rate": ("log", 1e-4, 1e-2), "dropout": ("uniform", 0.0, 0.8),
        "number_of_parameters": ("integer", 1000000, 15000000),
        "middle_layer_size_multiplier": ("uniform", 0.1, 8.0)}
    assert space_of(lm_main, "--cell_name", "MogrifierLSTM")["feature_mask_rounds"] == (
        "choice", [5, 6])
    assert space_of(lm_main)["number_of_parameters"] == ("integer", 10000000, 30000000)
    assert space_of(lm_main, "--data_set_name", "text8")["number_of_parameters"] == (
        "integer", 10000000, 30000000)
    assert space_of(lm_main, "--number_of_parameters", "600000")["number_of_parameters"] == (
        "integer", 300000, 1200000)
    assert space_of(sa_main)["number_of_parameters"] == ("integer", 1000000, 4000000)
    assert space_of(sa_main, "--cell_name", "LSTM")["forget_bias"] == ("uniform", -3.0, 3.0)
    assert sorted(space_of(sa_main, "--cell_name", "GRU")) == [
        "dropout", "learning_rate", "number_of_parameters"]
    changed = space_of(mm_main, "--search", "{'dropout': None, 'batch_size': ('choice', [8, 16])}")
    assert "dropout" not in changed and changed["batch_size"] == ("choice", [8, 16])
    with pytest.raises(UserError, match="learning_rat is not a setting of .*mean learning_rate"):
        space_of(mm_main, "--search", "{'learning_rat': None}")


@pytest.mark.parametrize("cell_name", sorted(CELLS))
def test_points_lie_within_their_dimensions(cell_name):
    space, earlier = space_of(mm_main, "--cell_name", cell_name), []
    for number in range(15):
        point = suggest(space, earlier, (1, number))
        for name, value in point.items():
            if space[name][0] == "choice":
                assert value in space[name][1]
            else:
                assert bounds_or_values(space[name])[0] <= value <= bounds_or_values(space[name])[1]
                assert isinstance(value, int) == (space[name][0] == "integer")
        earlier.append({"point": json.loads(json.dumps(point)),
                        "loss": point["dropout"] if number % 3 else None})


def test_whole_numbers_of_a_setting_that_may_be_broken_are_of_their_dimension():
    dimension = ("integer", 1, 10)
    check_value(dimension, 5.0)  # as settings.json has them
    for value, error in ((5.5, ValueError), (True, TypeError), ("5", TypeError),
                         (float("inf"), ValueError)):
        with pytest.raises(error):
            check_value(dimension, value)


def test_a_logarithmic_dimension_is_uniform_in_the_logarithm():
    rates = [suggest({"learning_rate": ("log", 1e-4, 1e-2)}, [], number)["learning_rate"]
             for number in range(60)]
    assert 20 <= sum(rate < 1e-3 for rate in rates) <= 40  # of uniform ones 5


def test_tpe_finds_what_is_good():
    space, earlier = {"dropout": ("uniform", 0.0, 0.8), "learning_rate": ("log", 1e-4, 1e-2)}, []
    for number in range(40):
        point = suggest(space, earlier, (1, number))
        earlier.append({"point": point, "loss": abs(point["dropout"] - 0.3)})
    found = [record["loss"] for record in earlier[10:]]
    assert sum(found) / len(found) < 0.18  # points drawn at random would give 0.2125


def test_tpe_takes_failed_trials_for_bad_ones():
    space = {"dropout": ("uniform", 0.0, 0.8)}
    rates = [0.02 * number for number in range(40)]
    earlier = [{"point": {"dropout": rate}, "loss": 1.0 if rate < 0.4 else None} for rate in rates]
    found = [suggest(space, earlier, (1, number))["dropout"] for number in range(20)]
    assert sum(rate > 0.4 for rate in found) <= 3


@pytest.mark.parametrize("search, words", [
    ({"dropout": (0.1, 0.5)}, ["dropout", "uniform"]),
    ({"dropout": ("uniform", 0.5, 0.1)}, ["dropout", "uniform"]),
    ({"dropout": ("uniform", 0.5, 1.0)}, ["dropout", "float >= 0, < 1"]),
    ({"learning_rate": ("log", 0, 1)}, ["learning_rate", "log"]),
    ({"number_of_parameters": ("integer", 1, 10 ** 400)}, ["number_of_parameters", "integer"]),
    ({"number_of_parameters": ("integer", 1e6, 2e6)}, ["number_of_parameters", "integer"]),
    ({"batch_size": ("choice", [])}, ["batch_size", "choice"]),
    ({"batch_size": ("choice", [8, 0])}, ["batch_size", "int >= 1"]),
    ({"batch_size": ("choice", [8, None])}, ["batch_size is None", "int >= 1"]),
    ({"batch_size": ("choice", [8, "4"])}, ["the value '4' of batch_size means 4"]),
    ({"batch_size": ("uniform", 8, 16)}, ["batch_size", 'take ("integer", low, high)']),
    ({"number_of_layers": ("log", 1, 4)}, ["number_of_layers", 'take ("integer", low, high)']),
    ({"relu_layers": ("uniform", 1, 3)}, ["relu_layers", 'take ("integer", low, high)']),
    ({"nosuch": ("uniform", 0, 1)}, ["nosuch", "not a setting of mm_main.py"]),
    ({"forget_bias": ("uniform", 0, 1)}, ["forget_bias", "RRU"]),
    ({"cell_name": ("choice", ["RRU", "GRU"])}, ["cell_name", "a sweep for each"]),
    ({"seed": ("integer", 1, 9)}, ["seed", "a sweep for each"]),
    ({1: ("uniform", 0, 1)}, ["search", "a dict"]),
])
def test_dimensions_that_cannot_be_are_named(toy, search, words):
    with pytest.raises(UserError) as error:
        sweep_module.run(toy.settings("--search", str(search)), None, vars(mm_main))
    for word in words:
        assert word in str(error.value)
    assert not (toy.folder / "runs").exists()
