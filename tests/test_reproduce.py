"""Rows of the table by one command: the plan, bad input, a run that is finished, checking a run."""

import json
import os
import re
import shlex
import shutil
import time

import pytest

import mm_main
import mnist_main
from files.errors import UserError
from files.reading import load_json
from files.run_files import load_metrics, load_settings
from files.writing import save_json
from lm_utils import TASK
from reports.runs import find_runs
from sweeps import parallel
from tools import reproduce, reproduce_check as check, reproduce_plan
from training.read_settings import read_settings

ROOT = reproduce.ROOT
JSB = os.path.join(ROOT, "results", "music", "JSB Chorales", "RRU", "seed1")
CHORALES = os.path.join(ROOT, "results", "music", "Bach Chorales", "RRU", "seed1")
DIGITS = os.path.join(ROOT, "results", "mnist", "SequentialDigits", "RRU", "seed1")
PENN = os.path.join(ROOT, "results", "language", "penn", "RRU", "seed1")
EDITED = {"do_hyperparameter_optimization": True, "evaluate_on_test": False, "resume": "old",
          "evaluate": "older", "dropout": 0.3, "cell_hyperparameters": {"relu_layers": 3}}


def plan(*words):
    return reproduce_plan.plan(*reproduce._options(list(words)))


@pytest.mark.parametrize("words, message", [
    (["SequentialMNSIT"], "SequentialMNSIT is not a data set, did you mean SequentialMNIST"),
    (["IMDB", "--cells", "RUU"], "RUU is not a cell, did you mean RRU"),
    (["IMDB", "--tuned"], "no sweep's winner of RRU on IMDB is published"),
    (["IMDB", "--epoch", "1"], "--epoch is not an option of reproduce.py, did you mean --epochs"),
    (["IMDB", "--epochs", "none"], "epochs is 'none', but must be"),
    (["IMDB", "--seed", "2"], "--seed cannot be given here"),
    (["IMDB", "--sweep_trials", "9"], "--sweep_trials cannot be given here: it is of a sweep"),
    (["--check", JSB, "--runs_folder", "r"], "--runs_folder cannot be given with --check"),
    (["IMDB", "--parallel", "0"], "--parallel is '0', but must be: int >= 1"),
    (["IMDB", "--seeds", "1,2"], "--seeds is '1,2', but must be: int >= 0"),
    (["--check", JSB, "--epochs_to_check", "0"], "--epochs_to_check is '0', but must be"),
    ([], "give either data sets, --all"),
    (["IMDB", "--parallel", "100000"], "parallel is 100000, but this process may use"),
    (["IMDB", "--check", JSB], "give either data sets, --all, or --check"),
    (["--check", JSB, "--learning_rate", "0.5"], "--learning_rate cannot be given with --check"),
    (["--check", JSB, "--cells", "GRU"], "--cells cannot be given with --check"),
    (["OwnText"], "OwnText needs to know where your data are: give --own_text"),
    (["--check", os.path.join(JSB, "..", "tuned")], "tuned is a sweep: give the folder of a run"),
    (["IMBD", "--all"], "IMBD is not a data set, did you mean IMDB"),
    (["--check", "nowhere"], "nowhere/settings.json is missing")])
