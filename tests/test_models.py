"""What the models compute: metrics against plain loops, carried states, losses, true ends."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from cells import registry
from training import metrics
from training.trainer import Trainer
import lm_main
import lm_utils
import mm_main
import mm_utils
import mnist_main
import mnist_utils
import sa_main
import sa_utils
import test_lm_utils
import test_mm_utils
import test_mnist_utils
import test_sa_utils

pytestmark = pytest.mark.tf2

WINDOW = 8


def settings_for(folder, data_set, cell_name="RRU", **changes):
    own = registry.published_hyperparameters(cell_name, data_set)
    own.update({"output_size": 5} if cell_name == "RRU" else {})
    values = dict(data_set_name=data_set, data_folder=str(folder), cell_name=cell_name,
                  cell_hyperparameters=own, number_of_parameters=3000, number_of_layers=2,
                  dropout=0.0, batch_size=3, window_size=WINDOW, embedding_size=4, stateful=False,
                  state_reset_probability=0.1, label_smoothing=0.1, learning_rate=1e-3,
                  clip_gradients=True, clip_multiplier=5.0, seed=1, gpu="", allow_growth=True,
                  mixed_precision=False, bucket_by_length=False, transpose=0)
    return types.SimpleNamespace(**dict(values, **changes))


def build(session, script, utils, settings):
    """A model with random weights, as a zero could hide a mistake, and its data."""
    data = utils.load(settings)
    model = script.build_model(settings, data)
    session.run(tf.global_variables_initializer())
    random = np.random.RandomState(2)
    for variable in tf.trainable_variables():
        variable.load(0.5 * random.randn(*variable.shape.as_list()), session)
    return model, data


def logits_of(session, model, batch, state=None):
    return session.run([model.outputs["logits"], model.state_out], model.feed(batch, state))


def nats(logits, targets):
    """Cross-entropy of each target, in float64."""
    logits = logits.astype(np.float64)
    of_targets = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    return np.log(np.exp(logits).sum(-1)) - of_targets


def evaluated(session, model, data, settings, split):
    """{name: value} as the trainer's evaluation gives them."""
    trainer = types.SimpleNamespace(session=session, model=model, data=data, settings=settings,
                                    run=None, _exit_if_interrupted=lambda: None)
    return Trainer.evaluate(trainer, split)


def counted(session, model, data, split):
    """{name: number of the windows, targets, .. over which its mean is taken}."""
    batches = data.batches(split)
    counts = [[session.run(metric.count, model.feed(batches[i])) for i in range(len(batches))]
              for metric in model.metrics.values()]
    return dict(zip(model.metrics, map(sum, counts)))


def mean_of_means(values, batch_size):
    """The mean over batches of each one's mean; a smaller rest belongs to the last batch."""
    count = max(len(values) // batch_size, 1)
    batches = [values[i * batch_size:(i + 1) * batch_size] for i in range(count - 1)]
    return np.mean([np.mean(batch) for batch in batches + [values[(count - 1) * batch_size:]]])


@pytest.fixture
def text(tmp_path):
    test_lm_utils.write_letters(tmp_path, 200, valid=31)
    return tmp_path


@pytest.mark.parametrize("cell_name", ["RRU", "LSTM"])
def test_music_is_the_mean_over_windows_of_means_over_their_steps(session, tmp_path, cell_name):
    test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits(), "Nottingham")
    settings = settings_for(tmp_path, "Nottingham", cell_name, number_of_parameters=20000,
                            number_of_layers=1, batch_size=4)
    model, data = build(session, mm_main, mm_utils, settings)

    def losses_of_windows(batch):
        """Of each window the losses of its steps, each window alone, in float64."""
        for i, length in enumerate(batch["lengths"]):
            alone = {"inputs": batch["inputs"][:length, i:i + 1],
                     "targets": batch["targets"][:length, i:i + 1], "lengths": [length]}
            logits = logits_of(session, model, alone)[0][:, 0].astype(np.float64)
            yield (np.log1p(np.exp(logits)) - logits * alone["targets"][:, 0]).sum(1)

    batches = data.batches("test")
    windows = [losses for i in range(len(batches)) for losses in losses_of_windows(batches[i])]
    assert len({len(losses) for losses in windows}) > 2
    found = evaluated(session, model, data, settings, "test")
    assert counted(session, model, data, "test") == {
        "window_nll": len(windows), "frame_nll": sum(map(len, windows))}
    window_nll = np.mean([losses.mean() for losses in windows])
    frame_nll = np.concatenate(windows).mean()
    assert abs(window_nll - frame_nll) > 0.01
    np.testing.assert_allclose(found["window_nll"], window_nll, rtol=1e-5)
    np.testing.assert_allclose(found["frame_nll"], frame_nll, rtol=1e-5)
    assert model.monitor == "window_nll" and model.lower_is_better
    assert len(windows) % settings.batch_size and len(windows) > 2 * settings.batch_size
    batch_nll = mean_of_means([losses.mean() for losses in windows], settings.batch_size)
    assert abs(batch_nll - window_nll) > 1e-4
    np.testing.assert_allclose(found["batch_nll"], batch_nll, rtol=1e-5)
    batch = max(data.batches("train", 1), key=lambda batch: np.ptp(batch["lengths"]))
    loss = np.mean([losses.mean() for losses in losses_of_windows(batch)])
    np.testing.assert_allclose(session.run(model.loss, model.feed(batch)), loss, rtol=1e-5)


