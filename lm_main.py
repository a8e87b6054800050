"""Language modelling: the next word or character from all before.

Edit the constants or give them on the command line, for example

    python -u lm_main.py --data_set_name text8 --cell_name GRU

Data: bash get_data.sh. "PythonDocs" comes with Python; "OwnText" is a text of your own, see
docs/own_data.md:

    python -u lm_main.py --data_set_name OwnText --own_text novel.txt
"""

import experiment
import lm_utils
from files.errors import run_as_script
from reports.text_sample import check_prompt, sample_text
from training.metrics import Metric
from training.model import Model, Network, outputs_for_sampling
from training.quiet_tensorflow import tf

TASK = "language"

# None stands for the published value of the data set, in the table below.
# The comment of a constant is read, too: meaning [kind and range], see training/constants.py.

# ---- Data
data_set_name = "penn"  # which text [data set]
own_text = ""  # of OwnText: a file (or .gz), a folder of .txt, or train,valid,test [paths]
own_unit = "character"  # of OwnText: its tokens, character or word [text]
own_vocabulary = 10000  # of OwnText: the most symbols to know, the others are unknown [int >= 1]
window_size = None  # time steps in a training window [int >= 2]
stateful = None  # read the text in order, carrying the state from window to window [bool]
state_reset_probability = None  # of stateful training: chance of a zero state [float >= 0, <= 1]

# ---- Model
cell_name = "RRU"  # the recurrent cell, see cells/registry.py [cell]
number_of_parameters = None  # model size; as many hidden units as fit are used [int >= 1]
number_of_layers = None  # cells on top of one another [int >= 1, <= 1000]
embedding_size = None  # features of an embedded word or character [int >= 1]
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
data_folder = "data"  # where get_data.sh and lm_utils.py put the data [path]
runs_folder = "runs"  # runs go to <runs_folder>/<task>/<data set>/<cell>/<name> [path]
resume = ""  # a run's folder: continue it; auto: the run `name`, if it has begun [path]
evaluate = ""  # a run's folder: evaluate its best checkpoint, without training [path]
sample = ""  # a run's folder: make only its samples, from its best checkpoint [path]
other_data = False  # evaluate on other data; into results-other-data.json [bool]
evaluate_on_test = True  # evaluate on the test split at the end; trials of a sweep do not [bool]
checkpoint_minutes = 5.0  # time between checkpoints within an epoch [float > 0]
summary_steps = 20  # steps between TensorBoard's scalars within an epoch [int >= 1]
temperature = 1.0  # of sampling: < 1 more deterministic, > 1 more random [float >= 0.01]
prompt = ""  # text that the sample continues; empty: the beginning of the test text [text]
prompt_file = ""  # a file whose text the sample continues [path]
sample_steps = 0  # tokens to sample; 0: 500 characters or 200 words [int >= 0]

# ---- GPU
gpu = ""  # its number, "0" for the first; empty: TensorFlow's choice, or none [text]
allow_growth = True  # take GPU memory as it is needed, not all at once [bool]

_WORDS = dict(
    window_size=64, stateful=False, state_reset_probability=0.1, number_of_parameters=20000000,
    number_of_layers=2, embedding_size=64, dropout=0.5, batch_size=128, learning_rate=3e-3,
    linear_decay=False, clip_gradients=True, clip_multiplier=10.0, mixed_precision=False,
    patience=7, epochs=1000)
_PENNCHAR = dict(
    window_size=512, stateful=True, state_reset_probability=0.1, number_of_parameters=24000000,
    number_of_layers=2, embedding_size=16, dropout=0.5, batch_size=64, learning_rate=1e-3,
    linear_decay=False, clip_gradients=True, clip_multiplier=10.0, mixed_precision=False,
    patience=3, epochs=1000)
_LARGE = dict(_PENNCHAR, window_size=256, number_of_parameters=48000000, embedding_size=32,
              dropout=0.7)
PUBLISHED = {
    "penn": _WORDS,
    # The words of the literature, which are not the paper's, with the paper's settings.
    "penn-standard": _WORDS,
    "pennchar": _PENNCHAR,
    "enwik8": _LARGE,
    "text8": _LARGE,
    # Not in the paper. Small, for a few minutes on two cores.
    "PythonDocs": dict(_PENNCHAR, window_size=128, number_of_parameters=500000, dropout=0.1,
                       batch_size=32, epochs=8),
    # Not in the paper. For 500 KB, in some ten to twenty minutes on two cores.
    "OwnText": dict(_PENNCHAR, window_size=128, number_of_parameters=2000000, dropout=0.2,
                    batch_size=32, epochs=10),
}


def build_model(settings, data):
    """Token ids [T, B] -> logits of the next token [T, B, V].

    Stateful: the next batch starts from the final states of this one.
    """
    tokens = tf.placeholder(tf.int32, [None, None], "inputs")
    targets = tf.placeholder(tf.int32, [None, None], "targets")
    lengths = tf.placeholder(tf.int32, [None], "lengths")
    first_counted = tf.placeholder(tf.int32, [None], "first_counted")
    inputs = {"inputs": tokens, "targets": targets, "lengths": lengths,
              "first_counted": first_counted}

    network = Network(settings, settings.embedding_size, head_outputs=data.vocabulary_size,
                      head_reads="outputs", embedding_rows=data.vocabulary_size)
    batch_size = tf.shape(tokens)[1]
    if settings.stateful:
        inputs["reset_state"] = tf.placeholder(tf.bool, [], "reset_state")
        state_in, states = network.carried_states(batch_size, inputs["reset_state"])
    else:
        state_in = states = network.initial_states_to_feed(batch_size)
    outputs, final_states = network.unroll(network.embed(tokens), states, lengths)
    logits = network.head(outputs)

    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    right = tf.equal(tf.argmax(logits, axis=2, output_type=tf.int32), targets)
    step = tf.expand_dims(tf.range(tf.shape(targets)[0]), axis=1)
    # In training every token counts; in evaluation each once, though windows overlap.
    counted = tf.cast((first_counted <= step) & (step < lengths), tf.float32)
    total, count = tf.reduce_sum(losses * counted), tf.reduce_sum(counted)
    right_total = tf.reduce_sum(tf.cast(right, tf.float32) * counted)
    metrics = {
        "accuracy": Metric(right_total, count),
        data.metric: Metric(total, count, data.finish),
    }
    return Model(settings, network, inputs, loss=total / count, metrics=metrics,
                 monitor=data.metric, state=(state_in, final_states) if settings.stateful else None,
                 outputs=outputs_for_sampling(logits, state_in, final_states))


def main(arguments=None):
    """Train (or resume, or only evaluate) a model and report it, or sweep over many."""
    return experiment.run(globals(), lm_utils.load, build_model, sample_text, arguments,
                          check_prompt)


if __name__ == "__main__":
    run_as_script(main)