def test_bad_input_is_one_line_and_starts_nothing(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(parallel, "train_on", None)
    with pytest.raises(UserError, match=re.escape(message)):
        reproduce.main(words + ([] if "--check" in words else ["--runs_folder", str(tmp_path)]))
    assert os.listdir(str(tmp_path)) == [] and capsys.readouterr().out == ""


def test_the_plan_has_a_run_for_each_data_set_seed_and_cell(tmp_path):
    jobs = plan("IMDB", "P-MNIST", "--seeds", "1", "3", "--runs_folder", str(tmp_path))
    names = [os.path.relpath(job.trial.folder, str(tmp_path)) for job in jobs]
    assert len(names) == 16 and names[0] == "sentiment/IMDB/RRU/seed1"
    assert names[-1] == "mnist/P-MNIST/MogrifierLSTM/seed3"
    assert {job.state for job in jobs} == {"new"}
    assert all(job.settings.unpublished() == {} for job in jobs)


def test_what_is_named_twice_is_trained_once(tmp_path):
    words = ["IMDB", "IMDB", "--cells", "GRU", "GRU", "--seeds", "1", "1"]
    assert len(plan(*words, "--runs_folder", str(tmp_path))) == 1


def test_all_rows_of_the_paper_are_44_runs(tmp_path):
    assert len(plan("--all", "--runs_folder", str(tmp_path))) == 44


def test_tuned_runs_have_the_settings_of_the_published_winner(tmp_path, monkeypatch):
    monkeypatch.setattr(mm_main, "clip_multiplier", 9.0)  # not of the winner's dimensions
    job, = plan("JSB Chorales", "--cells", "RRU", "--tuned", "--runs_folder", str(tmp_path))
    assert job.trial.folder.endswith("RRU/tuned-seed1")
    assert job.settings.unpublished() == {
        "dropout": 0.782703, "learning_rate": 0.00588814, "number_of_parameters": 2869179,
        "middle_layer_size_multiplier": 1.97898}


def test_a_winner_on_one_own_text_is_not_taken_for_another(tmp_path):
    with pytest.raises(UserError, match="no sweep's winner of RRU on OwnText is published"):
        plan("OwnText", "--tuned", "--own_text", "novel.txt", "--runs_folder", str(tmp_path))


def test_a_finished_run_on_another_own_text_is_none_of_this_one(tmp_path):
    text, moved = tmp_path / "a" / "novel.txt", tmp_path / "b" / "novel.txt"
    for path in (text, moved):
        path.parent.mkdir()
        path.write_text("It was a dark night. " * 50)

    def state(path):
        return plan("OwnText", "--own_text", str(path), "--cells", "RRU",
                    "--data_folder", str(tmp_path), "--runs_folder", str(tmp_path))[0]
    job = state(text)
    os.makedirs(job.trial.folder)
    files = {"settings.json": dict(job.settings.record(), environment=load_settings(JSB)[
        "environment"], data={"fingerprint": TASK.own_fingerprint(job.settings), "fraction": 1})}
    files["results.json"] = load_json(os.path.join(JSB, "results.json"))
    for name, content in files.items():
        save_json(os.path.join(job.trial.folder, name), content)
    assert job.state == "new" and state(text).state == state(moved).state == "finished"
    moved.write_text("The sun rose. " * 50)
    with pytest.raises(UserError, match="seed1 was trained on other data than those given"):
        state(moved)
    moved.unlink()
    assert state(moved).state == "finished"


def test_a_finished_run_with_damaged_metrics_is_named(tmp_path):
    folder = tmp_path / "mnist" / "SequentialDigits" / "RRU" / "seed1"
    shutil.copytree(DIGITS, str(folder))
    words = ["SequentialDigits", "--cells", "RRU", "--runs_folder", str(tmp_path)]
    assert plan(*words)[0].state == "finished"
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "train": {}, "valid": {}}\n')
    with pytest.raises(UserError, match="line 1: 'seconds' is missing.*remove it, or give another"):
        plan(*words)


def test_what_is_edited_at_the_top_of_a_script_is_not_used_and_named(tmp_path, monkeypatch, capsys):
    for name, value in EDITED.items():
        monkeypatch.setattr(mnist_main, name, value)
    words = ["SequentialDigits", "--cells", "RRU", "GRU", "--runs_folder", str(tmp_path)]
    jobs = plan(*words)
    for job in jobs:
        settings = read_settings(vars(mnist_main), job.trial.begin)  # as the training reads them
        assert settings.values == job.settings.values and settings.unpublished() == {}
        assert settings.evaluate_on_test and not settings.do_hyperparameter_optimization
        assert not settings.resume and "--evaluate=" in job.trial.resume
    reproduce_plan.announce(jobs, 1)
    assert capsys.readouterr().out.count("not used is what is edited at the top of mnist_main.py, "
                                         "only options are: dropout 0.3, cell_hyper") == 1
    reproduce_plan.announce(plan(*words, "--dropout", "0.4", "--cell_hyperparameters", "{}"), 1)
    out = capsys.readouterr().out
    assert "not used" not in out and "seed1, dropout 0.4" in out
    shutil.copytree(DIGITS, str(tmp_path / "mnist" / "SequentialDigits" / "RRU" / "seed1"))
    assert [job.state for job in plan(*words)] == ["finished", "new"]