def test_music_starts_from_the_cells_own_first_state(session, tmp_path):
    test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits(), "Nottingham")
    settings = settings_for(tmp_path, "Nottingham", number_of_parameters=20000, number_of_layers=1)
    model, data = build(session, mm_main, mm_utils, settings)
    state, = session.run(model.outputs["first_states"], model.feed(data.batches("test")[0]))
    units = model.network.hidden_units
    expected = np.tile(np.eye(1, units) * np.sqrt(units) / 4, [len(state), 1])
    np.testing.assert_allclose(state, expected, rtol=1e-6)


def test_initial_values_of_embedding_and_head(session, text):
    settings = settings_for(text, "pennchar", embedding_size=40, number_of_parameters=60000)
    model = lm_main.build_model(settings, lm_utils.load(settings))
    session.run(tf.global_variables_initializer())
    values = {variable.op.name: session.run(variable) for variable in tf.trainable_variables()}
    limits = {"embedding": 1, "head/kernel": np.sqrt(6 / sum(values["head/kernel"].shape))}
    for name, limit in limits.items():
        assert 0.95 * limit < abs(values[name]).max() <= limit
        of_uniform = limit / np.sqrt(3)
        np.testing.assert_allclose(values[name].std(), of_uniform, rtol=0.15)
    assert not values["head/bias"].any() and model.network.hidden_units > 1


def lm_batch(inputs, targets=None, reset=None):
    """A batch of one sequence."""
    inputs = np.array(inputs)[:, None]
    batch = {"inputs": inputs, "targets": inputs if targets is None else np.array(targets)[:, None],
             "lengths": [len(inputs)], "first_counted": [0]}
    return batch if reset is None else dict(batch, reset_state=reset)


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("cell_name", ["RRU", "LSTM"])
def test_evaluation_of_text_equals_a_loop_over_tokens(session, text, stateful, cell_name):
    settings = settings_for(text, "pennchar", cell_name, stateful=stateful)
    model, data = build(session, lm_main, lm_utils, settings)
    tokens, losses, right = data.tokens("valid").astype(np.int32), [], []
    for target in range(1, len(tokens)):
        start = 0
        while target > start + WINDOW:
            start += WINDOW // 2
        context = lm_batch(tokens[start:target], reset=True if stateful else None)
        logits = logits_of(session, model, context)[0][-1, 0]
        losses.append(nats(logits, tokens[target]))
        right.append(logits.argmax() == tokens[target])
    found = evaluated(session, model, data, settings, "valid")
    np.testing.assert_allclose(found["bpc"], np.mean(losses) / np.log(2), rtol=1e-5)
    np.testing.assert_allclose(found["accuracy"], np.mean(right), rtol=1e-6)
    assert counted(session, model, data, "valid") == {"bpc": 30, "accuracy": 30}


def test_perplexity_of_words_is_exp_of_the_mean(session, tmp_path):
    words = "a b c d a b e f " * 8
    test_lm_utils.write_unchanged(tmp_path, ptb_train_txt=words, ptb_valid_txt=words[:40],
                                  ptb_test_txt=words[:30])
    settings = settings_for(tmp_path, "penn")
    model, data = build(session, lm_main, lm_utils, settings)
    perplexity = evaluated(session, model, data, settings, "test")["perplexity"]
    count = counted(session, model, data, "test")["perplexity"]
    metric = model.metrics["perplexity"]
    total = sum(session.run(metric.total, model.feed(batch)) for batch in data.batches("test"))
    assert count == len(data.tokens("test")) - 1 == 14
    np.testing.assert_allclose(perplexity, np.exp(total / 14), rtol=1e-6)


