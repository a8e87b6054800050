"""The trainer through mm_main.py: it learns, repeats itself, survives kill -9, names faults."""

import collections
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
import unittest.mock

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lm_main
import mm_main
from files.errors import UserError, disk_errors
from files.project import call_of
from files.run_files import load_metrics
from training import provenance, run_folder, trainer as trainer_module
from training.checkpoint import Checkpoint
from training.events import Events
from training.interruption import Clock, Interruption
from training.journal import Journal
from training.model import Model
from training.run_folder import RunFolder
from training.read_settings import read_settings

pytestmark = pytest.mark.tf2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TENSORFLOW_1 = os.path.join(ROOT, ".venv", "bin", "python")
SMALL = ["--data_set_name", "Bach Chorales", "--number_of_parameters", "60000",
         "--batch_size", "64", "--learning_rate", "0.01", "--transpose", "0", "--dropout", "0.5",
         "--linear_decay", "False", "--summary_steps", "1"]


def arguments(tmp_path, name, *more):
    folders = ["--data_folder", str(tmp_path / "data"), "--runs_folder", str(tmp_path / "runs"),
               "--name", name]
    own = [] if "--cell_name" in more else ["--middle_layer_size_multiplier", "2"]
    return SMALL + own + folders + list(more)


def folder(tmp_path, name, cell="RRU"):
    return str(tmp_path / "runs" / "music" / "Bach Chorales" / cell / name)


def read(path, name):
    with open(os.path.join(path, name)) as file:
        if name.endswith("l"):
            return [json.loads(line) for line in file]
        return json.load(file)


def variables(path, checkpoint="last"):
    with np.load(os.path.join(path, "checkpoints", checkpoint + ".npz")) as saved:
        return {name: saved[name] for name in saved.files if name.startswith("variable/")}


def progress(path):
    """The progress in a run's last checkpoint."""
    with np.load(os.path.join(path, "checkpoints", "last.npz")) as saved:
        return json.loads(str(saved["progress"]))


def without_times(lines):
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_same_run(one, other):
    assert without_times(read(one, "metrics.jsonl")) == without_times(read(other, "metrics.jsonl"))
    for checkpoint in ("last", "best"):
        mine, theirs = variables(one, checkpoint), variables(other, checkpoint)
        assert sorted(mine) == sorted(theirs)
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    for key in ("valid", "test", "epochs", "best_epoch", "steps", "counts"):
        assert read(one, "results.json")[key] == read(other, "results.json")[key]


# mm_main.py, which trains to the last step of epoch 2 and waits there for a signal: however busy
# the machine is, one that comes after its first step meets a run in mid-epoch.
HELD_IN_EPOCH_2 = """
import time
import unittest.mock
import mm_main
from files.errors import run_as_script
from training.trainer import Trainer

train_step = Trainer._train_step

def held(trainer, batch):
    last = len(trainer.data.batches("train", 2)) - 1
    at_end = (trainer.progress["epoch"], trainer.progress["batch"]) == (2, last)
    while at_end and not trainer.interruption.requested:
        time.sleep(0.01)
    return train_step(trainer, batch)

Trainer._train_step = held
run_as_script(mm_main.main)
"""


def start(*words, code=None):
    program = ["mm_main.py"] if code is None else ["-c", code]
    return subprocess.Popen([sys.executable, "-u"] + program + list(words), cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True)


def wait_for_batch(path, epoch, batch):
    """Wait until the last checkpoint is from within `epoch`, `batch` steps or more into it."""
    for _ in range(6000):
        try:
            done = progress(path)
        except OSError:
            done = {"epoch": 0}
        if done["epoch"] == epoch and done["batch"] >= batch:
            return
        assert done["epoch"] <= epoch, "the run was too quick to be interrupted"
        time.sleep(0.05)
    raise AssertionError("the run did not get to epoch %d" % epoch)