def test_a_run_is_known_again_after_a_place_of_other_data_was_edited(tmp_path, monkeypatch):
    shutil.copytree(CHORALES, str(tmp_path / "music" / "Bach Chorales" / "RRU" / "seed1"))
    monkeypatch.setattr(mm_main, "own_music", "my songs")
    job, = plan("Bach Chorales", "--cells", "RRU", "--runs_folder", str(tmp_path))
    assert job.state == "finished"


def test_runs_are_made_shown_and_then_skipped(tmp_path, capsys):
    words = ["SequentialDigits", "--cells", "RRU", "GRU", "--epochs", "1", "--parallel",
             str(min(2, len(parallel.shared_cores(1)[0]))), "--runs_folder", str(tmp_path)]
    assert reproduce.main(words) == 0
    out = capsys.readouterr().out
    assert "2 runs, 0 of them finished" in out and "estimate, from published runs" in out
    assert re.search(r"SequentialDigits, GRU, test: accuracy % \d+.\d\d, n 1 \(epochs 1", out)
    logs = [str(tmp_path / "mnist" / "SequentialDigits" / cell / "seed1" / "log.txt")
            for cell in ("RRU", "GRU")]
    before = [open(log).read() for log in logs]
    assert reproduce.main(words) == 0
    assert "2 runs, 2 of them finished" in capsys.readouterr().out
    assert [open(log).read() for log in logs] == before
    with pytest.raises(UserError, match="has other settings: it is of `.*--epochs 1`, not of"):
        reproduce.main(["SequentialDigits", "--cells", "RRU", "--runs_folder", str(tmp_path)])


def test_a_run_that_was_not_tested_is_named_and_kept(tmp_path):
    words = ["SequentialDigits", "--cells", "RRU", "--runs_folder", str(tmp_path)]
    run = tmp_path / "mnist" / "SequentialDigits" / "RRU" / "seed1"
    shutil.copytree(DIGITS, str(run))
    job, = plan(*words)
    assert job.state == "finished"
    results = json.loads((run / "results.json").read_text())
    del results["test"]
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match="was not tested: --evaluate it"):
        reproduce.main(words)
    assert (run / "checkpoints" / "best.npz").exists()


def test_runs_of_other_sizes_are_no_estimate(tmp_path, capsys):
    reproduce_plan.announce(plan("pennchar", "--runs_folder", str(tmp_path)), 1)
    assert "estimate, from" not in capsys.readouterr().out
    reproduce_plan.announce(plan("pennchar", "JSB Chorales", "--runs_folder", str(tmp_path)), 1)
    out = capsys.readouterr().out
    assert re.search(r"estimate, from published runs .*: \d", out)
    assert ("without an estimate, as no whole run of this size on one or two cores of a CPU is "
            "published: pennchar\n") in out


def test_the_estimate_on_a_gpu_is_of_runs_on_a_gpu(tmp_path, monkeypatch, capsys):
    jobs = plan("JSB Chorales", "--runs_folder", str(tmp_path))
    found, _ = find_runs([reproduce_plan.PUBLISHED])
    own = [run for run in found if run.results["data_set"] == "JSB Chorales"]
    monkeypatch.setattr(reproduce_plan, "find_runs", lambda folders: (own, []))
    reproduce_plan.announce(jobs, 1, on_gpu=True)
    assert ("without an estimate, as no whole run of this size on a GPU is published: JSB Chorales"
            "\n") in capsys.readouterr().out
    for run in own:
        run.environments = [{"gpus": 1, "cores": 4}]
    reproduce_plan.announce(jobs, 1, on_gpu=True)
    assert re.search(r"\nestimate, from published runs on a GPU: \d", capsys.readouterr().out)
    for run in own:
        run.environments.append({"gpus": 0, "cores": 2})
    for on_gpu in (True, False):
        reproduce_plan.announce(jobs, 1, on_gpu)
        assert "without an estimate" in capsys.readouterr().out