def test_training_loss_of_text_is_the_mean_over_all_steps(session, text):
    model, data = build(session, lm_main, lm_utils, settings_for(text, "pennchar", stateful=True))
    batch = data.batches("train", 1)[0]
    losses = nats(logits_of(session, model, batch)[0], batch["targets"])
    assert losses.shape == (WINDOW, 3)
    np.testing.assert_allclose(session.run(model.loss, model.feed(batch)), losses.mean(), rtol=1e-5)


@pytest.mark.parametrize("cell_name", ["RRU", "GRU", "LSTM", "MogrifierLSTM"])
def test_state_is_carried_and_reset(session, text, cell_name):
    settings = settings_for(text, "pennchar", cell_name, stateful=True)
    if cell_name == "MogrifierLSTM":
        settings.cell_hyperparameters.update(feature_mask_rounds=2)  # its graph is built sooner
    model, data = build(session, lm_main, lm_utils, settings)
    tokens = data.tokens("train")[:2 * WINDOW].astype(np.int32)
    whole = logits_of(session, model, lm_batch(tokens, reset=True))[0]
    first, state = logits_of(session, model, lm_batch(tokens[:WINDOW], reset=True))
    carried, _ = logits_of(session, model, lm_batch(tokens[WINDOW:], reset=False), state)
    np.testing.assert_allclose(np.concatenate([first, carried]), whole, atol=1e-5)
    # Without a fed state, and with any state after a reset, it is all zeros.
    zeros = tf.nest.map_structure(np.zeros_like, state)
    expected, _ = logits_of(session, model, lm_batch(tokens[WINDOW:], reset=False), zeros)
    assert abs(expected - carried).max() > 1e-3
    for fed, reset in ((None, False), (None, True), (state, True)):
        found, _ = logits_of(session, model, lm_batch(tokens[WINDOW:], reset=reset), fed)
        np.testing.assert_array_equal(found, expected)


