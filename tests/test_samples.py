"""Samples of finished runs: what they hold, and what leaves them the same.

A seed repeats them, and carried states change nothing.
"""

import gzip
import json
import os
import shutil
import subprocess

import mido
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import lm_main
import mm_main
import mnist_main
from reports import confusion, pictures
from reports import music_sample, sampling, text_sample
from data_preparation.batches import generator
from files.errors import UserError
from files.reading import load_json
from files.writing import save_json
from training.run_folder import RunFolder
from training.read_settings import read_settings
from training.trainer import Trainer

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SMALL = ["--number_of_parameters", "20000", "--number_of_layers", "1", "--epochs", "1",
         "--name", "one"]


def run_script(script, folder, data_set, *more):
    """Train for an epoch; returns the run's folder."""
    script.main(["--data_set_name", data_set, "--cell_name", "LSTM",
                 "--data_folder", str(folder / "data"), "--runs_folder", str(folder / "runs")]
                + SMALL + list(more))
    return folder / "runs" / script.TASK / data_set / "LSTM" / "one"


@pytest.fixture(scope="module")
def music_run(tmp_path_factory):
    return run_script(mm_main, tmp_path_factory.mktemp("music"), "Bach Chorales",
                      "--batch_size", "130")


@pytest.fixture(scope="module")
def text_run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pydoc_data.topics.topics",
                      {"for": "the cat sat on the mat and saw a dog " * 100})
        return run_script(lm_main, tmp_path_factory.mktemp("text"), "PythonDocs",
                          "--batch_size", "4", "--window_size", "16")


