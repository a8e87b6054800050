"""The settings: command line over constant over table, and one clear line for what is wrong."""

import json

import pytest

import lm_main
import mnist_main
from files.errors import UserError
from training.constants import Constant
from training.options import command_line
from training.read_settings import read_settings

SCRIPT = '''"""A script."""
# ---- Data
data_set_name = "small"  # which data [data set]
# ---- Model
cell_name = "RRU"  # which cell [cell]
dropout = None  # share of features dropped, 100 % excluded [float >= 0, < 1]
cell_hyperparameters = {}  # the cell's own [dict]
batch_size = 4  # examples [int >= 1]
quick = False  # hurry [bool]
# ---- Stopping
epochs = 3  # the most epochs [int >= 1]
# ---- Run
resume = ""  # run to continue [text]
evaluate = ""  # run to evaluate [text]
LIMIT = 7
_own = 8
def build():
    hidden = 3  # not a constant [int >= 1]
'''


NOT_IN_TABLE = {"batch_size": 4, "quick": False, "epochs": 3}  # so nobody knows what is published


def script_of(folder, text):
    """The globals of a script with this text."""
    path = folder / "some_main.py"
    path.write_text(text)
    script_globals = {
        "__file__": str(path), "TASK": "toys",
        "PUBLISHED": {"small": {"dropout": 0.25}, "large": {"dropout": 0.75}, "IMDB": {}}}
    exec(text, script_globals)
    return script_globals


def save_record(folder, record):
    environment = {"tensorflow": "1.15.0", "cores": 1}
    (folder / "settings.json").write_text(json.dumps(dict(record, environment=environment)))


def write_run(folder, settings, task="toys"):
    save_record(folder, {"task": task, "script": "some_main.py", "command": "", "given": [],
                         "unpublished": {}, "settings": settings})


@pytest.fixture
def script(tmp_path):
    return script_of(tmp_path, SCRIPT)


@pytest.mark.parametrize("edited", [
    "batch_size=64  # examples [int >= 1]", "batch_size = 64 # examples [int >= 1]",
    "batch_size = (\n    60 +  # many\n    4)  # examples [int >= 1]"])
def test_a_constant_may_be_edited_freely(tmp_path, edited):
    script = script_of(tmp_path, SCRIPT.replace("batch_size = 4  # examples [int >= 1]", edited))
    assert read_settings(script, []).batch_size == 64
    assert read_settings(script, ["--batch_size", "5"]).batch_size == 5


def test_data_of_ones_own_at_the_top_are_not_passed_over_in_silence(tmp_path):
    tops = dict(vars(lm_main), own_text=str(tmp_path / "novel.txt"))
    with pytest.raises(UserError, match="own_text is given, but data_set_name is penn: add --data"):
        read_settings(tops, [])
    settings = read_settings(tops, ["--data_set_name", "penn"])
    assert settings.data_set_name == "penn"
    save_record(tmp_path, settings.record())
    assert read_settings(tops, ["--resume", str(tmp_path)]).data_set_name == "penn"


def test_a_blank_after_a_constants_comment_is_no_fault(tmp_path):
    script = script_of(tmp_path, SCRIPT.replace("[int >= 1]\n", "[int >= 1] \n", 1))
    assert read_settings(script, []).batch_size == 4


@pytest.mark.parametrize("edited", ["batch_size = 64", "batch_size = 64  # try 64"])
def test_a_constant_that_lost_its_comment_is_named(tmp_path, edited):
    script = script_of(tmp_path, SCRIPT.replace("batch_size = 4  # examples [int >= 1]", edited))
    with pytest.raises(UserError, match="line 8 of some_main.py: "
                       "the constant batch_size has lost its comment"):
        read_settings(script, [])


def test_a_wrong_name_in_the_table_is_named(script):
    script["PUBLISHED"]["large"]["batchsize"] = 32
    with pytest.raises(UserError, match="PUBLISHED of some_main.py has batchsize for large.*"
                       "did you mean batch_size"):
        read_settings(script, [])


def test_none_takes_the_published_value_of_the_data_set(script):
    assert read_settings(script, []).dropout == 0.25
    assert read_settings(script, ["--data_set_name", "large"]).dropout == 0.75


def test_constant_wins_over_table_and_command_line_over_both(script):
    script["dropout"] = 0.5
    assert read_settings(script, []).dropout == 0.5
    assert read_settings(script, ["--dropout", "0"]).dropout == 0.0