def test_the_estimate_is_of_the_time_side_by_side(tmp_path, monkeypatch, capsys):
    def estimated(number, *words):
        reproduce_plan.announce(plan(*words, "--runs_folder", str(tmp_path)), number)
        return re.search("estimate, from .* of a CPU: (.*)\n", capsys.readouterr().out).group(1)
    words = "--cells", "RRU"
    assert estimated(1, "P-MNIST", *words) == estimated(1, "SequentialMNIST", *words)
    monkeypatch.setattr(reproduce_plan.rows, "expected_seconds", lambda *_: 60)
    words = "SequentialMNIST", "P-MNIST", "IMDB", *words
    assert estimated(1, *words) == "3 min 0 s"
    assert estimated(2, *words) == "2 min 0 s, 2 at a time"


def test_missing_data_are_all_named_and_what_is_there(tmp_path):
    folders = ["--data_folder", str(tmp_path), "--runs_folder", str(tmp_path)]
    with pytest.raises(UserError) as caught:
        reproduce.main(["enwik8", "SequentialDigits", "text8", "Bach Chorales"] + folders)
    assert re.match("enwik8: .* is missing: run `bash get_data.sh --only enwik8.*`; also missing: "
                    "text8; or give only what is there: SequentialDigits 'Bach Chorales'$",
                    str(caught.value))
    with pytest.raises(UserError, match="--only enwik8[^;]*$"):
        reproduce.main(["enwik8"] + folders)


@pytest.mark.parametrize("named, number, gpus, told", [
    ("", 2, ["0", "1"], "2 trainings at a time on 2 GPUs: each has its own"),
    ("3,5,7", 2, ["3", "5"], "2 trainings at a time on 2 GPUs: each has its own"),
    ("", 3, ["0", "1"], "3 trainings at a time on 2 GPUs: some share one, and its memory; give "
     "--parallel 2 for one each"), ("", 1, [], "")])
def test_trainings_side_by_side_have_gpus_of_their_own(named, number, gpus, told, tmp_path,
                                                       monkeypatch, capsys):
    monkeypatch.setattr(reproduce.tf.config.experimental, "list_physical_devices",
                        lambda kind: ["GPU"] * 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    cores, = parallel.shared_cores(1)
    monkeypatch.setattr(parallel, "shared_cores", lambda number: [cores] * number)
    running, used, most = [], [], []

    def train(job, variables):
        gpu = dict(variables).get("CUDA_VISIBLE_DEVICES")
        running.append(gpu)
        most.append(running.count(gpu))
        time.sleep(0.3)
        running.remove(gpu)
        used.append(gpu)
        return {"reason": None, "seconds": 1}, None
    monkeypatch.setattr(parallel.trial, "train", train)
    words = ["SequentialDigits", "--parallel", str(number), "--runs_folder", str(tmp_path)]
    assert reproduce.main(words) == 0
    out = capsys.readouterr().out
    assert told in out and out.count("its progress is in log.txt there") == 4
    assert len(used) == 4 and sorted(set(used) - {None}) == gpus
    assert max(most) == (1 if number < 3 else 2)


def test_one_gpu_cannot_be_chosen_for_trainings_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "shared_cores", lambda number: [])
    monkeypatch.setattr(parallel, "train_on", None)
    words = ["SequentialDigits", "--gpu", "1", "--parallel", "2", "--runs_folder", str(tmp_path)]
    with pytest.raises(UserError, match="gpu is '1', but with --parallel each training gets a GPU"):
        reproduce.main(words)