def newest(folder, pattern):
    """The file of a pattern that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def test_music_is_saved_to_be_seen_and_heard(music_run):
    played = mido.MidiFile(str(music_run / "sample.mid"))
    notes = [message.note for message in played if message.type == "note_on"]
    assert notes and 21 <= min(notes) <= max(notes) <= 108
    assert 0 < played.length <= 0.5 * music_sample.MUSIC_STEPS
    assert (music_run / "pianoroll.png").read_bytes().startswith(b"\x89PNG")


def test_evaluating_again_gives_the_same_sample_and_another_temperature_another(music_run):
    first = (music_run / "sample.mid").read_bytes()
    mm_main.main(["--evaluate", str(music_run)])
    assert (music_run / "sample.mid").read_bytes() == first
    mm_main.main(["--evaluate", str(music_run), "--temperature", "0.5"])
    assert (music_run / "sample.mid").read_bytes() != first


def test_the_temperature_divides_the_logits(text_run, monkeypatch):
    logits, choose = [], text_sample._choose_token
    monkeypatch.setattr(text_sample, "_choose_token",
                        lambda values, random: logits.append(values) or choose(values, random))
    for temperature in ("1", "0.5"):
        lm_main.main(["--sample", str(text_run), "--sample_steps", "1",
                      "--temperature", temperature])
    np.testing.assert_allclose(logits[1], 2 * logits[0], rtol=1e-6)


def test_midi_holds_notes_that_go_on(tmp_path):
    keys = np.array([[1, 0], [1, 1], [0, 1]], np.uint8)
    music_sample._save_midi(str(tmp_path / "a.mid"), keys, 1)
    played = mido.MidiFile(str(tmp_path / "a.mid"))
    found = [(message.type, message.note, message.time)
             for message in played.tracks[0] if not message.is_meta]
    assert found == [("note_on", 21, 0), ("note_on", 22, 480),
                     ("note_off", 21, 480), ("note_off", 22, 480)]


def test_text_continues_from_the_prompt(text_run):
    shown = (text_run / "sample.txt").read_text().split("\n", 4)
    assert len(shown[1]) == 100
    assert shown[3].startswith("sampled (500 characters, temperature 1, seed 1)")
    assert len(shown[4].rstrip("\n")) == 500
    assert set(shown[4]) <= set("the cat sat on the mat and saw a dog\n")
    lm_main.main(["--evaluate", str(text_run), "--prompt", "the dog"])
    assert (text_run / "sample.txt").read_text().startswith("prompt:\nthe dog\n\n")


def test_the_screen_shows_where_the_sample_is_and_how_it_begins(text_run, capsys):
    lm_main.main(["--sample", str(text_run), "--sample_steps", "400"])
    path = newest(text_run, "sample*.txt")
    shown = capsys.readouterr().out.splitlines()
    place = shown.index("%s: 400 sampled characters" % path)
    begins = shown[place + 1:]
    assert len(begins) == 3 and all(4 <= len(line) <= 100 for line in begins)
    written = path.read_text().split("):\n")[1]
    assert "".join(written.split()).startswith("".join("".join(begins).split()))


def test_the_first_lines_of_a_sample_are_fit_for_a_screen():
    assert text_sample.first_lines("a\n\n b\x1b[2J\nc\nd") == ["a", "b [2J", "c"]
    assert [line.count("word") for line in text_sample.first_lines("word " * 99)] == [19] * 3
    assert text_sample.first_lines("") == []


def test_samples_of_published_runs_are_none_of_gits():
    ignored = ["results/a/b/sample-2.txt", "results/a/b/c/d/pianoroll-12.png"]
    seen = ["results/a/b/sample.txt", "results/a/b/pianoroll.png"]
    found = subprocess.run(["git", "check-ignore", "--no-index"] + ignored + seen, cwd=ROOT,
                           stdout=subprocess.PIPE, universal_newlines=True)
    if found.returncode == 128:
        pytest.skip("this is no git repository")
    assert found.stdout.split() == ignored


def test_runs_without_the_new_settings_can_be_evaluated(text_run):
    path = text_run / "settings.json"
    saved = json.loads(path.read_text())
    del saved["settings"]["temperature"], saved["settings"]["prompt"]
    path.write_text(json.dumps(saved))
    os.remove(str(text_run / "sample.txt"))
    lm_main.main(["--evaluate", str(text_run)])
    assert (text_run / "sample.txt").exists()


@pytest.mark.parametrize("script, name", [(mm_main, "music_run"), (lm_main, "text_run")])
def test_carried_states_give_the_logits_of_a_whole_pass(script, name, request, tmp_path):
    settings = read_settings(vars(script), ["--evaluate", str(request.getfixturevalue(name))])
    data = (script.mm_utils if script is mm_main else script.lm_utils).load(settings)
    with tf.Graph().as_default():
        model = script.build_model(settings, data)
        with RunFolder(settings, data) as run, Trainer(settings, model, data, run) as trainer:
            trainer.load_best()
            batch = data.batches("test")[0]
            inputs = batch["inputs"][:9, 0]
            seen = []

            def choose(logits, _):
                seen.append(logits)
                return inputs[2 + len(seen)]
            sampling.continuation(trainer, inputs[:3], 6, choose)
            feed = {model.inputs["inputs"]: inputs[:8, None], model.inputs["lengths"]: [8]}
            if "reset_state" in model.inputs:
                feed[model.inputs["reset_state"]] = True
            whole = trainer.session.run(model.outputs["logits"], feed)[2:, 0]
    np.testing.assert_allclose(seen, whole, rtol=1e-4, atol=1e-5)


def test_a_long_prompt_is_read_in_pieces(text_run, monkeypatch):
    settings = read_settings(vars(lm_main), ["--evaluate", str(text_run)])
    data = lm_main.lm_utils.load(settings)
    with tf.Graph().as_default(), RunFolder(settings, data) as run:
        with Trainer(settings, lm_main.build_model(settings, data), data, run) as trainer:
            trainer.load_best()
            seen, found = [], []
            for piece in (1000, 7):
                monkeypatch.setattr(sampling, "_PIECE", piece)
                found.append(sampling.continuation(
                    trainer, data.tokens("train")[:50].astype(np.int32), 5,
                    lambda logits, _: seen.append(logits) or np.int32(2)))
    assert [len(sampled) for sampled in found] == [5, 5]
    np.testing.assert_allclose(seen[:5], seen[5:], rtol=1e-4, atol=1e-5)


def test_choices_follow_the_likelihoods():
    random = generator(1, 0)
    logits = np.log([9, 9, 1, 3, 1e-12])  # the first two ids are no text
    tokens = [text_sample._choose_token(logits, random) for _ in range(4000)]
    assert set(tokens) == {2, 3} and abs(np.mean(np.equal(tokens, 3)) - 0.75) < 0.03
    assert music_sample._choose_notes(np.array([-50., -40., -60.]), random).tolist() == [0, 1, 0]


def test_an_empty_prompt_is_named(text_run, monkeypatch):
    monkeypatch.setattr("lm_utils.LanguageData.encode", lambda *_: np.zeros(0, np.int32))
    with pytest.raises(UserError, match="prompt is ' '"):
        lm_main.main(["--evaluate", str(text_run), "--prompt", " "])


def test_unknown_characters_of_a_prompt_are_named(text_run, capsys):
    lm_main.main(["--sample", str(text_run), "--prompt", "the ZZ d\u00f6g"])
    assert "unknown in the prompt: 'Z', '\u00f6'\n" in capsys.readouterr().out


def test_a_prompt_without_a_known_character_is_refused_before_training(text_run, tmp_path):
    with pytest.raises(UserError, match="prompt is 'ZZ', but must have"):
        lm_main.main(["--sample", str(text_run), "--prompt", "ZZ"])
    (tmp_path / "prompt.txt").write_text("ZZ\n")
    with pytest.raises(UserError, match="prompt_file is 'ZZ', but must have"):
        lm_main.main(["--sample", str(text_run), "--prompt_file", str(tmp_path / "prompt.txt")])


@pytest.mark.parametrize("name", ["prompt.txt", "prompt.txt.gz"])
def test_a_prompts_file_is_read_as_a_text_of_ones_own(text_run, tmp_path, name):
    path = tmp_path / name
    packed = gzip.compress(b"the cat\r\n")
    path.write_bytes(packed if name.endswith(".gz") else "the cat".encode("utf-16"))
    settings = read_settings(vars(lm_main), ["--sample", str(text_run), "--prompt_file", str(path)])
    assert text_sample.given_prompt(settings) == "the cat"


def test_a_prompt_may_stand_in_a_file(text_run, tmp_path):
    (tmp_path / "prompt.txt").write_bytes(b"a cat sat\r\n")
    lm_main.main(["--sample", str(text_run), "--prompt_file", str(tmp_path / "prompt.txt"),
                  "--sample_steps", "30"])
    shown = newest(text_run, "sample*.txt").read_text()
    assert shown.startswith("prompt:\na cat sat\n\nsampled (30 characters, ")
    with pytest.raises(UserError, match="prompt and prompt_file are both given"):
        lm_main.main(["--sample", str(text_run), "--prompt", "a", "--prompt_file", "b"])
    with pytest.raises(UserError, match="nowhere.txt is missing"):
        lm_main.main(["--sample", str(text_run), "--prompt_file", "nowhere.txt"])


@pytest.mark.parametrize("name, other", [
    ("prompt", "prompt_file"), ("prompt_file", "prompt")])
def test_a_prompt_replaces_that_of_the_training_of_either_kind(text_run, tmp_path, name, other):
    run = shutil.copytree(str(text_run), str(tmp_path / "run"))
    path = os.path.join(run, "settings.json")
    saved = load_json(path)
    saved["settings"][other] = "old"
    save_json(path, saved)
    settings = read_settings(vars(lm_main), ["--sample", run, "--" + name, "new"])
    assert settings.values[name] == "new" and settings.values[other] == ""
    settings = read_settings(vars(lm_main), ["--sample", run])
    assert settings.values[name] == "" and settings.values[other] == "old"


def test_samples_alone_leave_the_results_as_they_are(text_run, music_run, capsys):
    for script, run, pattern in ((lm_main, text_run, "sample*.txt"),
                                 (mm_main, music_run, "sample*.mid")):
        before, samples = (run / "results.json").read_bytes(), set(run.glob(pattern))
        capsys.readouterr()
        script.main(["--sample", str(run)])
        assert newest(run, pattern) not in samples
        assert (run / "results.json").read_bytes() == before
        assert "window_nll" not in capsys.readouterr().out
    with pytest.raises(UserError, match="evaluate and sample are both given"):
        lm_main.main(["--evaluate", str(text_run), "--sample", str(text_run)])


def test_samples_alone_replace_no_earlier_ones(music_run, capsys):
    earlier = {path: path.read_bytes() for path in music_run.iterdir()
               if path.suffix in (".mid", ".png")}
    mm_main.main(["--sample", str(music_run), "--temperature", "0.8"])
    picture, played = newest(music_run, "pianoroll-*.png"), newest(music_run, "sample-*.mid")
    assert "%s and %s: " % (played, picture.name) in capsys.readouterr().out
    assert not {picture, played} & set(earlier)
    mm_main.main(["--sample", str(music_run), "--temperature", "0.8"])
    assert newest(music_run, "sample-*.mid").read_bytes() != played.read_bytes()
    assert picture.stem.split("-")[1] == played.stem.split("-")[1]
    assert all(path.read_bytes() == content for path, content in earlier.items())


def test_without_the_test_split_samples_start_from_validation(text_run, capsys):
    os.remove(str(text_run / "sample.txt"))
    lm_main.main(["--evaluate", str(text_run), "--evaluate_on_test", "False"])
    assert (text_run / "sample.txt").exists()


def test_a_midi_file_is_continued(music_run, tmp_path, capsys):
    keys = np.zeros([12, 88], np.uint8)
    keys[np.arange(12), 30 + np.arange(12)] = 1
    path = str(tmp_path / "prompt.mid")
    music_sample._save_midi(path, keys, 1)
    mm_main.main(["--sample", str(music_run), "--prompt", path, "--prompt_steps", "5",
                  "--sample_steps", "7"])
    assert "5 steps of %s, then 7 sampled steps" % path in capsys.readouterr().out
    played = mido.MidiFile(str(newest(music_run, "sample*.mid")))
    notes = [message.note for message in played if message.type == "note_on"]
    assert notes[:5] == [51, 52, 53, 54, 55] and played.length <= 0.5 * 12
    (tmp_path / "no.mid").write_bytes(b"no music")
    with pytest.raises(UserError, match="no.mid"):
        mm_main.main(["--sample", str(music_run), "--prompt", str(tmp_path / "no.mid")])


def test_classifiers_leave_a_confusion_matrix_of_all_test_examples(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(confusion, "save", lambda figure, _: drawn.append(figure))
    folder = run_script(mnist_main, tmp_path, "SequentialDigits", "--batch_size", "700")
    results = json.loads((folder / "results.json").read_text())
    axes = drawn[0].axes[0]
    counts = np.array([int(text.get_text()) for text in axes.texts]).reshape(10, 10)
    assert counts.sum(axis=1).tolist() == results["counts"]["test"]["of_each_class"]
    assert counts.trace() / counts.sum() == pytest.approx(results["test"]["accuracy"])
    assert "%d test examples" % counts.sum() in axes.get_title()
    assert "%d of %d test examples are right" % (counts.trace(), counts.sum()) in (
        folder / "log.txt").read_text()


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_epochs_are_ticked_at_whole_numbers(monkeypatch, epochs):
    drawn = []
    monkeypatch.setattr(pictures, "save", lambda figure, _: drawn.append(figure))
    lines = [{"epoch": epoch + 1,
              "train": {"window_nll": 9 - epoch}, "valid": {"window_nll": 8 - epoch}}
             for epoch in range(epochs)]
    pictures.learning_curve(
        "unused", lines,
        {"monitor": "window_nll", "best_epoch": epochs, "valid": {"window_nll": 9 - epochs},
         "paper": None, "data_set": "tune", "data_fraction": 0.5, "cell": "RRU",
         "parameters": 5000})
    axes, = drawn[0].axes
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown and all(tick == round(tick) for tick in shown)
    assert axes.get_ylabel() == "negative log-likelihood [nats/step]"
    assert axes.get_title() == "50 % of the full tune, RRU, 5,000 parameters"
    assert (axes.get_ylim()[1] < 9) == (epochs == 30)  # without the first tenth of a long training
