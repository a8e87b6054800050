"""The cells that the scripts can train: where each is, its hyperparameters, their sweep dimensions.

docs/cells.md says how to add a cell; its entry goes into CELLS.
"""

import collections
import importlib

Hyperparameter = collections.namedtuple("Hyperparameter", "published allowed meaning search")
Hyperparameter.__doc__ = """A cell's own setting.

published: {data set: the paper's value, or ours for a set that the paper lacks}, with None for all
other sets.
allowed: kind and range, in the notation of the constants at the top of the scripts.
search: the sweep's dimension, as in sweeps/search_space.py; None: not swept.
"""

CellEntry = collections.namedtuple("CellEntry", "module class_name hyperparameters")

CELLS = {
    "RRU": CellEntry("cells.rru", "RRUCell", {
        "output_size": Hyperparameter(
            {None: 64, "penn": 128, "penn-standard": 128, "pennchar": 128, "enwik8": 128,
             "text8": 128, "PythonDocs": 128},
            "int >= 1", "features of the cell's output", None),
        "relu_layers": Hyperparameter(
            {None: 1, "enwik8": 2, "text8": 2, "IMDB": 2}, "int >= 1, <= 1000",
            "ReLU layers in the middle", None),
        "middle_layer_size_multiplier": Hyperparameter(
            {None: 2.0, "enwik8": 4.0, "text8": 4.0, "Bach Chorales": 3.5}, "float > 0, <= 1000",
            "middle layer's size over that of input and state", ("uniform", 0.1, 8.0)),
        "normalize": Hyperparameter(
            {None: True}, "bool", "normalise before the first ReLU layer", None),
    }),
    "GRU": CellEntry("cells.gru", "GRUCell", {}),
    "LSTM": CellEntry("cells.lstm", "LSTMCell", {
        "forget_bias": Hyperparameter(
            {None: 1.0}, "float", "added to the forget gate before the sigmoid",
            ("uniform", -3.0, 3.0)),
    }),
    "MogrifierLSTM": CellEntry("cells.mogrifier_lstm", "MogrifierLSTMCell", {
        "feature_mask_rounds": Hyperparameter(
            {None: 5, "enwik8": 6, "text8": 6}, "int >= 0, <= 1000",
            "rounds in which input and state gate each other", ("choice", [5, 6])),
        "feature_mask_rank": Hyperparameter(
            {None: 40, "enwik8": 79, "text8": 79}, "int >= 0",
            "rank of the gating matrices; 0 = full matrices", ("integer", 40, 90)),
    }),
}


def published_hyperparameters(cell_name, data_set_name):
    """The paper's values of a cell's own hyperparameters on a data set, as a dict."""
    return {name: hyperparameter.published.get(data_set_name, hyperparameter.published[None])
            for name, hyperparameter in CELLS[cell_name].hyperparameters.items()}


def make_cell(cell_name, num_units, hyperparameters):
    """Make a cell of `num_units` hidden units. Only its own module is imported."""
    entry = CELLS[cell_name]
    cell = getattr(importlib.import_module(entry.module), entry.class_name)
    return cell(num_units, **hyperparameters)