def test_what_is_left_has_all_cores(tmp_path, monkeypatch):
    numbers = []
    monkeypatch.setattr(parallel, "shared_cores", lambda number: [])
    monkeypatch.setattr(reproduce, "train", lambda left, number, gpus: numbers.append(number))
    words = ["SequentialDigits", "--parallel", "2", "--runs_folder", str(tmp_path)]
    reproduce.main(words + ["--cells", "GRU"])
    reproduce.main(words + ["--cells", "GRU", "RRU"])
    shutil.copytree(DIGITS, str(tmp_path / "mnist" / "SequentialDigits" / "RRU" / "seed1"))
    reproduce.main(words + ["--cells", "GRU", "RRU"])
    reproduce.main(words + ["--cells", "RRU"])
    assert numbers == [1, 2, 1, 1]


def test_what_failed_is_named_and_does_not_stop_the_rest(tmp_path, capsys):
    words = ["SequentialDigits", "--cells", "RRU", "GRU", "--epochs", "1", "--learning_rate",
             "1e37", "--runs_folder", str(tmp_path)]
    assert reproduce.main(words) == 1
    err = capsys.readouterr().err
    assert err.count(" is not finished: ") == 2 and "learning_rate" in err
    assert "RRU/seed1 is not finished: " in err


def test_the_cores_are_shared_out():
    cores, = parallel.shared_cores(1)
    shares = parallel.shared_cores(len(cores))
    assert [len(share) for share in shares] == [1] * len(cores) and set().union(*shares) == cores


def test_the_same_numbers_are_told_from_others():
    published = load_metrics(JSB)[:2]
    same = check.comparison(published, published, "window_nll")
    assert len(same) == 2 and same[0].endswith("all metrics are the same to the last digit")
    other = [dict(line, valid={"window_nll": 1.01 * line["valid"]["window_nll"]})
             for line in published]
    line, _ = check.comparison(published, other, "window_nll")
    assert line == ("epoch 1: validation window_nll 15.1052, published 14.9556: "
                    "differs by +1 %")
    overflowed = [dict(line, valid={"window_nll": None}) for line in published]
    line, _ = check.comparison(overflowed, published, "window_nll")
    assert line.endswith("validation window_nll 14.9556, published not finite: differs")


def test_a_published_run_can_be_checked(monkeypatch, capsys):
    for name, value in EDITED.items():
        monkeypatch.setattr(mnist_main, name, value)
    assert reproduce.main(["--check", DIGITS]) == 0  # unclear at worst
    out = capsys.readouterr().out
    assert out.startswith("published: TensorFlow 1.15.0, 2 cores, Intel(R) Xeon(R) Processor, ")
    assert "\ntraining 1 epoch; it took 13 s when it was published\n" in out
    assert re.search(r"epoch 1: validation accuracy \d+\.\d\d %, published 14\.81 %: ", out)
    assert "\nverdict: " in out


def test_the_published_run_on_the_sample_comes_out_again(tmp_path, capsys):
    words = ["--check", CHORALES, "--epochs_to_check", "2", "--data_folder", str(tmp_path)]
    assert reproduce.main(words) == 0
    epochs = re.findall(r"epoch \d: validation window_nll ([\d.]+), published ([\d.]+)",
                        capsys.readouterr().out)
    for ours, published in epochs:  # another order of the windows makes 0.4 % in the second epoch
        assert float(ours) == pytest.approx(float(published), rel=3e-3)
    assert len(epochs) == 2


def test_a_check_has_all_settings_of_the_run_whatever_is_edited(tmp_path, monkeypatch):
    for name, value in EDITED.items():
        monkeypatch.setattr(mm_main, name, value)
    runs, _ = find_runs([os.path.join(ROOT, "results", "music")])
    assert len(runs) > 20
    for run in runs:
        settings = check.settings_again(
            mm_main, run.folder, {"runs_folder": str(tmp_path), "data_folder": "/elsewhere"})
        trained = read_settings(vars(mm_main), settings.all_options())
        assert trained.values == settings.values
        assert sorted(shlex.split(settings.command())) == sorted(shlex.split(run.command))
        assert trained.data_folder == "/elsewhere" and not trained.evaluate_on_test
        assert not trained.resume + trained.evaluate and not trained.do_hyperparameter_optimization


