"""The settings: command line over constant over table, and one clear line for what is wrong."""

import json

import pytest

from files.errors import UserError
from training.options import command_line
from training.settings import read_settings

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
resume = ""  # run to go on with [text]
evaluate = ""  # run to evaluate [text]
LIMIT = 7
_own = 8
def build():
    hidden = 3  # not a constant [int >= 1]
'''


def script_of(folder, text):
    """The globals of a script with this text."""
    path = folder / "some_main.py"
    path.write_text(text)
    script_globals = {"__file__": str(path), "TASK": "toys",
                      "PUBLISHED": {"small": {"dropout": 0.25}, "large": {"dropout": 0.75}, "IMDB": {}}}
    exec(text, script_globals)
    return script_globals


def write_run(folder, settings, task="toys"):
    (folder / "settings.json").write_text(json.dumps({
        "task": task, "script": "some_main.py", "environment": {}, "settings": settings}))


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


@pytest.mark.parametrize("edited", ["batch_size = 64", "batch_size = 64  # try 64"])
def test_a_constant_that_lost_its_comment_is_named(tmp_path, edited):
    script = script_of(tmp_path, SCRIPT.replace("batch_size = 4  # examples [int >= 1]", edited))
    with pytest.raises(UserError, match="line 8 of some_main.py: the constant batch_size has lost its comment"):
        read_settings(script, [])


def test_a_wrong_name_in_the_table_is_named(script):
    script["PUBLISHED"]["large"]["batchsize"] = 32
    with pytest.raises(UserError, match="PUBLISHED of some_main.py has batchsize for large.*did you mean batch_size"):
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
    settings = read_settings(script, ["--dropout", "None", "--relu_layers", "None", "--data_set_name", "large"])
    assert settings.dropout == 0.75 and settings.cell_hyperparameters["relu_layers"] == 1


def test_values_have_the_types_of_their_kinds(script):
    settings = read_settings(script, ["--quick", "True", "--batch_size", "7"])
    assert settings.quick is True and settings.batch_size == 7
    assert not {"hidden", "LIMIT", "_own"} & set(settings.values)


def test_hyperparameters_belong_to_the_cell_and_the_data_set(script):
    assert read_settings(script, []).cell_hyperparameters["relu_layers"] == 1
    script["PUBLISHED"]["IMDB"] = {"dropout": 0.5}
    assert read_settings(script, ["--data_set_name", "IMDB"]).cell_hyperparameters["relu_layers"] == 2
    script["cell_hyperparameters"] = {"relu_layers": 4}
    assert read_settings(script, []).cell_hyperparameters["relu_layers"] == 4
    assert read_settings(script, ["--relu_layers", "3"]).cell_hyperparameters["relu_layers"] == 3
    assert read_settings(dict(script, cell_hyperparameters={}), ["--cell_name", "LSTM", "--forget_bias", "-1.5"]
                         ).cell_hyperparameters == {"forget_bias": -1.5}


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
    (["--data_set_name", "huge"], ["data_set_name", "huge", "small, large"]),
    (["--data_set_name", "IMDB"], ["dropout", "IMDB", "some_main.py"]),
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
    (["--batch_size", str(2 ** 31)], ["batch_size", "2147483648", "less than 2^31"]),
    (["--resume", "x\udcff"], ["resume", "text"]),
    (["--dropout", "1e999"], ["dropout", "float >= 0, < 1"]),
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
    for words in ("--dropout", "100 % excluded", "--batch_size", "now 4", "--feature_mask_rank", "Cell LSTM",
                  "RRU, GRU, LSTM, MogrifierLSTM"):
        assert words in shown


def test_help_lists_the_published_values_once_for_data_sets_that_share_them(script, capsys):
    script["PUBLISHED"].update(medium={"dropout": 0.25}, large={"dropout": 0.75, "epochs": "100 %"})
    with pytest.raises(SystemExit):
        read_settings(script, ["--help"])
    shown = capsys.readouterr().out
    assert "  small, medium\n    dropout=0.25\n" in shown and "  large\n    dropout=0.75, epochs=100 %\n" in shown


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
    ({"dropout": 7}, "dropout is 7"), ({"cell_hyperparameters": {"relu_layers": 0}}, "relu_layers is 0"),
    ({"data_set_name": "huge"}, "data_set_name is 'huge'")])
def test_wrong_settings_of_a_run_are_named(script, tmp_path, changed, named):
    write_run(tmp_path, dict(read_settings(script, []).values, **changed))
    with pytest.raises(UserError, match="settings.json: " + named):
        read_settings(script, ["--resume", str(tmp_path)])


@pytest.mark.parametrize("content", ["[]", "5", "null", '{"task": "toys"}', '{"task": "toys", "settings": 5}',
                                     '{"task": "toys", "settings": {}}'])
def test_what_is_not_the_settings_of_a_run_is_named(script, tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(UserError, match="settings.json cannot be read .*give the folder of a run"):
        read_settings(script, ["--resume", str(tmp_path)])


def test_a_sweep_is_neither_resumed_nor_evaluated_as_a_run(script, tmp_path):
    write_run(tmp_path, dict(read_settings(script, []).values, do_hyperparameter_optimization=True))
    with pytest.raises(UserError, match="is a sweep"):
        read_settings(script, ["--resume", str(tmp_path)])


def test_a_command_line_is_read_as_it_was_meant():
    line = command_line("toy_main.py", [("data_set_name", "JSB Chorales"), ("forget_bias", -5.1e-05), ("seed", 1)])
    assert line == "python -u toy_main.py --data_set_name 'JSB Chorales' --forget_bias=-5.1e-05 --seed 1"


def test_resume_and_evaluate_exclude_each_other(script, tmp_path):
    write_run(tmp_path, read_settings(script, []).values)
    with pytest.raises(UserError, match="both given"):
        read_settings(script, ["--resume", str(tmp_path), "--evaluate", str(tmp_path)])
