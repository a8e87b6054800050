"""The four scripts: all data sets with all cells, missing data, settings that reach the session."""

import collections
import hashlib
import json
import math
import re

import numpy as np
import pytest
import sklearn.datasets

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
from data_preparation import identity, ready_files
from reports import report
from training import trainer
from files.errors import UserError, run_as_script
from training.script_constants import read_constants
from training.read_settings import read_settings

SCRIPTS = (sa_main, lm_main, mm_main, mnist_main)
# Cells with options that keep their graphs small: building them takes most of the time.
CELLS = {"RRU": [], "GRU": [], "LSTM": [], "MogrifierLSTM": ["--feature_mask_rounds", "2"]}
SENTENCE = "the cat sat on the mat and saw the u.s. dog <unk> eat $ N of a fat rat "
CHARACTERS = "the cat sat on the mat and saw a dog "

# A cut-down data set: its script, its number of parameters, options for an epoch of two steps.
# The rest is what results.json must say of it:
# the metrics, the monitor one first, and a count of each split.
Case = collections.namedtuple("Case", "script parameters options metrics counted counts")


def _case(script, parameters, options, metrics, counted, *counts):
    return Case(script, parameters, options.split(), metrics.split(), counted, counts)


MUSIC = _case(mm_main, 40000, "--batch_size 6", "window_nll frame_nll batch_nll", "songs", 13, 7, 6)
STREAMS = "--window_size 8 --batch_size 4"
WORDS = "--window_size 8 --batch_size 4 --embedding_size 6"
DIGITS = "accuracy cross_entropy batch_accuracy"
CASES = {
    "JSB Chorales": MUSIC,
    "Nottingham": MUSIC,
    "MuseData": MUSIC,
    "Piano-midi.de": MUSIC,
    "Bach Chorales": MUSIC._replace(parameters=80000, options=["--batch_size", "130"],
                                    counted=None),
    "penn": _case(lm_main, 100000, WORDS, "perplexity accuracy", "targets", 8 * 8, 18, 37),
    "penn-standard": _case(lm_main, 100000, WORDS, "perplexity accuracy", "targets", 8 * 8, 19, 37),
    "pennchar": _case(lm_main, 100000, STREAMS, "bpc accuracy", "targets", 8 * 8, 20, 30),
    "enwik8": _case(lm_main, 100000, STREAMS, "bpc accuracy", "targets", 8 * 8, 3, 4),
    "text8": _case(lm_main, 100000, STREAMS, "bpc accuracy", "targets", 8 * 8, 3, 4),
    "PythonDocs": _case(lm_main, 100000, STREAMS, "bpc accuracy", "targets", 8 * 8, 3, 4),
    "IMDB": _case(sa_main, 120000, "--batch_size 8 --embedding_size 4", DIGITS,
                  "reviews", 16, 4, 9),
    "SequentialMNIST": _case(mnist_main, 10000, "--batch_size 7", DIGITS, "digits", 15, 3, 7),
    "P-MNIST": _case(mnist_main, 10000, "--batch_size 7", DIGITS, "digits", 15, 3, 7),
    "SequentialDigits": _case(mnist_main, 10000, "--batch_size 35", DIGITS, "digits", 70, 15, 15),
}
OF_EACH_SCRIPT = ("Bach Chorales", "PythonDocs", "IMDB", "SequentialDigits")
DOWNLOADED = [name for name in CASES
              if name not in ("Bach Chorales", "PythonDocs", "SequentialDigits")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of runs, in it a data folder with small versions of all data sets, prepared."""
    path = tmp_path_factory.mktemp("scripts")
    data = path / "data"
    for name in mm_utils.DATA_SETS:
        if name != mm_utils.SAMPLE:
            test_mm_utils.write_source(data, test_mm_utils.made_up_splits(), name)
    spaced = " ".join(CHARACTERS.replace(" ", "_"))
    test_lm_utils.write_unchanged(
        data,
        ptb_train_txt=SENTENCE * 2 + "\n", ptb_valid_txt=SENTENCE + "\n",
        ptb_test_txt=SENTENCE * 2,
        ptb_char_train_txt=spaced * 2, ptb_char_valid_txt=spaced[:42],
        ptb_char_test_txt=spaced[:62],
        enwik8=(CHARACTERS * 3)[:90], text8=(CHARACTERS * 3)[:90])
    test_sa_utils.write_unchanged(data)
    test_mnist_utils.write_unchanged(data)
    with pytest.MonkeyPatch.context() as patch:
        digits = sklearn.datasets.load_digits()
        digits.data, digits.target = digits.data[:100], digits.target[:100]
        patch.setattr("sklearn.datasets.load_digits", lambda: digits)
        patch.setattr("pydoc_data.topics.topics", {"for": (CHARACTERS * 3)[:90]})
        for utils in (mm_utils, lm_utils, sa_utils, mnist_utils):
            for name in utils.DATA_SETS:
                utils.prepare(name, str(data))
    return path


def train(folder, data_set, cell_name, *more):
    """Train one epoch; returns what results.json says."""
    case = CASES[data_set]
    name = " ".join(("run",) + more)
    case.script.main(
        ["--data_set_name", data_set, "--cell_name", cell_name, "--epochs", "1", "--name", name,
         "--number_of_layers", "1", "--number_of_parameters", str(case.parameters),
         "--data_folder", str(folder / "data"), "--runs_folder", str(folder / "runs")]
        + case.options + CELLS[cell_name] + list(more))
    path = folder / "runs" / case.script.TASK / data_set / cell_name / name
    return json.loads((path / "results.json").read_text())


@pytest.mark.parametrize("data_set, cell_name", [
    pytest.param(name, cell_name, marks=pytest.mark.tf2 if name in OF_EACH_SCRIPT else ())
    for name in sorted(CASES) for cell_name in sorted(CELLS)
    if name in OF_EACH_SCRIPT or cell_name == "RRU"])
def test_every_data_set_can_be_trained_and_evaluated(folder, data_set, cell_name):
    case, results = CASES[data_set], train(folder, data_set, cell_name)
    assert (results["data_set"], results["cell"], results["task"]) == (
        data_set, cell_name, case.script.TASK)
    assert (results["epochs"], results["best_epoch"], results["steps"]) == (1, 1, 2)
    assert case.parameters / 2 < results["parameters"] <= case.parameters
    assert results["hidden_units"] >= 1
    assert results["monitor"] == case.metrics[0]
    assert results["lower_is_better"] == (case.metrics[0] != "accuracy")
    for split in ("valid", "test"):
        assert set(results[split]) == set(case.metrics)
        assert all(math.isfinite(value) and value >= 0 for value in results[split].values())
    assert math.isfinite(results["baseline"]["test"][case.metrics[0]])
    if case.counted:
        assert tuple(results["counts"][split][case.counted]
                     for split in ("train", "valid", "test")) == case.counts
    if "accuracy" in case.metrics:
        for split, count in zip(("valid", "test"), case.counts[1:]):
            right = results[split]["accuracy"] * count
            assert abs(right - round(right)) < 1e-6
    assert results["data_fraction"] == (None if data_set in DOWNLOADED else 1)
    assert results["paper"] is None


def test_a_part_of_a_text_is_shown_as_one(folder, capsys, monkeypatch):
    beginning = hashlib.sha256((CHARACTERS * 3)[:64].encode()).hexdigest()
    monkeypatch.setattr(identity, "beginnings", lambda name: {64: beginning})
    lm_utils.prepare("text8", str(folder / "data"))
    results = train(folder, "text8", "GRU", "--seed", "2")
    shown = capsys.readouterr().out
    assert results["data_fraction"] == 90 / 1e8
    assert shown.startswith("GRU on 9e-05 % of the full text8: ")
    assert "only 9e-05 % of the full text8, not comparable with the paper" in shown
    assert shown.count("(unigram baseline, test: ") == 2  # of BPC and of accuracy
    assert "paper (test)" not in shown
    test = dict(results["test"], bpc=1.4)
    lines = report.box(dict(results, data_fraction=1, paper=1.35, test=test), "somewhere",
                       "unigram baseline")
    whole = "\n".join(lines)
    assert "not comparable" not in whole
    assert re.search(r"paper \(test\) +1.35, our BPC differs by \+0.05\n", whole)


def test_the_whole_text_is_set_beside_the_paper(folder, capsys, monkeypatch):
    identity_of = ready_files.identity
    monkeypatch.setattr(ready_files, "identity", lambda ready: (identity_of(ready)[0], 1))
    assert train(folder, "text8", "GRU", "--seed", "3")["paper"] == 1.55
    assert "paper (test)" in capsys.readouterr().out


@pytest.mark.parametrize("data_set", DOWNLOADED)
def test_missing_data_are_one_line_and_status_2(data_set, tmp_path, capsys):
    words = ["--data_set_name", data_set, "--data_folder", str(tmp_path),
             "--runs_folder", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as ended:
        run_as_script(lambda: CASES[data_set].script.main(words))
    captured = capsys.readouterr()
    assert ended.value.code == 2 and not captured.out
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert "bash get_data.sh --only" in captured.err
    assert not (tmp_path / "runs").exists()


def test_all_scripts_have_the_same_constants_in_the_same_order():
    """A script may lack some and have its own, but what two have is alike, in the same place."""
    lists = [read_constants(vars(script)) for script in SCRIPTS]
    for constants in lists:
        assert list(dict.fromkeys(constant.group for constant in constants)) == [
            "Data", "Model", "Training", "Stopping", "Sweep", "Run", "GPU"]
        for others in lists:
            mine = {constant.name: constant for constant in constants}
            theirs = {constant.name: constant for constant in others}
            assert [name for name in mine if name in theirs] == [
                name for name in theirs if name in mine]
            for name in set(mine) & set(theirs):
                one, other = mine[name], theirs[name]
                assert one.group == other.group
                # Music is prompted by a file, language by a text.
                assert one.allowed == other.allowed or name == "prompt"
                assert one.value == other.value or name == "data_set_name"
                # These have a meaning of their own in each task.
                assert one.meaning == other.meaning or name in (
                    "data_set_name", "data_folder", "window_size", "embedding_size", "batch_size",
                    "prompt", "sample_steps")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_table_has_all_that_is_none_at_the_top(script):
    unset = {constant.name for constant in read_constants(vars(script)) if constant.value is None}
    for values in script.PUBLISHED.values():
        assert set(values) == unset


# As in the paper's files.
# pennchar's learning rate, dropout and sizes are inferred.
# text8 and P-MNIST have the values of their like.
PUBLISHED_EXPERIMENTS = """
                     | music | penn | pennchar | enwik8 | IMDB | MNIST
window_size          |   200 |   64 |      512 |    256 |  512 |     -
batch_size           |    16 |  128 |       64 |     64 |   64 |    64
number_of_layers     |     1 |    2 |        2 |      2 |    2 |     2
number_of_parameters |   5e6 | 20e6 |     24e6 |   48e6 |  2e6 |  70e3
embedding_size       |     - |   64 |       16 |     32 |   64 |     -
learning_rate        |  1e-3 | 3e-3 |     1e-3 |   1e-3 | 1e-3 |  1e-3
clip_multiplier      |   1.5 |   10 |       10 |     10 |    5 |     5
dropout              |    .5 |   .5 |       .5 |     .7 |   .5 |    .7
epochs               |  1000 | 1000 |     1000 |   1000 | 1000 |  1000
patience             |     7 |    7 |        3 |      3 |    5 |     5
stateful             |     - |    0 |        1 |      1 |    - |     -
state_reset_probability    |     - |   .1 |       .1 |     .1 |    - |     -
label_smoothing      |     - |    - |        - |      - |   .1 |    .1
transpose            |     0 |    - |        - |      - |    - |     -
bucket_by_length     |     - |    - |        - |      - |    0 |     -
clip_gradients       |     1 |    1 |        1 |      1 |    1 |     1
linear_decay  |     0 |    0 |        0 |      0 |    0 |     0
mixed_precision      |     0 |    0 |        0 |      0 |    0 |     0
sweep_trials         |   100 |  100 |      100 |    100 |  100 |   100
output_size          |    64 |  128 |      128 |    128 |   64 |    64
relu_layers          |     1 |    1 |        1 |      2 |    2 |     1
middle_layer_size_multiplier | 2 | 2 |       2 |      4 |    2 |     2
feature_mask_rounds  |     5 |    5 |        5 |      6 |    5 |     5
feature_mask_rank    |    40 |   40 |       40 |     79 |   40 |    40
forget_bias          |     1 |    1 |        1 |      1 |    1 |     1
"""
COLUMNS = [
    (mm_main, "JSB Chorales"), (mm_main, "Nottingham"),
    (mm_main, "MuseData"), (mm_main, "Piano-midi.de"),
    (lm_main, "penn"), (lm_main, "penn-standard"), (lm_main, "pennchar"),
    (lm_main, "enwik8"), (lm_main, "text8"),
    (sa_main, "IMDB"), (mnist_main, "SequentialMNIST"), (mnist_main, "P-MNIST")]
HEADINGS = dict(
    {"penn-standard": "penn", "text8": "enwik8", "SequentialMNIST": "MNIST", "P-MNIST": "MNIST"},
    **{name: "music" for script, name in COLUMNS if script is mm_main})


@pytest.mark.parametrize("script, data_set", COLUMNS)
def test_settings_are_those_of_the_published_experiments(script, data_set):
    (_, *headings), *rows = [re.split(r" *\| *", line.strip())
                             for line in PUBLISHED_EXPERIMENTS.strip("\n").split("\n")]
    column = 1 + headings.index(HEADINGS.get(data_set, data_set))
    expected = {row[0]: float(row[column]) for row in rows if row[column] != "-"}
    found = {}
    for cell_name in CELLS:
        values = read_settings(
            vars(script), ["--data_set_name", data_set, "--cell_name", cell_name]).values
        found.update(values, **values["cell_hyperparameters"])
    assert {name: found[name] for name in expected} == expected
    assert not {row[0] for row in rows} - set(expected) & set(found)


# --- GPU settings ---

@pytest.fixture
def configs(monkeypatch):
    """The ConfigProtos of all sessions a run opens, on a machine that claims to have two GPUs."""
    found, session = [], trainer.tf.Session

    def recorded(config):
        found.append(config)
        return session()  # with a GPU that is not really there TensorFlow 1.15 aborts the process
    monkeypatch.setattr(trainer.tf, "Session", recorded)
    monkeypatch.setattr("tensorflow.compat.v1.config.experimental.list_physical_devices",
                        lambda kind: ["0", "1"])
    return found


def test_gpu_settings_reach_the_session(folder, configs):
    train(folder, "SequentialDigits", "GRU", "--gpu", "1", "--allow_growth", "False",
          "--mixed_precision", "True")
    train(folder, "SequentialDigits", "GRU", "--seed", "3")
    chosen, usual = configs
    assert chosen.gpu_options.visible_device_list == "1" and not chosen.gpu_options.allow_growth
    assert chosen.graph_options.rewrite_options.auto_mixed_precision == 1
    assert usual.gpu_options.visible_device_list == "" and usual.gpu_options.allow_growth
    assert usual.graph_options.rewrite_options.auto_mixed_precision == 0


@pytest.mark.parametrize("gpu", ["2", "-1", "first", "\u00b2"])
def test_a_gpu_that_is_not_there_is_named(folder, configs, gpu):
    with pytest.raises(UserError, match="gpu is '%s', but TensorFlow finds 2 GPUs" % gpu):
        train(folder, "SequentialDigits", "GRU", "--gpu=" + gpu)
    assert not configs


# --- Steps that mixed precision leaves out ---

@pytest.fixture
def spoil(monkeypatch):
    """A function that spoils the first `count` batches of SequentialDigits.

    Their losses are not finite.
    """

    def spoil(count):
        def spoilt(self, *images_labels_chosen):
            batch = make(self, *images_labels_chosen)
            made.append(batch)
            factor = np.float32("nan" if len(made) <= count else 1)
            return dict(batch, inputs=batch["inputs"] * factor)
        made, make = [], mnist_utils.DigitData._batch
        monkeypatch.setattr(mnist_utils.DigitData, "_batch", spoilt)
        # The placeholder must take NaN.
        monkeypatch.setattr(mnist_main.tf, "uint8", mnist_main.tf.float32)
    return spoil


def test_mixed_precision_leaves_bad_steps_out_and_continues(folder, spoil):
    spoil(1)
    results = train(folder, "SequentialDigits", "RRU", "--mixed_precision", "True", "--seed", "4")
    assert results["steps"] == 2 and math.isfinite(results["valid"]["cross_entropy"])


def test_without_mixed_precision_a_bad_step_ends_the_run(folder, spoil):
    spoil(1)
    with pytest.raises(UserError, match="the loss became nan at step 1 "):
        train(folder, "SequentialDigits", "RRU", "--seed", "5")


def test_mixed_precision_gives_up_after_many_bad_steps(folder, spoil):
    spoil(35)
    with pytest.raises(UserError, match="left out 21 steps in a row, .* at step 21 .*"
                       "start a new run with a lower learning_rate"):
        train(folder, "SequentialDigits", "RRU", "--mixed_precision", "True", "--batch_size", "2")
