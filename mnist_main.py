"""Pixel-by-pixel MNIST: which digit an image shows that is read one pixel a step.

Edit the constants or give them on the command line, for example

    python -u mnist_main.py --data_set_name P-MNIST --cell_name GRU

Data: bash get_data.sh --only MNIST. "SequentialDigits" comes with scikit-learn.
"""

import experiment
import mnist_utils
from files.errors import run_as_script
from reports import samples
from training.classifier import classifier
from training.model import Network
from training.quiet_tensorflow import tf

TASK = "mnist"

# None stands for the published value of the data set, which the table below holds.

# ---- Data
data_set_name = "SequentialMNIST"  # which digits, in which order of pixels [data set]
data_folder = "data"  # where get_data.sh and mnist_utils.py put them [text]

# ---- Model
cell_name = "RRU"  # the recurrent cell, see cells/registry.py [cell]
number_of_parameters = None  # size of the model; the largest number of hidden units within it is taken [int >= 1]
number_of_layers = None  # cells on top of one another [int >= 1]
dropout = None  # probability with which a feature is dropped [float >= 0, < 1]
cell_hyperparameters = {}  # the cell's own, such as {"relu_layers": 2}; the rest is as published [dict]

# ---- Training
batch_size = None  # digits in a training step [int >= 1]
learning_rate = None  # step size of the optimizer [float > 0]
linear_decay = None  # lower it epoch by epoch, in a line that would reach 0 after `epochs` [bool]
label_smoothing = 0.1  # share of a label that is spread over all classes [float >= 0, < 1]
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

# ---- GPU
gpu = ""  # which GPU, as its number, "0" for the first; empty: TensorFlow's choice, or none [text]
allow_growth = True  # take GPU memory as it is needed, not all at once [bool]
mixed_precision = False  # TensorFlow's automatic mixed precision: float16 where it is safe [bool]

_PAPER = dict(batch_size=64, number_of_layers=2, number_of_parameters=70000, learning_rate=1e-3,
              linear_decay=False, clip_multiplier=5.0, dropout=0.7, patience=5, epochs=1000)
PUBLISHED = {
    "SequentialMNIST": _PAPER,
    "P-MNIST": _PAPER,
    # Not in the paper. A few minutes on two cores; chosen on its validation digits.
    "SequentialDigits": dict(_PAPER, batch_size=32, dropout=0.1, patience=60, epochs=150),
}


def build_model(settings, data):
    """Pixels [T, B] from 0 to data.pixel_scale -> logits of the classes [B, 10], read after the last pixel."""
    pixels = tf.placeholder(tf.uint8, [None, None], "inputs")
    network = Network(settings, 1, head_outputs=data.class_count, head_reads="state")
    intensities = tf.cast(pixels, tf.float32) / data.pixel_scale
    return classifier(settings, network, pixels, tf.expand_dims(intensities, axis=2))


def main(arguments=None):
    """Train (or resume, or only evaluate) one model and report it, or sweep over many."""
    return experiment.run(globals(), mnist_utils.load, build_model, samples.confusion_matrix, arguments)


if __name__ == "__main__":
    run_as_script(main)