def test_what_differs_from_a_published_run_or_was_not_recorded_is_named(capsys):
    then, epochs = load_settings(JSB)["environment"], load_metrics(JSB)[:5]
    here = dict(then, tensorflow="2.21.0", git_clean=False)
    assert check.announce(then, here, epochs) == ["TensorFlow", "commit"]
    out = capsys.readouterr().out
    assert "here: TensorFlow 2.21.0, 1 core, Intel(R) Xeon(R) Processor, 0 GPUs, commit " in out
    assert "with changed files\ndifferent: TensorFlow, commit; not recorded: nothing\n" in out
    assert "training 5 epochs; it took 3 min 32 s when" in out
    here.update(gpus=1, gpu_names=["NVIDIA H100 80GB HBM3"])
    assert check.announce(then, here, epochs) == ["TensorFlow", "GPUs", "commit"]
    assert ", 1 GPU (NVIDIA H100 80GB HBM3), commit" in capsys.readouterr().out
    here.update(gpus=0, gpu_names=[])
    for name in ("processor", "gpus", "git_clean"):
        del then[name]
    here.update(git_commit=None, tensorflow="1.15.0")
    assert check.announce(then, here, epochs) == ["processor", "GPUs", "commit"]
    assert "different: nothing; not recorded: processor, GPUs, commit" in capsys.readouterr().out


def test_a_check_on_other_data_is_refused(tmp_path):
    copy = shutil.copytree(DIGITS, str(tmp_path / "seed1"))
    settings = load_json(os.path.join(copy, "settings.json"))
    settings["data"]["fingerprint"] = "of others"
    save_json(os.path.join(copy, "settings.json"), settings)
    with pytest.raises(UserError, match="seed1 was trained on other data than there are now"):
        reproduce.main(["--check", copy])


@pytest.mark.parametrize("metric, factor, differing, message", [
    ("window_nll", 1, ["commit"], "verdict: the same to the last digit"),
    ("window_nll", 1.01, ["commit", "cores"], "verdict: not the same: off by up to 1 %, which is "
     "normal, as these differ or were not recorded: commit, cores"),
    ("window_nll", 0.99, [], "off by up to 1 %, which is little, but nothing that was recorded "),
    ("window_nll", 1.2, ["commit"], "verdict: something is wrong: off by up to 20 %, but publ"),
    ("window_nll", None, ["commit"], "verdict: something is wrong, as a value is not finite, or 0"),
    ("accuracy", 1.2, ["cores"], "verdict: unclear: off by up to 20 %, but a classifier leaves ")])
def test_the_verdict_of_a_check(metric, factor, differing, message):
    published = [{"epoch": 1, "train": {}, "valid": {metric: 0.5}}]
    ours = [dict(published[0], valid={metric: factor and factor * 0.5})]
    line, is_wrong = check.verdict(published, ours, metric, differing)
    assert message in line and is_wrong == ("something is wrong" in message)


def interrupt(*_):
    raise KeyboardInterrupt


def test_an_interrupted_check_keeps_nothing_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(check, "first_epochs", interrupt)
    assert reproduce.main(["--check", DIGITS, "--epochs_to_check", "500"]) == 130
    out, err = capsys.readouterr()
    assert err == "interrupted; a check keeps nothing: the same command begins it again\n"
    assert "\ntraining 150 epochs; it took " in out  # it has no more


def test_a_check_of_a_run_that_moved_goes_by_the_machine_of_its_first_epochs(monkeypatch, capsys):
    monkeypatch.setattr(check, "first_epochs", interrupt)
    monkeypatch.setattr(check, "environment", lambda gpu: load_settings(PENN)["environment"])
    assert reproduce.main(["--check", PENN]) == 130
    out = capsys.readouterr().out
    assert out.startswith("published: TensorFlow 2.21.0, 4 cores, Intel(R) Xeon(R) Processor, "
                          "1 GPU (NVIDIA H200), commit b369d2e")
    assert "\ntraining 1 epoch; it took 37 s when it was published\n" in out