def test_none_on_the_command_line_takes_the_published_value_too(script):
    script.update(dropout=0.5, cell_hyperparameters={"relu_layers": 4})
    settings = read_settings(
        script, ["--dropout", "None", "--relu_layers", "None", "--data_set_name", "large"])
    assert settings.dropout == 0.75 and settings.cell_hyperparameters["relu_layers"] == 1


def test_values_have_the_types_of_their_kinds(script):
    settings = read_settings(script, ["--quick", "True", "--batch_size", "7"])
    assert settings.quick is True and settings.batch_size == 7
    assert not {"hidden", "LIMIT", "_own"} & set(settings.values)


def test_hyperparameters_belong_to_the_cell_and_the_data_set(script):
    assert read_settings(script, []).cell_hyperparameters["relu_layers"] == 1
    script["PUBLISHED"]["IMDB"] = {"dropout": 0.5}
    imdb = read_settings(script, ["--data_set_name", "IMDB"])
    assert imdb.cell_hyperparameters["relu_layers"] == 2
    script["cell_hyperparameters"] = {"relu_layers": 4}
    assert read_settings(script, []).cell_hyperparameters["relu_layers"] == 4
    assert read_settings(script, ["--relu_layers", "3"]).cell_hyperparameters["relu_layers"] == 3
    lstm = read_settings(dict(script, cell_hyperparameters={}),
                         ["--cell_name", "LSTM", "--forget_bias", "-1.5"])
    assert lstm.cell_hyperparameters == {"forget_bias": -1.5}