def curve(path, tag):
    """The (step, value) that TensorBoard shows."""
    events = EventAccumulator(path, size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def copy_of(finished, tmp_path, name="copy"):
    """The folder of a copy of the finished run, under the data and runs of `tmp_path`."""
    path = folder(tmp_path, name)
    shutil.copytree(folder(finished[0], "whole"), path)
    return path


def change_json(path, name, change):
    content = read(path, name)
    change(content)
    with open(os.path.join(path, name), "w") as file:
        json.dump(content, file)


def out_of_memory(*_):
    raise trainer_module.tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of four epochs that nothing interrupted: (its tmp_path, its results)."""
    tmp_path = tmp_path_factory.mktemp("finished")
    mm_main.main(arguments(tmp_path, "whole", "--epochs", "4"))
    return tmp_path, read(folder(tmp_path, "whole"), "results.json")


Fed = collections.namedtuple("Fed", "state dropout mask_seed learning_rate")


@pytest.fixture
def fed(monkeypatch):
    """The feeds beside the batch of all steps to come: of training, and of evaluation."""
    training, evaluation, feed = [], [], Model.feed

    def noted(model, batch, state=None, dropout=0.0, mask_seed=(0, 0), learning_rate=None):
        feeds = evaluation if learning_rate is None else training
        feeds.append(Fed(state, dropout, mask_seed, learning_rate))
        return feed(model, batch, state, dropout, mask_seed, learning_rate)
    monkeypatch.setattr(Model, "feed", noted)
    return training, evaluation


def test_the_learning_rate_falls_in_a_line_where_asked(tmp_path, fed):
    for decay in ("True", "False"):
        mm_main.main(arguments(tmp_path, decay, "--epochs", "4", "--linear_decay", decay))
    rates = [step.learning_rate for step in fed[0]]
    by_epoch = len(rates) // 8
    np.testing.assert_allclose(rates[::by_epoch], [0.01, 0.0075, 0.005, 0.0025] + 4 * [0.01])
    one, other = [read(folder(tmp_path, decay), "metrics.jsonl") for decay in ("True", "False")]
    assert one[0]["train"] == other[0]["train"] and one[1]["train"] != other[1]["train"]


def test_dropout_is_on_in_training_and_off_in_evaluation(tmp_path, fed):
    mm_main.main(arguments(tmp_path, "a", "--epochs", "2", "--seed", "3"))
    training, evaluation = fed
    found = [(step.dropout, step.mask_seed) for step in training]
    assert found == [(0.5, (3, i)) for i in range(len(training))]
    assert evaluation and all(step.dropout == 0 for step in evaluation)


def test_a_stateful_run_carries_its_state_and_resumes_with_it(tmp_path, fed, monkeypatch):
    def run(name):
        lm_main.main(["--data_set_name", "PythonDocs", "--cell_name", "LSTM", "--epochs", "2",
                      "--number_of_parameters", "20000", "--window_size", "64",
                      "--batch_size", "256", "--state_reset_probability", "0",
                      "--data_folder", str(tmp_path / "data"),
                      "--runs_folder", str(tmp_path), "--name", name])
        return str(tmp_path / "language" / "PythonDocs" / "LSTM" / name)

    whole = run("whole")
    steps = len(fed[0]) // 2
    assert steps > 3 and [i for i, step in enumerate(fed[0]) if step.state is None] == [0, steps]
    train_step = trainer_module.Trainer._train_step

    def interrupted_in_mid_epoch(trainer, batch):
        if trainer.progress["step"] == steps + 1:
            trainer.interruption.request(signal.SIGINT)
        return train_step(trainer, batch)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(trainer_module.Trainer, "_train_step", interrupted_in_mid_epoch)
        run("cut")
    cut = os.path.join(os.path.dirname(whole), "cut")
    lm_main.main(["--resume", cut])
    assert_same_run(whole, cut)


def test_the_weights_of_the_best_epoch_are_evaluated(tmp_path, monkeypatch):
    mm_main.main(arguments(tmp_path, "one", "--epochs", "1"))
    evaluate = trainer_module.Trainer.evaluate

    def worse_each_epoch(trainer, split):
        added = 100 * trainer.stopping.epochs_done
        return {name: value + added for name, value in evaluate(trainer, split).items()}
    monkeypatch.setattr(trainer_module.Trainer, "evaluate", worse_each_epoch)
    mm_main.main(arguments(tmp_path, "three", "--epochs", "3"))
    one, three = [read(folder(tmp_path, name), "results.json") for name in ("one", "three")]
    assert (three["epochs"], three["best_epoch"]) == (3, 1)
    for split in ("valid", "test"):
        np.testing.assert_allclose(three[split]["window_nll"] - 300, one[split]["window_nll"],
                                   rtol=1e-9)


def test_a_run_leaves_everything_a_reader_needs(finished):
    tmp_path, results = finished
    path = folder(tmp_path, "whole")
    for name in ("settings.json", "metrics.jsonl", "log.txt", "learning_curve.png",
                 "checkpoints/best.npz"):
        assert os.path.getsize(os.path.join(path, name)) > 100
    assert any(name.startswith("events.out.tfevents") for name in os.listdir(path))
    assert results["parameters"] <= 60000 and results["hidden_units"] > 10
    assert results["epochs"] == 4
    assert results["steps"] == 4 * (results["counts"]["train"]["windows"] // 64)
    assert results["baseline"]["test"]["window_nll"] > 8
    assert len(read(path, "metrics.jsonl")) == 4


def test_it_learns(finished):
    epochs = read(folder(finished[0], "whole"), "metrics.jsonl")
    losses = [line["valid"]["window_nll"] for line in epochs]
    assert losses[-1] < 0.8 * losses[0]


def test_same_seed_same_numbers_and_another_seed_others(finished):
    tmp_path, _ = finished
    mm_main.main(arguments(tmp_path, "again", "--epochs", "4"))
    assert_same_run(folder(tmp_path, "whole"), folder(tmp_path, "again"))
    mm_main.main(arguments(tmp_path, "seed 2", "--epochs", "4", "--seed", "2"))
    assert read(folder(tmp_path, "seed 2"), "results.json")["valid"] != finished[1]["valid"]


@pytest.mark.parametrize("number, status, batch", [
    (signal.SIGKILL, -signal.SIGKILL, 1), (signal.SIGINT, 130, 1),
    (signal.SIGUSR1, 130, 3)])  # the last makes the held step: all of the epoch but its evaluation
def test_killed_in_an_epoch_and_resumed_equals_uninterrupted(finished, number, status, batch):
    tmp_path, _ = finished
    name = "signal %d" % number
    process = start(*arguments(tmp_path, name, "--epochs", "4", "--checkpoint_minutes", "1e-9"),
                    code=HELD_IN_EPOCH_2)
    wait_for_batch(folder(tmp_path, name), epoch=2, batch=batch)
    process.send_signal(number)
    output = process.communicate()[0]
    assert process.returncode == status
    seconds = progress(folder(tmp_path, name))["seconds"]
    if number != signal.SIGKILL:
        assert "Traceback" not in output
        assert "continue with: %s --resume " % call_of("mm_main.py") in output
    mm_main.main(["--resume", folder(tmp_path, name)])
    assert_same_run(folder(tmp_path, "whole"), folder(tmp_path, name))
    assert read(folder(tmp_path, name), "metrics.jsonl")[1]["seconds"] > seconds > 0
    with open(os.path.join(folder(tmp_path, name), "log.txt")) as file:
        assert "continuing with epoch 2, after " in file.read()
    for tag in ("step/loss", "valid/window_nll", "epoch/number"):  # once, in order, none missing
        assert curve(folder(tmp_path, name), tag) == curve(folder(tmp_path, "whole"), tag)


def test_a_finished_run_can_be_evaluated_again_and_continued(finished, tmp_path, monkeypatch):
    path, results = copy_of(finished, tmp_path), finished[1]
    monkeypatch.setattr("training.run_folder.environment",
                        lambda gpu: {"git_commit": "of the evaluation"})
    mm_main.main(["--evaluate", path])
    assert read(path, "results.json")["test"] == results["test"]
    assert read(path, "results.json")["environment"] == results["environment"]
    mm_main.main(["--evaluate", path, "--evaluate_on_test", "False"])
    mm_main.main(["--resume", path, "--evaluate_on_test", "False"])
    for name in ("test", "stop_reason", "counts", "baseline"):
        assert read(path, "results.json")[name] == results[name]
    monkeypatch.undo()
    mm_main.main(arguments(tmp_path, "short", "--epochs", "2"))
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, "_train_step", lambda *_: sys.exit(1))
        with pytest.raises(SystemExit):
            mm_main.main(["--resume", folder(tmp_path, "short"), "--epochs", "4"])
    # Its results were those of two epochs.
    assert not os.path.exists(os.path.join(folder(tmp_path, "short"), "results.json"))
    mm_main.main(["--resume", folder(tmp_path, "short")])
    assert_same_run(path, folder(tmp_path, "short"))


def test_interrupted_after_the_last_epoch_the_weights_are_the_last_ones(finished, monkeypatch):
    tmp_path, _ = finished
    next_epoch = trainer_module.Trainer._next_epoch

    def finish_and_interrupt(trainer):
        next_epoch(trainer)
        if trainer.stopping.reason:
            trainer.interruption.request(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, "_next_epoch", finish_and_interrupt)
        patch.setattr(trainer_module.Trainer, "load_best",
                      lambda _: pytest.fail("the best weights replace the last"))
        with pytest.raises(SystemExit):
            mm_main.main(arguments(tmp_path, "late", "--epochs", "4"))
    mm_main.main(["--resume", folder(tmp_path, "late")])
    assert_same_run(folder(tmp_path, "whole"), folder(tmp_path, "late"))


def test_a_folder_that_exists_is_left_alone(finished):
    tmp_path, _ = finished
    before = variables(folder(tmp_path, "whole"))
    with pytest.raises(UserError, match="exists already.*--resume"):
        mm_main.main(arguments(tmp_path, "whole"))
    for name, value in variables(folder(tmp_path, "whole")).items():
        np.testing.assert_array_equal(before[name], value)


def test_a_run_that_was_killed_before_its_first_checkpoint_is_begun_again(finished, tmp_path):
    for name, words in (("same", arguments(finished[0], "same", "--epochs", "1")),
                        ("resumed", ["--resume", folder(finished[0], "resumed"), "--epochs", "1"])):
        path = folder(finished[0], name)
        os.makedirs(os.path.join(path, "checkpoints"))
        for file in ("settings.json", "log.txt"):
            shutil.copy(os.path.join(folder(finished[0], "whole"), file), path)
        open(os.path.join(path, "checkpoints", "last.npz.1.part"), "w").close()
        mm_main.main(words)
        whole = read(folder(finished[0], "whole"), "metrics.jsonl")
        assert without_times(read(path, "metrics.jsonl")) == without_times(whole[:1])
        assert read(path, "settings.json")["settings"]["epochs"] == 1


def test_names_that_are_not_given_count_up(tmp_path, monkeypatch):
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, *_):
            return cls(2020, 1, 2, 3, 4, 5)

    monkeypatch.setattr("training.run_folder.datetime.datetime", Clock)
    settings = read_settings(vars(mm_main), arguments(tmp_path, ""))
    names = []
    for _ in range(3):
        with RunFolder(settings, types.SimpleNamespace(identity={"fingerprint": "f"})) as run:
            names.append(os.path.basename(run.path))
    assert names == ["20200102-030405-seed1" + end for end in ("", "-2", "-3")]


def test_a_folder_renamed_while_it_trains_ends_the_run(tmp_path, monkeypatch):
    next_epoch = trainer_module.Trainer._next_epoch

    def rename(trainer):
        next_epoch(trainer)
        os.rename(trainer.run.path, trainer.run.path + " new")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="was moved or removed"):
        patch.setattr(trainer_module.Trainer, "_next_epoch", rename)
        mm_main.main(arguments(tmp_path, "a", "--epochs", "2"))
    assert os.listdir(os.path.dirname(folder(tmp_path, "a"))) == ["a new"]
    mm_main.main(["--resume", folder(tmp_path, "a new")])
    assert [line["epoch"] for line in read(folder(tmp_path, "a new"), "metrics.jsonl")] == [1, 2]


def test_a_checkpoint_is_due_after_its_minutes(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("training.interruption.time.monotonic", lambda: now[0])
    clock = Clock(5)
    for seconds, due in ((299, False), (2, True), (300, True)):
        now[0] += seconds
        assert clock.checkpoint_due == due
    clock.checkpoint_done()
    assert not clock.checkpoint_due and clock.lap() == 601


def test_other_data_are_refused_or_have_results_of_their_own(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    assert read(path, "settings.json")["data"] == read(path, "results.json")["data"]
    change_json(path, "settings.json", lambda saved: saved["data"].update(fingerprint=64 * "0"))
    for action in ("--resume", "--evaluate"):
        with pytest.raises(UserError, match="settings.json was made with other .*--other_data"):
            mm_main.main([action, path])
    change_json(path, "settings.json", lambda saved: saved.pop("data"))  # an older run
    last = os.path.join(path, "checkpoints", "last.npz")
    with np.load(last) as saved:
        arrays = dict(saved)
    progress = json.loads(str(arrays["progress"]))
    progress["data"]["fingerprint"] = 64 * "0"
    np.savez(last, **dict(arrays, progress=json.dumps(progress)))
    with pytest.raises(UserError, match="last.npz was made with other data"):
        mm_main.main(["--evaluate", path])
    files = {name: read(path, name) for name in ("results.json", "metrics.jsonl")}
    os.remove(os.path.join(path, "sample.mid"))
    mm_main.main(["--evaluate", path, "--other_data", "True"])
    of_others = read(path, "results-other-data.json")
    assert (files["results.json"]["other_data"], of_others["other_data"]) == (False, True)
    assert of_others["test"] == files["results.json"]["test"]
    assert files == {name: read(path, name) for name in files}  # those of the run stay
    assert not os.path.exists(os.path.join(path, "sample.mid"))


def test_fewer_epochs_than_are_done_are_refused_before_anything_is_changed(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    before = {name: read(path, name) for name in ("settings.json", "results.json")}
    with pytest.raises(UserError, match="epochs is 2, but .* has done 4"):
        mm_main.main(["--resume", path, "--epochs", "2"])
    assert before == {name: read(path, name) for name in before}
    change_json(path, "settings.json", lambda saved: saved["settings"].update(epochs=9))
    mm_main.main(["--resume", path, "--epochs", "4"])  # it is finished, by this limit
    mm_main.main(["--evaluate", path])
    assert read(path, "results.json")["stop_reason"] == "the limit of 4 epochs is reached"


def test_a_damaged_best_checkpoint_is_not_repaired_by_a_resume(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    open(os.path.join(path, "checkpoints", "best.npz"), "w").close()
    for action in ("--evaluate", "--resume"):
        with pytest.raises(UserError, match="best.npz cannot be read.*start a new run") as caught:
            mm_main.main([action, path])
        assert "--resume" not in str(caught.value)


def test_less_patience_than_a_run_had_is_refused(finished, tmp_path, monkeypatch):
    def worse(trainer, split):
        return {name: 9.0 + trainer.stopping.epochs_done * (trainer.stopping.epochs_done < 3)
                for name in ("window_nll", "frame_nll", "batch_nll")}

    with monkeypatch.context() as patch:  # 9, 10, 11, and from the fourth epoch on 9 again, or less
        patch.setattr(trainer_module.Trainer, "evaluate", worse)
        mm_main.main(arguments(tmp_path, "waited", "--epochs", "4", "--patience", "5"))
    path = folder(tmp_path, "waited")
    before = read(path, "settings.json")
    with pytest.raises(UserError, match="patience is 2, but .* has waited 3 epochs .*as many"):
        mm_main.main(["--resume", path, "--patience", "2", "--epochs", "9"])
    assert read(path, "settings.json") == before


def test_a_lost_best_checkpoint_is_told_before_training_continues(finished, tmp_path, monkeypatch):
    path = copy_of(finished, tmp_path)
    os.remove(os.path.join(path, "checkpoints", "best.npz"))
    monkeypatch.setattr(trainer_module.Trainer, "_train_step", lambda *_: pytest.fail("it trains"))
    with pytest.raises(UserError, match="best.npz is missing: put it back .* or start a new run"):
        mm_main.main(["--resume", path, "--epochs", "5"])


def test_a_run_that_continues_with_other_versions_says_so(finished, tmp_path, capsys, monkeypatch):
    path = copy_of(finished, tmp_path)
    change_json(path, "settings.json", lambda saved: saved["environment"].update(
        tensorflow="1.14.0"))
    mm_main.main(["--resume", path, "--epochs", "5"])
    now = trainer_module.tf.version.VERSION
    assert "tensorflow is %s now, it was 1.14.0" % now in capsys.readouterr().out
    changed, = read(path, "settings.json")["changed_on_resume"]
    assert changed["tensorflow"] == ["1.14.0", now] and changed["epochs"] == [4, 5]


def test_what_was_trained_by_changed_files_stays_marked(finished, tmp_path, monkeypatch):
    path = copy_of(finished, tmp_path)
    change_json(path, "settings.json", lambda saved: saved["environment"].update(
        git_clean=False, cores=99))
    clean = dict(provenance.environment(), git_clean=True)
    monkeypatch.setattr(run_folder, "environment", lambda gpu: clean)
    mm_main.main(["--resume", path, "--epochs", "5"])
    saved = read(path, "settings.json")
    assert saved["environment"] == dict(clean, git_clean=False)
    changed, = saved["changed_on_resume"]
    assert changed["cores"] == [99, clean["cores"]] and "git_clean" not in changed


def test_a_published_run_is_evaluated_from_its_best_checkpoint_alone(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    os.remove(os.path.join(path, "checkpoints", "last.npz"))
    before, size = read(path, "results.json"), os.path.getsize(os.path.join(path, "log.txt"))
    mm_main.main(["--evaluate", path])
    after = read(path, "results.json")
    for name in ("valid", "test", "epochs", "best_epoch", "steps", "seconds", "stop_reason"):
        assert after[name] == before[name]
    assert os.path.getsize(os.path.join(path, "log.txt")) == size  # it tells of the training


def test_lost_metrics_are_named_when_a_run_continues(finished, tmp_path, capsys):
    path = copy_of(finished, tmp_path)
    os.remove(os.path.join(path, "metrics.jsonl"))
    mm_main.main(["--resume", path, "--epochs", "5"])
    assert "metrics.jsonl has only 0 of the 4 epochs" in capsys.readouterr().out
    assert [line["epoch"] for line in read(path, "metrics.jsonl")] == [5]


@pytest.mark.parametrize("content", [
    b"\xff\xfe", b"[" * 100000, b'{"epoch": 1, "valid": {}}\n',
    b'{"epoch": "1", "seconds": 1, "train": {}, "valid": {}}\n',
    b'{"epoch": 1, "train": {}, "valid": {}}\n',
    b'{"epoch": 1, "seconds": 1e999, "train": {}, "valid": {}}\n',
    b'{"epoch": 1, "seconds": 1, "train": {"window_nll": "5"}, "valid": {}}\n', b"[1]\n", None])
def test_metrics_that_are_none_are_one_line(tmp_path, content):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content) if content else path.mkdir()
    with pytest.raises(UserError, match="metrics.jsonl (cannot be read|is not a file)"):
        load_metrics(str(tmp_path))


def test_a_checkpoint_of_a_model_with_other_metrics_is_one_line(finished, tmp_path, monkeypatch):
    path = copy_of(finished, tmp_path)
    real = Checkpoint.load

    def without_sums(*arguments):
        progress, further = real(*arguments)
        return dict(progress, sums={}), further

    monkeypatch.setattr(Checkpoint, "load", without_sums)
    with pytest.raises(UserError, match="last.npz cannot be read .KeyError.*start a new run"):
        mm_main.main(["--resume", path, "--epochs", "5"])


@pytest.mark.parametrize("name", [
    "results.json", "learning_curve.png", "settings.json", "metrics.jsonl"])
def test_a_folder_in_place_of_a_file_is_one_line(finished, tmp_path, name):
    path = copy_of(finished, tmp_path)
    os.remove(os.path.join(path, name))
    os.mkdir(os.path.join(path, name))
    with pytest.raises(UserError, match=name + "|learning_curve"):
        mm_main.main(["--resume", path, "--epochs", "5"])


def test_metrics_that_lack_the_monitor_of_an_epoch_are_drawn_without_it(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    with open(os.path.join(path, "metrics.jsonl"), "w") as file:
        file.write('{"epoch": 1, "seconds": 1, "train": {}, "valid": {}}\n')
    mm_main.main(["--evaluate", path])
    assert read(path, "results.json")["epochs"] == 4


@pytest.mark.parametrize("data", [{"fraction": 1}, {"fingerprint": 5}, "x", None])
def test_an_identity_that_is_none_is_one_line(finished, tmp_path, data):
    path = copy_of(finished, tmp_path)
    change_json(path, "settings.json", lambda saved: saved.update(data=data))
    with pytest.raises(UserError, match="settings.json cannot be read"):
        mm_main.main(["--evaluate", path])


def test_no_file_holds_infinity(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    settings = read_settings(vars(mm_main), ["--evaluate", path])
    data = types.SimpleNamespace(identity=read(path, "settings.json")["data"])
    with RunFolder(settings, data) as run:
        run.append_metrics(5, {"seconds": 9.0, "train": {"perplexity": float("inf")},
                               "valid": {"perplexity": 2.0}})
        assert run.metrics()[-1]["train"] == {"perplexity": None}
    with open(os.path.join(path, "metrics.jsonl")) as file:
        assert "Infinity" not in file.read()


@pytest.mark.parametrize("name, baseline, untrained, later, best, said", [
    ("perplexity", 600.0, 3000.0, [1000.0, 2000.0, float("inf")], 3000.0,
     ["its validation perplexity of 2000.0000 is far beyond the 600.0000"]),
    ("accuracy", 0.11, 0.1, [0.2, 0.12, 0.1], 0.9,
     ["its validation accuracy of 12.00 % is back near the 11.00 %"]),
    ("accuracy", 0.11, 0.11, [0.11, 0.1, 0.11], 0.12, [])])  # a slow start
def test_a_run_that_diverges_says_so_once(name, baseline, untrained, later, best, said):
    logged = []
    run = types.SimpleNamespace(log=logged.append, append_metrics=lambda *_: None,
                                events=types.SimpleNamespace(scalars=lambda *_: None))
    model = types.SimpleNamespace(monitor=name, lower_is_better=name == "perplexity")
    data = types.SimpleNamespace(baseline=lambda split: {name: baseline},
                                 baseline_name="unigram baseline")
    journal = Journal(types.SimpleNamespace(), model, data, run)
    progress = {"epoch": 1, "step": 2, "seconds": 3.0}
    journal.epoch(progress, {name: 1.0}, {name: untrained}, True, untrained)
    for value in later:
        journal.epoch(progress, {name: 1.0}, {name: value}, False, best)
    assert [line for line in logged if "diverges" in line] == [
        "the run diverges: %s of the unigram baseline; start a new one with a lower "
        "learning_rate" % text for text in said]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_signals_are_noted_and_given_back(number):
    if signal.getsignal(number) == signal.SIG_IGN:  # the tests run under nohup
        signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(number)
    interruption = Interruption()
    with pytest.raises(SystemExit), interruption:
        os.kill(os.getpid(), number)
        assert interruption.requested
        raise SystemExit
    assert signal.getsignal(number) is before


def test_a_signal_within_a_write_to_standard_error_is_noted(monkeypatch):
    stream = unittest.mock.Mock(closed=False)
    stream.write.side_effect = RuntimeError("reentrant call inside <_io.BufferedWriter>")
    monkeypatch.setattr(sys, "stderr", stream)
    interruption = Interruption()
    interruption.request(signal.SIGTERM)
    assert interruption.requested


def test_a_second_ctrl_c_ends_at_once_and_a_second_term_does_not():
    interruption = Interruption()
    for number in (signal.SIGTERM, signal.SIGTERM):
        interruption.request(number)
    with pytest.raises(KeyboardInterrupt):
        interruption.request(signal.SIGINT)


def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_came_too_late_is_not_lost():
    with pytest.raises(KeyboardInterrupt):
        with Interruption():
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


def test_a_run_can_be_trained_in_a_thread(tmp_path):
    thread = threading.Thread(target=mm_main.main, args=[arguments(tmp_path, "a", "--epochs", "1")])
    thread.start()
    thread.join()
    assert read(folder(tmp_path, "a"), "results.json")["epochs"] == 1


def test_the_commit_of_a_repository_around_a_copy_is_not_ours(tmp_path, monkeypatch):
    def git(*words):
        options = ("-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e")
        subprocess.check_call(("git",) + options + words, stdout=subprocess.DEVNULL)
    git("init")
    git("commit", "--allow-empty", "-m", "of another project")
    copy = tmp_path / "copy" / "training" / "provenance.py"
    copy.parent.mkdir(parents=True)
    copy.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(copy))
    for root in (tmp_path / "copy", tmp_path):
        monkeypatch.setattr(provenance, "ROOT", str(root))
        assert provenance.environment()["git_commit"] is None
    git("add", "-f", str(copy))
    git("commit", "-m", "now it is")
    found = provenance.environment()
    assert re.match("[0-9a-f]{40}$", found["git_commit"]) and found["git_clean"] is True


def test_the_model_of_the_gpu_that_is_used_is_recorded(tmp_path, monkeypatch):
    assert provenance.environment()["gpu_names"] == []
    monkeypatch.setattr(provenance.tf.config.experimental, "list_physical_devices",
                        lambda kind: ["a GPU"] * 2)
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho "model of $*"\necho another\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    asked = "model of --query-gpu=name --format=csv,noheader"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert provenance.environment()["gpu_names"] == [asked]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    found = provenance.environment()
    assert found["gpus"] == 1 and found["gpu_names"] == [asked + " --id=1,3"]
    found = provenance.environment(gpu="1")
    assert found["gpus"] == 1 and found["gpu_names"] == ["another"]
    assert provenance.environment(gpu="2")["gpu_names"] is None
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert provenance.environment()["gpu_names"] is None


def test_one_process_at_a_time(finished):
    tmp_path, _ = finished
    process = start(*arguments(tmp_path, "held", "--epochs", "3"), code=HELD_IN_EPOCH_2)
    wait_for_batch(folder(tmp_path, "held"), epoch=2, batch=0)
    with pytest.raises(UserError, match="in use by another process"):
        mm_main.main(["--evaluate", folder(tmp_path, "held")])
    process.kill()
    process.communicate()


def test_loss_that_is_not_finite_stops_with_step_and_setting(tmp_path):
    message = r"loss became (nan|inf) at step \d+ \(epoch \d+\) with learning_rate 1e\+30"
    with pytest.raises(UserError, match=message):
        mm_main.main(arguments(tmp_path, "wild", "--learning_rate", "1e30"))
    assert np.isfinite(variables(folder(tmp_path, "wild"))["variable/head/bias"]).all()


def test_a_validation_metric_that_is_nan_stops_before_anything_is_saved(tmp_path, monkeypatch):
    evaluate = trainer_module.Trainer.evaluate
    monkeypatch.setattr(trainer_module.Trainer, "evaluate", lambda trainer, split: dict(
        evaluate(trainer, split), frame_nll=float("nan")))
    with pytest.raises(UserError, match=r"validation frame_nll became nan at step \d+ \(epoch 1\)"):
        mm_main.main(arguments(tmp_path, "nan"))
    assert os.listdir(os.path.join(folder(tmp_path, "nan"), "checkpoints")) == ["last.npz"]


def test_out_of_memory_names_the_constant(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module.Trainer, "_train_step", out_of_memory)
    with pytest.raises(UserError, match="batch_size .now 64."):
        mm_main.main(arguments(tmp_path, "large"))


def test_an_unwritable_runs_folder_is_reported_before_training(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="runs.* cannot be written"):
        mm_main.main(arguments(tmp_path, "nowhere"))


def test_a_run_that_fails_before_its_first_checkpoint_leaves_no_folder(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(UserError, match="out of memory"):
        patch.setattr(trainer_module.Trainer, "_save", out_of_memory)
        mm_main.main(arguments(tmp_path, "large"))
    assert not os.path.exists(folder(tmp_path, "large"))


def test_a_damaged_checkpoint_is_named(tmp_path):
    mm_main.main(arguments(tmp_path, "damaged", "--epochs", "1"))
    path = os.path.join(folder(tmp_path, "damaged"), "checkpoints", "last.npz")
    with np.load(path) as saved:
        arrays = dict(saved)
    settings = read(folder(tmp_path, "damaged"), "settings.json")
    with open(path, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="last.npz cannot be read"):
        mm_main.main(["--resume", folder(tmp_path, "damaged"), "--epochs", "2"])
    bias = "variable/head/bias"
    for changed, named in [({bias: np.zeros(3, np.float32)}, "another head/bias of shape"),
                           ({bias: np.full(88, "a text")}, "variable/head/bias holds <U6"),
                           ({"progress": "{}"}, "last.npz cannot be read"),
                           ({"progress": "5"}, "last.npz cannot be read")]:
        np.savez(path, **dict(arrays, **changed))
        with pytest.raises(UserError, match=named):
            mm_main.main(["--resume", folder(tmp_path, "damaged"), "--epochs", "2"])
    assert read(folder(tmp_path, "damaged"), "settings.json") == settings
    np.savez(path, **arrays)
    metrics = os.path.join(folder(tmp_path, "damaged"), "metrics.jsonl")
    with open(metrics, "a") as file:
        file.write('{"epo')
    with pytest.raises(UserError, match="metrics.jsonl cannot be read"):
        mm_main.main(["--resume", folder(tmp_path, "damaged"), "--epochs", "2"])


def test_a_run_without_weights_is_to_be_trained_again(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    shutil.rmtree(os.path.join(path, "checkpoints"))
    for action in ("--resume", "--evaluate"):
        message = "has no weights: .* train it again: " + re.escape(call_of("mm_main.py"))
        with pytest.raises(UserError, match=message):
            mm_main.main([action, path])


def test_the_best_weights_of_an_unfinished_run_are_enough_for_an_evaluation(finished, tmp_path):
    path = copy_of(finished, tmp_path)
    whole = read(path, "results.json")
    for name in ("results.json", "checkpoints/last.npz"):
        os.remove(os.path.join(path, name))
    mm_main.main(["--evaluate", path])
    found = read(path, "results.json")
    assert found["test"] == whole["test"]
    assert found["epochs"] == found["best_epoch"] == whole["best_epoch"]


def test_a_kill_between_two_checkpoints_leaves_the_newer_one_to_an_evaluation(finished, tmp_path,
                                                                             monkeypatch):
    path = str(tmp_path / "runs" / "music" / "Bach Chorales" / "RRU" / "cut")
    save = trainer_module.Trainer._save

    def killed(trainer):
        if trainer.stopping.epochs_done == 1:
            raise KeyboardInterrupt
        save(trainer)

    monkeypatch.setattr(trainer_module.Trainer, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        mm_main.main(arguments(tmp_path, "cut", "--epochs", "3", "--checkpoint_minutes", "1e-9"))
    monkeypatch.undo()
    mm_main.main(["--evaluate", path])
    found, first = read(path, "results.json"), read(path, "metrics.jsonl")[0]
    assert found["epochs"] == found["best_epoch"] == 1
    assert found["valid"]["window_nll"] == pytest.approx(first["valid"]["window_nll"])
    mm_main.main(["--resume", path])
    assert [line["epoch"] for line in read(path, "metrics.jsonl")] == [1, 2, 3]
    assert [number for _, number in curve(path, "epoch/number")] == [1, 2, 3]  # none twice


@pytest.mark.parametrize("option", ["--evaluate", "--resume"])
def test_an_evaluation_by_other_code_is_refused(finished, tmp_path, monkeypatch, option):
    path = copy_of(finished, tmp_path)
    change_json(path, "results.json", lambda results: results.pop("evaluated_in", None))
    before = read(path, "results.json")
    evaluate = trainer_module.Trainer.evaluate
    monkeypatch.setattr(trainer_module.Trainer, "evaluate", lambda trainer, split: {
        name: 1.1 * value for name, value in evaluate(trainer, split).items()})
    with pytest.raises(UserError, match="the weights give a validation .* in training it was .*: "
                                        "take the scripts of its commit"):
        mm_main.main([option, path])
    assert read(path, "results.json") == before
    monkeypatch.undo()
    change_json(path, "results.json", lambda results: results.update(peak_memory_gb=77.5))
    mm_main.main([option, path])
    found = read(path, "results.json")
    assert found["evaluated_in"] == provenance.environment()
    assert found["peak_memory_gb"] == 77.5  # the training's
    assert found["startup_seconds"] == before["startup_seconds"]


def test_tensorboards_full_disk_is_an_error_of_the_disk(tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("events.out.tfevents.1; No space left on device")

    events = Events(str(tmp_path))
    events.scalars(1, {"step/loss": 1.0})
    for name in ("flush", "add_summary"):
        monkeypatch.setattr(events._writer, name, full)
    for call in (events.flush, lambda: events.hyperparameters(1, {"dropout": 0.5}, {})):
        with pytest.raises(UserError, match="No space left on device.*: make room"), disk_errors(
                "make room"):
            call()
    monkeypatch.undo()
    events.close()


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    mm_main.main(arguments(tmp_path, "a", "--epochs", "1"))
    left = os.path.join(folder(tmp_path, "a"), "checkpoints", "last.npz.123.part")
    open(left, "w").close()
    mm_main.main(["--evaluate", folder(tmp_path, "a")])
    assert sorted(os.listdir(os.path.dirname(left))) == ["best.npz", "last.npz"]


def test_a_full_disk_is_one_line_and_the_run_continues_later(finished):
    tmp_path, _ = finished
    # A limit of bytes of a file that is enough for all but a checkpoint and TensorFlow's events,
    # without which it goes here: what 2.x prints of their failure is its own.
    code = ("import resource, sys, mm_main; from files.errors import run_as_script; "
            "from training import events; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, resource.RLIM_INFINITY)); "
            "events.Events.scalars = lambda *_: None; "
            "run_as_script(lambda: mm_main.main(sys.argv[1:]))")
    mm_main.main(arguments(tmp_path, "full", "--epochs", "1"))
    resume = ["--resume", folder(tmp_path, "full"), "--epochs", "4"]
    ended = subprocess.run([sys.executable, "-c", code] + resume, cwd=ROOT, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, universal_newlines=True)
    own = [line for line in ended.stderr.splitlines() if "error: " in line or "Traceback" in line]
    assert ended.returncode == 2 and len(own) == 1
    assert "cannot be written" in own[0] and "--resume" in own[0]
    mm_main.main(resume)
    assert_same_run(folder(tmp_path, "whole"), folder(tmp_path, "full"))


@pytest.mark.parametrize("words, named", [
    (["--cell_name", "XRU"], "cell_name"), (["--learning_rate", "fast"], "learning_rate"),
    (["--batch_size", "0"], "batch_size"), (["--nosuch", "1"], "--nosuch"),
    (["--data_set_name", "Nottingham", "--data_folder", "nowhere"], "get_data.sh")])
def test_bad_input_is_one_line_and_status_2(words, named):
    process = start(*words)
    line, = process.communicate()[0].splitlines()
    assert process.returncode == 2 and named in line


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", "a/../..", ".."])
def test_a_name_cannot_leave_the_folder_of_runs(tmp_path, name):
    with pytest.raises(UserError, match="cannot be a run.s name"):
        mm_main.main(arguments(tmp_path, name))
    assert not (tmp_path / "runs").exists()


def test_a_run_without_a_finished_epoch_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module.Trainer, "fit", lambda _: None)
    with pytest.raises(UserError, match="no epoch is finished yet: continue with --resume"):
        mm_main.main(arguments(tmp_path, "early"))


@pytest.mark.skipif(sys.version_info < (3, 8) or not os.path.exists(TENSORFLOW_1),
                    reason="needs both environments, and is run in that of TensorFlow 2.x")
def test_a_run_begun_on_tensorflow_1_continues_on_2(tmp_path):
    """The Mogrifier's weights come from Sonnet's modules and keep their names without them."""
    words = arguments(tmp_path, "a", "--cell_name", "MogrifierLSTM", "--feature_mask_rounds", "2",
                      "--epochs", "1")
    subprocess.check_call([TENSORFLOW_1, "-u", "mm_main.py"] + words, cwd=ROOT)
    path = folder(tmp_path, "a", "MogrifierLSTM")
    before = read(path, "results.json")
    mm_main.main(["--evaluate", path])
    after = read(path, "results.json")
    assert after["environment"] == before["environment"]  # that of the training
    for split in ("valid", "test"):
        np.testing.assert_allclose(after[split]["window_nll"], before[split]["window_nll"],
                                   rtol=1e-5)
    mm_main.main(["--resume", path, "--epochs", "2"])
    assert [line["epoch"] for line in read(path, "metrics.jsonl")] == [1, 2]
    versions = [results["environment"]["tensorflow"][0]
                for results in (before, read(path, "results.json"))]
    assert versions == ["1", "2"]
