"""Polyphonic music: the next step's notes from all steps before (section 5.1 of the paper).

Edit the constants or give them on the command line, for example

    python -u mm_main.py --data_set_name Nottingham --cell_name GRU

Data: bash get_data.sh. "Bach Chorales" comes with the project; "OwnMusic" are MIDI files of
your own, see docs/own_data.md:

    python -u mm_main.py --data_set_name OwnMusic --own_music folder
"""

import experiment
import mm_utils
from files.errors import run_as_script
from reports import samples
from training.model import Metric, Model, Network, outputs_for_sampling
from training.quiet_tensorflow import tf

TASK = "music"

# None stands for the published value of the data set, which the table below holds.

# ---- Data
data_set_name = "JSB Chorales"  # which pieces [data set]
data_folder = "data"  # where get_data.sh and mm_utils.py put them [text]
own_music = ""  # of OwnMusic: a folder of MIDI files, .mid or .midi, also in folders in it [text]
steps_per_quarter = 2  # of OwnMusic: time steps in a quarter note [int >= 1]
own_music_outside = "shift"  # of OwnMusic: notes off the keyboard, shift (by octaves) or drop [text]
window_size = None  # time steps in a training window [int >= 2]
transpose = None  # training windows are shifted by up to so many semitones, anew each epoch; 0: never [int >= 0]

# ---- Model
cell_name = "RRU"  # the recurrent cell, see cells/registry.py [cell]
number_of_parameters = None  # size of the model; the largest number of hidden units within it is taken [int >= 1]
number_of_layers = None  # cells on top of one another [int >= 1]
dropout = None  # probability with which a feature is dropped [float >= 0, < 1]
cell_hyperparameters = {}  # the cell's own, such as {"relu_layers": 2}; the rest is as published [dict]

# ---- Training
batch_size = None  # windows in a training step [int >= 1]
learning_rate = None  # step size of the optimizer [float > 0]
linear_decay = None  # lower it epoch by epoch, in a line that would reach 0 after `epochs` [bool]
clip_gradients = True  # adaptive clipping, see training/optimizer.py [bool]
clip_multiplier = None  # clip norm over the usual norm of the gradient [float > 0]
patience = None  # epochs without improvement on validation before training stops [int >= 1]
epochs = None  # the most epochs to train [int >= 1]
seed = 1  # of initial values, shuffling and dropout [int >= 0]

# ---- Sweep
do_hyperparameter_optimization = False  # look for good settings in many trials instead of training once [bool]
sweep_name = "sweep"  # name of the sweep's folder; the same name goes on with a sweep that was cut off [text]
sweep_trials = 100  # trials in all [int >= 1]
search = {}  # dimensions to change or add, such as {"dropout": ("uniform", 0.1, 0.5)}; None: not swept [dict]
final_seeds = 1  # the winner is tested with so many seeds, from `seed` on [int >= 1]
spark_master = ""  # runs trials side by side, such as "local[2]" or "spark://host:7077"; empty: one by one [text]
spark_parallelism = 2  # so many at a time: the number of GPUs, or else of machines [int >= 1]

# ---- Run
name = ""  # name of the run's folder; empty: date, time and seed [text]
runs_folder = "runs"  # runs are written to <runs_folder>/<task>/<data set>/<cell>/<name> [text]
resume = ""  # folder of a run to go on with [text]
evaluate = ""  # folder of a run whose best checkpoint to evaluate, without training [text]
other_data = False  # evaluate on other data than those of the training; marks the results [bool]
evaluate_on_test = True  # read the test split at the end; a sweep's trials do not [bool]
checkpoint_minutes = 5.0  # time between checkpoints within an epoch [float > 0]
summary_steps = 20  # steps between TensorBoard's scalars within an epoch [int >= 1]
temperature = 1.0  # of the sample: below 1 nearer to the likeliest, above 1 nearer to chance [float >= 0.01]

# ---- GPU
gpu = ""  # which GPU, as its number, "0" for the first; empty: TensorFlow's choice, or none [text]
allow_growth = True  # take GPU memory as it is needed, not all at once [bool]
mixed_precision = False  # TensorFlow's automatic mixed precision: float16 where it is safe [bool]

_PAPER = dict(window_size=200, transpose=0, batch_size=16, number_of_layers=1, number_of_parameters=5000000,
              learning_rate=1e-3, linear_decay=False, clip_multiplier=1.5, dropout=0.5, patience=7,
              epochs=1000)
PUBLISHED = {
    "JSB Chorales": _PAPER,
    "Nottingham": _PAPER,
    "MuseData": _PAPER,
    "Piano-midi.de": _PAPER,
    # Not in the paper: small, for a few minutes on two cores. Its settings start from the best trial of a sweep
    # (results/music/Bach Chorales/RRU/chorales), all chosen on its validation part. They say nothing of JSB
    # Chorales, whose test songs are among the chorales.
    "Bach Chorales": dict(_PAPER, number_of_parameters=800000, learning_rate=5e-3, linear_decay=True,
                          dropout=0.3, batch_size=8, transpose=6, patience=40, epochs=140),
    # Not in the paper: the settings of the chorales, with less patience.
    "OwnMusic": dict(_PAPER, number_of_parameters=800000, learning_rate=5e-3, linear_decay=True,
                     dropout=0.3, batch_size=8, transpose=6, patience=10, epochs=60),
}


def build_model(settings, data):
    """Steps [T, B, 88] of notes on or off -> logits of the notes of the next step [T, B, 88]."""
    inputs = tf.placeholder(tf.uint8, [None, None, data.note_count], "inputs")
    targets = tf.placeholder(tf.uint8, [None, None, data.note_count], "targets")
    lengths = tf.placeholder(tf.int32, [None], "lengths")

    network = Network(settings, data.note_count, head_outputs=data.note_count, head_reads="outputs")
    first_states = network.first_states(tf.shape(inputs)[1])
    outputs, final_states = network.unroll(tf.cast(inputs, tf.float32), first_states, lengths)
    logits = network.head(outputs)

    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(targets, tf.float32), logits=logits)
    real = tf.sequence_mask(lengths, tf.shape(inputs)[0], tf.float32)  # [B, T]
    window_sums = tf.reduce_sum(tf.transpose(tf.reduce_sum(losses, axis=2)) * real, axis=1)
    steps = tf.reduce_sum(real)
    window_losses = window_sums / tf.cast(lengths, tf.float32)
    metrics = {
        "window_nll": Metric(tf.reduce_sum(window_losses), tf.size(lengths), float),
        "frame_nll": Metric(tf.reduce_sum(window_sums), steps, float),
    }
    return Model(settings, network, {"inputs": inputs, "targets": targets, "lengths": lengths},
                 loss=tf.reduce_mean(window_losses), metrics=metrics, monitor="window_nll",
                 by_example={"batch_nll": window_losses},  # the average that the paper reports
                 outputs=outputs_for_sampling(logits, first_states, final_states))


def main(arguments=None):
    """Train (or resume, or only evaluate) one model and report it, or sweep over many."""
    return experiment.run(globals(), mm_utils.load, build_model, samples.music, arguments)


if __name__ == "__main__":
    run_as_script(main)
