"""Sentiment analysis: whether a film review is for or against the film.

Edit the constants or give them on the command line, for example

    python -u sa_main.py --cell_name GRU

Data: bash get_data.sh --only IMDB.
"""

import experiment
import sa_utils
from files.errors import run_as_script
from reports.confusion import draw_confusion_matrix
from training.classifier import classifier
from training.model import Network
from training.quiet_tensorflow import tf

TASK = "sentiment"

# None stands for the published value of the data set, in the table below.
# The comment of a constant is read, too: meaning [kind and range], see training/constants.py.

# ---- Data
data_set_name = "IMDB"  # which reviews [data set]
window_size = None  # longest review in words; of longer ones the last words are read [int >= 2]

# ---- Model
cell_name = "RRU"  # the recurrent cell, see cells/registry.py [cell]
number_of_parameters = None  # model size; as many hidden units as fit are used [int >= 1]
number_of_layers = None  # cells on top of one another [int >= 1, <= 1000]
embedding_size = None  # features of an embedded word [int >= 1]
dropout = None  # probability of dropping: RRU middle layer, others' candidate [float >= 0, < 1]
cell_hyperparameters = {}  # the cell's own, as {"relu_layers": 2}; others published [dict]

# ---- Training
batch_size = None  # reviews in a training step [int >= 1]
bucket_by_length = None  # batches of reviews of similar length: faster, not as published [bool]
learning_rate = None  # step size of the optimizer [float > 0]
linear_decay = None  # lower learning_rate in equal steps, to 1/epochs of it in the last [bool]
label_smoothing = None  # fraction of a label that is spread over all classes [float >= 0, < 1]
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
data_folder = "data"  # where get_data.sh and sa_utils.py put the data [path]
runs_folder = "runs"  # runs go to <runs_folder>/<task>/<data set>/<cell>/<name> [path]
resume = ""  # a run's folder: continue it; auto: the run `name`, if it has begun [path]
evaluate = ""  # a run's folder: evaluate its best checkpoint, without training [path]
other_data = False  # evaluate on other data; into results-other-data.json [bool]
evaluate_on_test = True  # evaluate on the test split at the end; trials of a sweep do not [bool]
checkpoint_minutes = 5.0  # time between checkpoints within an epoch [float > 0]
summary_steps = 20  # steps between TensorBoard's scalars within an epoch [int >= 1]

# ---- GPU
gpu = ""  # its number, "0" for the first; empty: TensorFlow's choice, or none [text]
allow_growth = True  # take GPU memory as it is needed, not all at once [bool]

PUBLISHED = {
    "IMDB": dict(
        window_size=512, number_of_parameters=2000000, number_of_layers=2, embedding_size=64,
        dropout=0.5, batch_size=64, bucket_by_length=False, learning_rate=1e-3, linear_decay=False,
        label_smoothing=0.1, clip_gradients=True, clip_multiplier=5.0, mixed_precision=False,
        patience=5, epochs=1000),
}


def build_model(settings, data):
    """Word ids [T, B] -> logits of the two classes [B, 2], read at the true end of each review."""
    words = tf.placeholder(tf.int32, [None, None], "inputs")
    network = Network(settings, settings.embedding_size, head_outputs=len(data.class_names),
                      head_reads="state", embedding_rows=data.vocabulary_size)
    return classifier(settings, network, words, network.embed(words))


def main(arguments=None):
    """Train (or resume, or only evaluate) a model and report it, or sweep over many."""
    return experiment.run(globals(), sa_utils.load, build_model, draw_confusion_matrix,
                          arguments)


if __name__ == "__main__":
    run_as_script(main)
