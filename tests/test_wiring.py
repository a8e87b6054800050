"""That the parts, each tested alone, are joined in a training as the paper has them."""

import sys

import numpy as np
import pytest

import experiment
import mm_main
import mm_utils
import mnist_main
import test_mm_utils
from test_models import build, settings_for
from test_sweep_grid import write_trials
from test_trainer import arguments, folder, read, variables
from training import model as model_module
from training.read_settings import read_settings
from training.trainer import Trainer

pytestmark = pytest.mark.tf2


def music_model(session, tmp_path, **changes):
    test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits(), "Nottingham")
    changes = dict(changes, number_of_parameters=20000, number_of_layers=1)
    return build(session, mm_main, mm_utils, settings_for(tmp_path, "Nottingham", **changes))


def test_dropout_has_its_rate_and_a_new_mask_at_each_step(session, tmp_path):
    model, data = music_model(session, tmp_path, dropout=0.5)
    batch = data.batches("train", 1)[0]

    def loss(rate, step):
        return session.run(model.loss, model.feed(batch, dropout=rate, mask_seed=(1, step)))

    assert loss(0.5, 1) == loss(0.5, 1) and loss(0.0, 1) == loss(0.0, 2)
    assert len({loss(0.0, 1), loss(0.5, 1), loss(0.5, 2), loss(0.9, 1)}) == 4


def test_clipping_is_as_set(session, tmp_path, monkeypatch):
    made, optimizer = [], model_module.RectifiedAdam
    monkeypatch.setattr(model_module, "RectifiedAdam",
                        lambda *words: made.append(words[1:]) or optimizer(*words))
    music_model(session, tmp_path, clip_gradients=False, clip_multiplier=7.0)
    assert made == [(False, 7.0)]


def test_every_variable_is_trained(session, tmp_path):
    model, data = music_model(session, tmp_path, dropout=0.5)
    trainable = model_module.tf.trainable_variables()
    before = session.run(trainable)
    for step in (1, 2):
        session.run(model.train_op, model.feed(data.batches("train", 1)[0], dropout=0.5,
                                               mask_seed=(1, step), learning_rate=0.1))
    for variable, one, other in zip(trainable, before, session.run(trainable)):
        assert (one != other).any(), variable.name


def test_each_epoch_has_an_order_and_metrics_of_its_own(tmp_path, monkeypatch):
    orders, losses, sizes = [], [], []
    batches, step = mm_utils.MusicData.batches, Trainer._train_step

    def noted_batches(data, split, epoch=0):
        orders.extend([epoch] if split == "train" else [])
        return batches(data, split, epoch)

    def noted_step(trainer, batch):
        sizes.append(len(batch["lengths"]))
        losses.append(step(trainer, batch))
        return losses[-1]

    monkeypatch.setattr(mm_utils.MusicData, "batches", noted_batches)
    monkeypatch.setattr(Trainer, "_train_step", noted_step)
    mm_main.main(arguments(tmp_path, "a", "--epochs", "2"))
    assert orders[-2:] == [1, 2]
    half = len(losses) // 2
    for number, line in enumerate(read(folder(tmp_path, "a"), "metrics.jsonl")):
        of_epoch = slice(number * half, (number + 1) * half)
        mean = np.average(losses[of_epoch], weights=sizes[of_epoch])
        np.testing.assert_allclose(line["train"]["window_nll"], mean, rtol=1e-5)


def test_of_accuracies_the_highest_is_the_best(tmp_path, monkeypatch):
    def evaluate(trainer, _):
        accuracy = {0: 0.9, 1: 0.5, 2: 0.9}[trainer.stopping.epochs_done]
        return {"accuracy": accuracy, "batch_accuracy": accuracy, "cross_entropy": 2.0}

    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    mnist_main.main(["--data_set_name", "SequentialDigits", "--number_of_parameters", "20000",
                     "--epochs", "2", "--batch_size", "600", "--name", "a",
                     "--data_folder", str(tmp_path), "--runs_folder", str(tmp_path)])
    path = tmp_path / "mnist" / "SequentialDigits" / "RRU" / "a"
    assert read(str(path), "results.json")["best_epoch"] == 1


def test_a_trial_that_is_worse_than_the_earlier_ones_is_pruned(tmp_path):
    write_trials(tmp_path / "runs" / "music" / "Bach Chorales" / "RRU" / "night", [[0.1]] * 5,
                 metric="window_nll")
    words = arguments(tmp_path, "")[:-2] + [  # without --name, which sweeps refuse
        "--epochs", "2", "--do_hyperparameter_optimization", "True", "--sweep_name", "night"]
    reasons = []
    for name, epochs in (("night/trial-006", "1"), ("night/trial-007", "0")):
        settings = read_settings(vars(mm_main), words + ["--prune_after", epochs])
        mm_main.main(settings.changed(name=name, do_hyperparameter_optimization=False,
                                      search={}).all_options())
        results = read(folder(tmp_path, name), "results.json")
        reasons.append((results["epochs"], results["stop_reason"].split(":")[0]))
    assert reasons == [(1, "pruned"), (2, "the limit of 2 epochs is reached")]


def test_freed_memory_is_kept_in_every_experiment(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "keep_freed_memory", lambda: sys.exit(7))
    with pytest.raises(SystemExit, match="7"):
        mm_main.main(arguments(tmp_path, "a"))


def test_initial_values_follow_from_the_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", lambda _: sys.exit(0))
    values = {}
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        with pytest.raises(SystemExit):
            mm_main.main(arguments(tmp_path, name, "--seed", seed))
        values[name] = variables(folder(tmp_path, name))["variable/layer_0/rru/W_J"]
    assert np.array_equal(values["a"], values["b"])
    assert not np.array_equal(values["a"], values["c"])
