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
from reports.music_sample import check_prompt, sample_music
from training.metrics import Metric
from training.model import Model, Network, outputs_for_sampling
from training.quiet_tensorflow import tf

TASK = "music"

# None stands for the published value of the data set, in the table below.
# The comment of a constant is read, too: meaning [kind and range], see training/constants.py.

# ---- Data
data_set_name = "JSB Chorales"  # which pieces [data set]
own_music = ""  # of OwnMusic: a folder of MIDI files (.mid, .midi), with those in it [paths]
steps_per_quarter = 2  # of OwnMusic: time steps in a quarter note [int >= 1]
own_music_outside = "shift"  # of OwnMusic: notes off the keyboard: shift by octaves, or drop [text]
window_size = None  # time steps in a training window [int >= 2]
transpose = None  # shift windows by up to this many semitones, new in each epoch; 0: off [int >= 0]

# ---- Model
cell_name = "RRU"  # the recurrent cell, see cells/registry.py [cell]
number_of_parameters = None  # model size; as many hidden units as fit are used [int >= 1]
number_of_layers = None  # cells on top of one another [int >= 1, <= 1000]
dropout = None  # probability of dropping: RRU middle layer, others' candidate [float >= 0, < 1]
cell_hyperparameters = {}  # the cell's own, as {"relu_layers": 2}; others published [dict]

# ---- Training
batch_size = None  # windows in a training step [int >= 1]
learning_rate = None  # step size of the optimizer [float > 0]
linear_decay = None  # lower learning_rate in equal steps, to 1/epochs of it in the last [bool]
clip_gradients = None  # clip each variable's gradient by its usual norm: optimizer.py [bool]
clip_multiplier = None  # clipping norm / usual norm of that gradient [float > 0]
mixed_precision = None  # float16 if it is safe, by TensorFlow's automatic mixed precision [bool]
seed = 1  # of initial values, shuffling and dropout [int >= 0]

# ---- Stopping
patience = None  # epochs without a better validation result before training stops [int >= 1]
epochs = None  # the most epochs to train [int >= 1]

# ---- Sweep
do_hyperparameter_optimization = False  # train many trials to find good settings [bool]
sweep_name = "sweep"  # the sweep's folder; the same name continues an interrupted sweep [path]
sweep_trials = 100  # trials in all [int >= 1]
search_method = "tpe"  # how points are chosen: tpe, random, or grid (all combinations) [text]
search = {}  # dimensions to change, as {"dropout": ("uniform", 0.1, 0.5)}; None: not swept [dict]
prune_after = 0  # epochs; then a trial worse than the median of others stops; 0: off [int >= 0]
retry_failed = False  # try again the trials that failed [bool]
final_seeds = 1  # test the winner with this many seeds, from `seed` on [int >= 1]
spark_master = ""  # run trials in parallel: "local[2]", "spark://host:7077"; empty: in turn [text]
spark_parallelism = 2  # trials at a time, on all machines together [int >= 1]

# ---- Run
name = ""  # the run's folder; empty: date, time and seed [path]
data_folder = "data"  # where get_data.sh and mm_utils.py put the data [path]
runs_folder = "runs"  # runs go to <runs_folder>/<task>/<data set>/<cell>/<name> [path]
resume = ""  # a run's folder: continue it; auto: the run `name`, if it has begun [path]
evaluate = ""  # a run's folder: evaluate its best checkpoint, without training [path]
sample = ""  # a run's folder: make only its samples, from its best checkpoint [path]
other_data = False  # evaluate on other data; into results-other-data.json [bool]
evaluate_on_test = True  # evaluate on the test split at the end; trials of a sweep do not [bool]
checkpoint_minutes = 5.0  # time between checkpoints within an epoch [float > 0]
summary_steps = 20  # steps between TensorBoard's scalars within an epoch [int >= 1]
temperature = 1.0  # of sampling: < 1 more deterministic, > 1 more random [float >= 0.01]
prompt = ""  # a MIDI file that the sample continues; empty: a song of the test data [path]
prompt_steps = 16  # the first steps of the prompt, which are continued [int >= 1]
sample_steps = 0  # time steps to sample; 0: to 100 with the prompt, or a test song's end [int >= 0]

# ---- GPU
gpu = ""  # its number, "0" for the first; empty: TensorFlow's choice, or none [text]
allow_growth = True  # take GPU memory as it is needed, not all at once [bool]

_PAPER = dict(
    window_size=200, transpose=0, number_of_parameters=5000000, number_of_layers=1, dropout=0.5,
    batch_size=16, learning_rate=1e-3, linear_decay=False, clip_gradients=True, clip_multiplier=1.5,
    mixed_precision=False, patience=7, epochs=1000)
_CHORALES = dict(_PAPER, transpose=6, number_of_parameters=800000, dropout=0.3, batch_size=8,
                 learning_rate=5e-3, linear_decay=True, patience=40, epochs=140)
PUBLISHED = {
    "JSB Chorales": _PAPER,
    "Nottingham": _PAPER,
    "MuseData": _PAPER,
    "Piano-midi.de": _PAPER,
    # Not in the paper: small, for a few minutes on two cores. Its settings start from the best
    # trial of a sweep (results/music/Bach Chorales/RRU/chorales), all chosen on its validation
    # part. They say nothing of JSB Chorales, whose test songs are among the chorales.
    "Bach Chorales": _CHORALES,
    # Not in the paper: those of the chorales with fewer epochs and less patience (the RRU's middle
    # layer has the usual size).
    "OwnMusic": dict(_CHORALES, patience=10, epochs=60),
}


def build_model(settings, data):
    """Steps [T, B, 88] of notes on or off -> logits of the notes of the next step [T, B, 88]."""
    inputs = tf.placeholder(tf.uint8, [None, None, data.note_count], "inputs")
    targets = tf.placeholder(tf.uint8, [None, None, data.note_count], "targets")
    lengths = tf.placeholder(tf.int32, [None], "lengths")

    network = Network(settings, data.note_count, head_outputs=data.note_count, head_reads="outputs")
    first_states = network.initial_states_to_feed(tf.shape(inputs)[1])
    outputs, final_states = network.unroll(tf.cast(inputs, tf.float32), first_states, lengths)
    logits = network.head(outputs)

    notes = tf.cast(targets, tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=notes, logits=logits)
    real = tf.sequence_mask(lengths, tf.shape(inputs)[0], tf.float32)  # [B, T]
    window_sums = tf.reduce_sum(tf.transpose(tf.reduce_sum(losses, axis=2)) * real, axis=1)
    steps = tf.reduce_sum(real)
    window_losses = window_sums / tf.cast(lengths, tf.float32)
    metrics = {
        "window_nll": Metric(tf.reduce_sum(window_losses), tf.size(lengths)),
        "frame_nll": Metric(tf.reduce_sum(window_sums), steps),
    }
    return Model(settings, network, {"inputs": inputs, "targets": targets, "lengths": lengths},
                 loss=tf.reduce_mean(window_losses), metrics=metrics, monitor="window_nll",
                 by_example={"batch_nll": window_losses},  # the average that the paper reports
                 outputs=outputs_for_sampling(logits, first_states, final_states))


def main(arguments=None):
    """Train (or resume, or only evaluate) a model and report it, or sweep over many."""
    return experiment.run(globals(), mm_utils.load, build_model, sample_music, arguments,
                          check_prompt)


if __name__ == "__main__":
    run_as_script(main)