def test_first_state_is_the_cells_own_where_none_is_carried(text):
    logits = []
    for stateful in (False, True):
        with tf.Graph().as_default(), tf.Session() as session:
            settings = settings_for(text, "pennchar", stateful=stateful)
            model, data = build(session, lm_main, lm_utils, settings)
            batch = lm_batch(data.tokens("train")[:4], reset=False if stateful else None)
            own = session.run(model.network.initial_states(1)) if stateful else None
            logits.append(logits_of(session, model, batch, own)[0])
    np.testing.assert_allclose(*logits, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_is_in_the_training_loss_alone(session, tmp_path, smoothing):
    test_mnist_utils.write_unchanged(tmp_path)
    settings = settings_for(tmp_path, "SequentialMNIST", label_smoothing=smoothing,
                            number_of_layers=1)
    model, data = build(session, mnist_main, mnist_utils, settings)
    batch = data.batches("train", 1)[0]
    logits = logits_of(session, model, batch)[0]
    assert logits.shape == (3, 10)
    shares = np.eye(10)[batch["labels"]] * (1 - smoothing) + smoothing / 10
    of_each_class = np.stack([nats(logits, np.full(3, label)) for label in range(10)], axis=1)
    loss, total = session.run([model.loss, model.metrics["cross_entropy"].total], model.feed(batch))
    np.testing.assert_allclose(loss, (shares * of_each_class).sum(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(total, nats(logits, batch["labels"]).sum(), rtol=1e-5)


@pytest.mark.parametrize("cell_name", ["RRU", "LSTM"])
def test_reviews_are_read_at_their_true_end_and_counted_once(session, tmp_path, cell_name):
    test_sa_utils.write_unchanged(tmp_path)
    settings = settings_for(tmp_path, "IMDB", cell_name, number_of_parameters=110000, batch_size=4)
    model, data = build(session, sa_main, sa_utils, settings)
    right, losses = [], []
    for batch in data.batches("test"):
        together = logits_of(session, model, batch)[0]
        for i, length in enumerate(batch["lengths"]):
            alone = {"inputs": batch["inputs"][:length, i:i + 1], "lengths": [length],
                     "labels": batch["labels"][i:i + 1]}
            logits = logits_of(session, model, alone)[0]
            np.testing.assert_allclose(logits[0], together[i], atol=1e-5)
            right.append(logits.argmax() == batch["labels"][i])
            losses.append(nats(logits, alone["labels"])[0])
    found = evaluated(session, model, data, settings, "test")
    np.testing.assert_allclose(found["accuracy"], np.mean(right))
    np.testing.assert_allclose(found["cross_entropy"], np.mean(losses), rtol=1e-5)
    assert counted(session, model, data, "test") == {"accuracy": 9, "cross_entropy": 9}


def test_published_accuracy_is_a_mean_of_batches_in_the_order_of_the_file(session, tmp_path):
    test_sa_utils.write_unchanged(tmp_path)
    settings = settings_for(tmp_path, "IMDB", number_of_parameters=110000, batch_size=4)
    model, data = build(session, sa_main, sa_utils, settings)
    ready = np.load(str(tmp_path / "sa" / "ready" / "IMDB" / "test.npz"))
    ends, right = np.cumsum(ready["lengths"]), []
    for end, length, label in zip(ends, ready["lengths"], ready["labels"]):
        ids = ready["ids"][end - length:end][-WINDOW:]
        alone = {"inputs": ids[:, None], "lengths": [len(ids)], "labels": [label]}
        right.append(logits_of(session, model, alone)[0].argmax() == label)
    # The batches are of 4 and of 5 reviews; the order of evaluation, longest first, has others.
    assert len(right) == 9 and (np.diff(ready["lengths"].astype(int)) > 0).any()
    by_length = np.array(right)[np.argsort(-ready["lengths"].astype(int), kind="stable")]
    expected = (np.mean(right[:4]) + np.mean(right[4:])) / 2
    assert expected not in (np.mean(right), (by_length[:4].mean() + by_length[4:].mean()) / 2)
    found = evaluated(session, model, data, settings, "test")["batch_accuracy"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_published_average_is_in_the_order_of_the_file():
    # Examples 2, 0, 1, 4, 3 of the file, as evaluated; its batches are 0 and 1, and 2, 3 and 4.
    found = metrics.mean_of_batch_means([1.0, 2.0, 4.0, 8.0, 16.0], np.array([2, 0, 1, 4, 3]), 2)
    assert found == ((2 + 4) / 2 + (1 + 16 + 8) / 3) / 2


def test_published_accuracy_of_digits(session, tmp_path):
    test_mnist_utils.write_unchanged(tmp_path)
    settings = settings_for(tmp_path, "SequentialMNIST", number_of_layers=1)
    model, data = build(session, mnist_main, mnist_utils, settings)
    right = []
    for batch in data.batches("test"):
        right += list(logits_of(session, model, batch)[0].argmax(axis=1) == batch["labels"])
    found = evaluated(session, model, data, settings, "test")["batch_accuracy"]
    np.testing.assert_allclose(found, mean_of_means(right, settings.batch_size), rtol=1e-12)


def test_permuted_digits_are_the_same_pixels_scaled_to_one(session, tmp_path):
    test_mnist_utils.write_unchanged(tmp_path)
    settings = settings_for(tmp_path, "P-MNIST", number_of_layers=1)
    model, data = build(session, mnist_main, mnist_utils, settings)
    batch = data.batches("valid")[0]
    operations = session.graph.get_operations()
    expand = next(operation for operation in operations if operation.type == "ExpandDims")
    values = session.run(expand.outputs[0], model.feed(batch))
    assert values.shape == (784, 3, 1) and 0.9 < values.max() <= 1
    np.testing.assert_allclose(values[:, :, 0], batch["inputs"] / 255., rtol=1e-6)


@pytest.mark.parametrize("utils, data_set, write, key", [
    (sa_utils, "IMDB", test_sa_utils.write_unchanged, "labels"),
    (mnist_utils, "SequentialMNIST", test_mnist_utils.write_unchanged, "labels")])
def test_baseline_of_classes(tmp_path, utils, data_set, write, key):
    write(tmp_path)
    data = utils.load(settings_for(tmp_path, data_set))
    labels = {}
    for split in ("train", "test"):
        labels[split] = np.concatenate([batch[key] for batch in data.batches(split)])
    commonest = np.bincount(labels["train"]).argmax()
    assert data.baseline("test") == {"accuracy": np.mean(labels["test"] == commonest)}


def test_baseline_of_text(text):
    data = lm_utils.load(settings_for(text, "pennchar"))
    train, test = data.tokens("train"), data.tokens("test")
    counts = np.bincount(train, minlength=data.vocabulary_size)
    probabilities = [(counts[i] + 1) / (len(train) + data.vocabulary_size) for i in test[1:]]
    found = data.baseline("test")
    np.testing.assert_allclose(found["bpc"], -np.mean(np.log2(probabilities)))
    assert found["accuracy"] == np.mean(test[1:] == counts.argmax())