@pytest.mark.parametrize("arguments, words", [
    (["--cell_name", "XRU"], ["cell_name", "XRU", "RRU, GRU, LSTM, MogrifierLSTM"]),
    (["--dropout", "much"], ["dropout", "much", "float >= 0, < 1"]),
    (["--dropout", "1"], ["dropout", "1", "float >= 0, < 1"]),
    (["--dropout", "nan"], ["dropout", "nan"]),
    (["--batch_size", "0"], ["batch_size", "0", "int >= 1"]),
    (["--batch_size", "2.5"], ["batch_size", "2.5", "int >= 1"]),
    (["--batch_size", "None"], ["batch_size", "'None'", "int >= 1"]),  # not in the table
    (["--data_set_name", "IMDB", "--dropout", "None"], ["dropout", "IMDB"]),
    (["--quick", "3"], ["quick", "3", "True or False"]),
    (["--data_set_name", "huge"], ["data_set_name", "huge", "small, large", "other scripts"]),
    (["--data_set_name", "IMDB"], ["dropout", "IMDB", "some_main.py"]),
    (["--data_set_name", "small", "--dropout", "0.99999999999"], ["dropout", "0, < 1"]),  # float32
    (["--nosuch", "1"], ["--nosuch", "some_main.py"]),
    (["--batch_siz", "1"], ["--batch_siz", "did you mean --batch_size"]),
    (["--batch_size"], ["batch_size", "expected one argument"]),
    (["--forget_bias", "1"], ["forget_bias", "RRU"]),
    (["--relu_layers", "0"], ["relu_layers", "int >= 1"]),
    (["--cell_hyperparameters", "[1]"], ["cell_hyperparameters", "dict"]),
    (["--cell_hyperparameters", "{[1]: 2}"], ["cell_hyperparameters", "dict"]),
    (["--batch_size", "[3]"], ["batch_size", "int >= 1"]),
    (["--batch_size", "True"], ["batch_size", "int >= 1"]),
    (["--batch_size", "1e999"], ["batch_size", "int >= 1"]),
    (["--batch_size", "0x" + 4999 * "f"], ["batch_size", "must be less than 2^31"]),
    (["--batch_size", str(2 ** 31)], ["batch_size", "2147483648", "less than 2^31"]),
    (["--resume", "x\udcff"], ["resume", "text"]),
    (["--dropout", "1e999"], ["dropout", "float >= 0, < 1"]),
    (["--middle_layer_size_multiplier", "1001"], ["float > 0, <= 1000"]),
    (["--cell_name", "LSTM", "--forget_bias", "1e39"], ["forget_bias", "float"]),
    (["--resume", "nowhere"], ["nowhere", "missing"]),
])
def test_what_is_wrong_is_named_in_one_line(script, arguments, words):
    with pytest.raises(UserError) as error:
        read_settings(script, arguments)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_help_shows_every_constant_with_its_comment(script, capsys):
    with pytest.raises(SystemExit) as ended:
        read_settings(script, ["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for words in ("--dropout", "100 % excluded", "--batch_size", "now 4", "--feature_mask_rank",
                  "Cell LSTM", "RRU, GRU, LSTM, MogrifierLSTM"):
        assert words in shown


def test_help_lists_the_published_values_once_for_data_sets_that_share_them(script, capsys):
    script["PUBLISHED"].update(medium={"dropout": 0.25}, large={"dropout": 0.75, "epochs": "100 %"})
    with pytest.raises(SystemExit):
        read_settings(script, ["--help"])
    shown = capsys.readouterr().out
    assert "  small, medium\n    dropout=0.25\n" in shown
    assert "  large\n    dropout=0.75, epochs=100 %\n" in shown


def test_a_run_that_exists_keeps_its_settings(script, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    saved = read_settings(script, ["--dropout", "0.125"])
    write_run(run, saved.values)
    script["dropout"] = 0.875
    resumed = read_settings(script, ["--resume", str(run), "--epochs", "9"])
    assert (resumed.dropout, resumed.epochs, resumed.resume) == (0.125, 9, str(run))
    script["PUBLISHED"]["small"]["epochs"] = 5
    assert read_settings(script, ["--resume", str(run), "--epochs", "None"]).epochs == 5
    with pytest.raises(UserError, match="dropout cannot be changed"):
        read_settings(script, ["--resume", str(run), "--dropout", "None"])
    with pytest.raises(UserError, match="batch_size cannot be changed"):
        read_settings(script, ["--resume", str(run), "--batch_size", "9"])
    assert read_settings(script, ["--evaluate", str(run)]).epochs == 3
    with pytest.raises(UserError, match="epochs cannot be changed in a run that is only evaluated"):
        read_settings(script, ["--evaluate", str(run), "--epochs", "9"])
    write_run(run, saved.values, task="music")
    with pytest.raises(UserError, match="task music"):
        read_settings(script, ["--evaluate", str(run)])


@pytest.mark.parametrize("changed, named", [
    ({"cell_name": "XRU"}, "cell_name is 'XRU'"), ({"batch_size": "x"}, "batch_size is 'x'"),
    ({"dropout": 7}, "dropout is 7"),
    ({"cell_hyperparameters": {"relu_layers": 0}}, "relu_layers is 0"),
    ({"data_set_name": "huge"}, "data_set_name is 'huge'")])
def test_wrong_settings_of_a_run_are_named(script, tmp_path, changed, named):
    write_run(tmp_path, dict(read_settings(script, []).values, **changed))
    with pytest.raises(UserError, match="settings.json: " + named):
        read_settings(script, ["--resume", str(tmp_path)])


@pytest.mark.parametrize("content", [
    "[]", "5", "null", '{"task": "toys"}', '{"task": "toys", "settings": 5}',
    '{"task": "toys", "settings": {}}'] + [
    '{"task": "toys", "script": "some_main.py", "command": "", "unpublished": {}, "environment":'
    ' %s, "settings": {"data_set_name": "", "cell_name": "", "cell_hyperparameters": {}}}'
    % environment for environment in ("[]", "{}", '{"tensorflow": "1.15.0", "cores": "1"}')])
def test_what_is_not_the_settings_of_a_run_is_named(script, tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(UserError, match="settings.json cannot be read .*give the folder of a run"):
        read_settings(script, ["--resume", str(tmp_path)])


def test_a_sweep_is_neither_resumed_nor_evaluated_as_a_run(script, tmp_path):
    write_run(tmp_path, dict(read_settings(script, []).values, do_hyperparameter_optimization=True))
    with pytest.raises(UserError, match="is a sweep"):
        read_settings(script, ["--resume", str(tmp_path)])


def test_a_command_line_is_read_as_it_was_meant():
    line = command_line("python -u toy_main.py", {
        "data_set_name": "JSB Chorales", "forget_bias": -5.1e-05, "seed": 1})
    assert line == (
        "python -u toy_main.py --data_set_name 'JSB Chorales' --forget_bias=-5.1e-05 --seed 1")


def test_resume_and_evaluate_exclude_each_other(script, tmp_path):
    write_run(tmp_path, read_settings(script, []).values)
    with pytest.raises(UserError, match="both given"):
        read_settings(script, ["--resume", str(tmp_path), "--evaluate", str(tmp_path)])


def test_what_is_given_replaces_the_runs_that_the_top_names(script, tmp_path):
    write_run(tmp_path, read_settings(script, []).values)
    top = dict(script, resume="auto")
    assert read_settings(top, ["--evaluate", str(tmp_path)]).evaluate == str(tmp_path)
    assert read_settings(top, ["--resume", str(tmp_path)]).resume == str(tmp_path)
    with pytest.raises(UserError, match="resume is auto, but the run has no name"):
        read_settings(dict(vars(lm_main), resume="auto"), [])
    with pytest.raises(UserError, match="resume and evaluate are both given"):
        read_settings(dict(top, evaluate=str(tmp_path)), [])


# --- Groups, the command, what is not published ---

def test_the_group_says_what_may_be_done_with_a_constant(script):
    constants = read_settings(script, []).constants
    swept = {name for name, constant in constants.items() if constant.may_be_swept}
    assert {"dropout", "batch_size", "quick", "epochs", "relu_layers"} <= swept
    assert not swept & {"data_set_name", "cell_name", "cell_hyperparameters", "resume", "evaluate"}
    assert constants["epochs"].may_change(evaluate=False)
    assert not constants["epochs"].may_change(evaluate=True)
    assert not constants["dropout"].may_change(evaluate=False)
    assert constants["resume"].may_change(evaluate=True)
    with pytest.raises(UserError, match="dropout is 1, but must be: float >= 0, < 1"):
        constants["dropout"].check(1)


def test_the_command_makes_the_same_settings_whatever_is_edited_at_the_top(script):
    settings = read_settings(script, ["--dropout", "0.125", "--relu_layers", "3"])
    assert settings.unpublished() == dict(NOT_IN_TABLE, dropout=0.125, relu_layers=3)
    line = settings.command()
    assert line.startswith("python -u some_main.py --data_set_name small --cell_name RRU")
    script.update(dropout=0.5, batch_size=99, cell_hyperparameters={"relu_layers": 5})
    again = read_settings(script, line.split()[3:])
    assert again.values == settings.values
    script.update(batch_size=4)
    as_published = read_settings(script, ["--dropout", "None", "--relu_layers", "None"])
    assert as_published.unpublished() == NOT_IN_TABLE
    script["PUBLISHED"]["small"].update(NOT_IN_TABLE)
    assert as_published.unpublished() == {}


def test_what_settings_json_holds_of_the_settings(script, tmp_path):
    saved = read_settings(script, ["--dropout", "0.125"]).record()
    assert saved["given"] == ["dropout"]
    assert saved["unpublished"] == dict(NOT_IN_TABLE, dropout=0.125)
    assert saved["command"].endswith("--dropout 0.125") and "changed_on_resume" not in saved
    save_record(tmp_path, saved)
    again = read_settings(script, ["--resume", str(tmp_path), "--epochs", "9"]).record(7)
    assert again["changed_on_resume"] == [{"step": 7, "epochs": [3, 9]}]
    save_record(tmp_path, again)
    once_more = read_settings(script, ["--resume", str(tmp_path), "--epochs", "11"]).record(8)
    assert once_more["changed_on_resume"][1:] == [{"step": 8, "epochs": [9, 11]}]
    same = read_settings(script, ["--resume", str(tmp_path), "--epochs", "9"])
    assert same.changes == {} and len(same.record(9)["changed_on_resume"]) == 1


# --- Resuming ---

def test_epochs_cannot_change_under_a_decayed_learning_rate(tmp_path):
    text = SCRIPT.replace("quick =", "linear_decay = True  # decay [bool]\nquick =")
    script = script_of(tmp_path, text)
    write_run(tmp_path, read_settings(script, []).values)
    assert read_settings(script, ["--resume", str(tmp_path), "--epochs", "3"]).epochs == 3
    with pytest.raises(UserError, match="epochs cannot be changed in a run with linear_decay"):
        read_settings(script, ["--resume", str(tmp_path), "--epochs", "4"])


def test_constants_edited_at_the_top_of_a_resumed_run_are_named(script, tmp_path):
    record = read_settings(script, ["--batch_size", "5"]).record()
    save_record(tmp_path, record)
    assert read_settings(script, ["--resume", str(tmp_path)]).notes == []
    script.update(dropout=0.5, quick=True, batch_size=8)
    resumed = read_settings(script, ["--resume", str(tmp_path)])
    assert (resumed.dropout, resumed.quick, resumed.batch_size) == (0.25, False, 5)
    assert resumed.notes == [
        "dropout is 0.5 in some_main.py, but the run keeps 0.25",
        "quick is True in some_main.py, but the run keeps False"]
    script.update(dropout=None, quick=False, cell_hyperparameters={"relu_layers": 1}, epochs=99)
    note, = read_settings(script, ["--resume", str(tmp_path)]).notes
    assert note.startswith("epochs is 99 in some_main.py") and note.endswith(
        "; give --epochs to change it")


def test_resume_auto_begins_a_run_or_continues_with_it(tmp_path):
    script = script_of(tmp_path, SCRIPT.replace(
        'resume = ""', 'name = ""  # name [path]\nruns_folder = "%s"  # runs [path]\nresume = ""'
        % tmp_path))
    with pytest.raises(UserError, match="resume is auto, but the run has no name"):
        read_settings(script, ["--resume", "auto"])
    words = ["--resume", "auto", "--name", "a", "--batch_size", "5",
             "--cell_hyperparameters", "{'relu_layers': 3}"]
    begun = read_settings(script, words)
    assert (begun.resume, begun.name, begun.batch_size) == ("", "a", 5)
    folder = tmp_path / "toys" / "small" / "RRU" / "a"
    (folder / "checkpoints").mkdir(parents=True)
    save_record(folder, begun.record())
    assert read_settings(script, words).resume == ""  # killed before its first checkpoint
    (folder / "checkpoints" / "last.npz").write_text("")
    assert read_settings(script, words + ["--epochs", "7"]).resume == str(folder)
    with pytest.raises(UserError, match="batch_size cannot be changed"):
        read_settings(script, words[:4] + ["--batch_size", "6"])
    with pytest.raises(UserError, match="cell_hyperparameters cannot be changed"):
        read_settings(script, words[:6] + ["--cell_hyperparameters", "{'relu_layers': 2}"])


def test_an_option_of_a_sweep_without_a_sweep_is_refused():
    words, switch = ["--sweep_trials", "5"], ["--do_hyperparameter_optimization", "True"]
    with pytest.raises(UserError, match="sweep_trials is given, but no sweep is made: add --do_hy"):
        read_settings(vars(lm_main), words)
    assert read_settings(vars(lm_main), words + switch).sweep_trials == 5
    for script in (lm_main, mnist_main):
        for more in (["--name", "night/trial-001"], ["--name", "mine", "--resume", "auto"]):
            with pytest.raises(UserError, match="sweep_trials is given, but no sweep is made"):
                read_settings(vars(script), words + more)
        with pytest.raises(UserError, match="resume is given, but empty"):
            read_settings(vars(script), words + ["--resume=", "--evaluate="])
    with pytest.raises(UserError, match="name is given, .* is its sweep_name: give --sweep_name"):
        read_settings(vars(lm_main), switch + ["--name", "night"])


def test_trainings_of_a_sweep_stay_the_same_whatever_is_edited_at_the_top():
    settings = read_settings(vars(lm_main), [])
    edited = dict(vars(lm_main), gpu="1", prompt="Once", sweep_trials=7, other_data=True,
                  search={"seed": None}, resume="old", dropout=0.3, name="mine")
    assert read_settings(edited, settings.all_options()).values == settings.values


def test_options_without_effect_on_a_run_are_refused_and_not_offered(tmp_path):
    write_run(tmp_path, read_settings(vars(lm_main), []).values, task="language")
    for action, names in (("--evaluate", ["gpu", "other_data"]), ("--resume", ["gpu", "epochs"])):
        with pytest.raises(UserError, match="own_text cannot be changed in a run") as error:
            read_settings(vars(lm_main), [action, str(tmp_path), "--own_text", "novel.txt"])
        offered = str(error.value).split("; only ")[1]
        assert all(name in offered for name in names)
        assert "own_text" not in offered and ("other_data" in offered) == ("other_data" in names)
    edited = dict(vars(lm_main), own_text="novel.txt", data_set_name="OwnText")
    notes = read_settings(edited, ["--resume", str(tmp_path)]).notes
    assert notes == ["data_set_name is OwnText in lm_main.py, but the run keeps penn"]


def test_a_run_stays_in_its_folder(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    write_run(run, read_settings(vars(lm_main), []).values, task="language")
    with pytest.raises(UserError, match="runs_folder cannot be changed in a run that exists"):
        read_settings(vars(lm_main), ["--resume", str(run), "--runs_folder", "elsewhere"])


@pytest.mark.parametrize("words, message", [
    (["--resume", ""], "resume is given, but empty"),
    (["--evaluate="], "evaluate is given, but empty"),
    (["--runs_folder", ""], "runs_folder is given, but empty: give a value, or leave it out"),
    (["--other_data", "True"], "other_data is given, but no run is evaluated: add --evaluate")])
def test_an_option_that_would_have_no_effect_is_refused(words, message):
    with pytest.raises(UserError, match=message):
        read_settings(vars(lm_main), words)
    assert read_settings(vars(lm_main), ["--gpu", ""]).gpu == ""  # empty at the top, too


# --- Mistakes at the top and on the command line ---

@pytest.mark.parametrize("line, words", [
    ("Epochs = 3", ["sets Epochs, which is not a constant, did you mean epochs"]),
    ("EPOCHS = 3", ["did you mean epochs"]), ("batchsize = 3", ["did you mean batch_size"]),
    ("batch_size = 8", ["line 15 of some_main.py", "sets the constant batch_size again"]),
    ("batch_size = 8  # examples [int >= 1]", ["sets the constant batch_size again"])])
def test_an_assignment_that_is_nearly_a_constant_is_named(tmp_path, line, words):
    script = script_of(tmp_path, SCRIPT.replace("LIMIT = 7", line))
    with pytest.raises(UserError) as error:
        read_settings(script, [])
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("line, message", [
    ("width = 3  # mine [integer]", r"the constant width has the kind and range \[integer\]: give"),
    ("width = 3  # mine [int > 1 and < 5]", "width has the kind and range"),
    ("width = 3  # mine [int >= 0.5]", "width has the kind and range"),
    ("width = 3  # mine [list]", "width has the kind and range"),
    ("notes = 3  # mine [int >= 1]", "a constant cannot be called notes: rename it"),
    ("command = 3  # mine [int >= 1]", "a constant cannot be called command: rename it")])
def test_a_new_constant_that_cannot_work_is_named(tmp_path, line, message):
    script = script_of(tmp_path, SCRIPT.replace("LIMIT = 7", line))
    with pytest.raises(UserError, match=message):
        read_settings(script, [])


def test_a_constant_may_have_a_type(tmp_path):
    script = script_of(tmp_path, SCRIPT.replace("batch_size = 4", "batch_size: int = 6"))
    assert read_settings(script, []).batch_size == 6


@pytest.mark.parametrize("arguments, meant", [
    (["--bs", "1"], "--batch_size"), (["--Batch-Size", "1"], "--batch_size"),
    (["--drop", "1"], "--dropout"), (["--cell_name", "rru"], "RRU"),
    (["--cell_name", "Mogrifier"], "MogrifierLSTM"), (["--data_set_name", "lar"], "large"),
    (["--forget_bia", "1"], "--forget_bias")])
def test_the_nearest_name_is_suggested(script, arguments, meant):
    with pytest.raises(UserError, match="did you mean %s[?]" % meant):
        read_settings(script, arguments)


@pytest.mark.tf2
@pytest.mark.parametrize("value", [
    "[" * 300, "[1, " * 2000, "-" * 100000 + "1", "-" * 9000 + "1", "1" * 100000,
    "{'a':" * 1900 + "1" + "}" * 1900,
    "not " * 2000 + "1", "\0", "9" * 400 + ".5"])
@pytest.mark.parametrize("kind", ["int", "float", "bool", "dict", "path"])
def test_hostile_values_are_one_short_line(value, kind, capfd):
    constant = Constant("thing", None, "", kind, "Run")
    if kind == "path" and len(value) < 1000 and "\0" not in value:
        assert constant.check(value) == value
        return
    with pytest.raises(UserError) as error:
        constant.check(value)
    assert len(str(error.value)) < 300 and "thing is" in str(error.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", ["/".join("a" * 2100), "a" * 5000, "a\0b"])
def test_paths_that_no_file_system_takes_are_refused(path):
    with pytest.raises(UserError, match="the path of a file or folder"):
        Constant("name", None, "", "path", "Run").check(path)


def test_the_command_leaves_out_what_is_of_another_data_set(tmp_path):
    line = "steps = 2  # of OwnText: steps in a bar [int >= 1]\n"
    text = SCRIPT.replace("# ---- Model", line + "# ---- Model", 1)
    script = script_of(tmp_path, text)
    script["PUBLISHED"]["OwnText"] = {"dropout": 0.5}
    assert "--steps" not in read_settings(script, []).command()
    assert "--steps 2" in read_settings(script, ["--data_set_name", "OwnText"]).command()
