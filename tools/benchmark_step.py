"""One training step of one cell at one shape, made when it is asked for: the worker of tools/benchmark.py.

    python tools/benchmark_step.py '{"path": "sequence", "cell": "RRU", "T": 200, "B": 16, "D": 88, "N": 1034}'

It prints a JSON line once the step is ready ("flops", "version"), then for each line that it reads the seconds of a
step, and at the end of its input its peak memory. With "profile": true it prints instead what the operations of
a second step took. Each path has a function that imports what it needs itself: the interpreter of "torch" has no
TensorFlow.
"""

import collections
import json
import os
import resource
import sys
import time
import types

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

PRODUCTS = 50  # of the chain that "matmul" times


def count_flops(parameters, spec):
    """Multiplications and additions of a training step: 2 forward and 4 backward for a weight, example and step."""
    return 6.0 * parameters * spec["B"] * spec["T"]


def tensorflow_session(graph_output, feed=None):
    """A function that fetches `graph_output` once, from initialised variables; its argument may be RunOptions."""
    from training.quiet_tensorflow import tf
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return lambda *options_and_metadata: session.run(graph_output, feed, *options_and_metadata)


def print_profile(step):
    """Print the seconds of all kinds of operations in a step of tensorflow_session, of all threads together."""
    from training.quiet_tensorflow import tf
    metadata, seconds = tf.RunMetadata(), collections.Counter()
    step(tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), metadata)
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            kind = node.timeline_label.partition(" = ")[2].partition("(")[0]
            seconds[kind] += (node.op_end_rel_micros - node.op_start_rel_micros) / 1e6
    for kind, value in seconds.most_common(12):
        print("%-24s %8.4f s %5.1f %%" % (kind, value, 100 * value / sum(seconds.values())))


def cell_step(spec):
    """(step, flops, version) of one layer by TensorFlow: forward, backward and the paper's optimizer."""
    import numpy as np
    from training.memory import keep_freed_memory
    from training.quiet_tensorflow import tf
    keep_freed_memory()
    from cells import registry
    from cells.fast.unroll import unroll
    from training import size
    from training.optimizer import RectifiedAdam

    own = dict(registry.published_hyperparameters(spec["cell"], None), **spec.get("hyperparameters", {}))
    cell = registry.make_cell(spec["cell"], spec["N"], own)
    x = tf.placeholder(tf.float32, [None, None, spec["D"]])
    outputs, _ = unroll([cell], x, dropout=spec.get("dropout", 0.0), seed=tf.constant([1, 2]), path=spec["path"],
                        parts=spec.get("parts") if spec["path"] == "sequence" else None)
    loss = tf.reduce_mean(tf.square(outputs))
    update = RectifiedAdam(1e-3, True, 1.5).minimize(loss, tf.trainable_variables())
    inputs = np.random.RandomState(1).normal(size=(spec["T"], spec["B"], spec["D"]))
    parameters = size.count(cell.weight_shapes(spec["D"]).values())
    return tensorflow_session([loss, update], {x: inputs}), count_flops(parameters, spec), tf.version.VERSION


def matmul_step(spec):
    """(step, flops, version) of a chain of products of B rows with the cell's recurrent sizes, N to K and back."""
    from training.memory import keep_freed_memory
    from training.quiet_tensorflow import tf
    keep_freed_memory()

    units, columns = spec["N"], spec["columns"]
    there = tf.get_variable("there", [units, columns], tf.float32, tf.glorot_uniform_initializer())
    back = tf.get_variable("back", [columns, units], tf.float32, tf.glorot_uniform_initializer())
    h = tf.Variable(tf.random.normal([spec["B"], units]))
    for _ in range(PRODUCTS // 2):
        h = tf.matmul(tf.matmul(h, there), back)
    return tensorflow_session(h[:, 0]), 2.0 * spec["B"] * units * columns * PRODUCTS, tf.version.VERSION


def torch_step(spec):
    """(step, flops, version) of PyTorch's own layer of the same size: forward, backward and Adam."""
    import torch

    layer = getattr(torch.nn, spec["cell"])(spec["D"], spec["N"])
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, foreach=True)
    x = torch.randn(spec["T"], spec["B"], spec["D"])

    def step():
        optimizer.zero_grad()
        loss = layer(x)[0].square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    parameters = sum(weight.numel() for name, weight in layer.named_parameters() if not name.startswith("bias_hh"))
    return step, count_flops(parameters, spec), "PyTorch " + torch.__version__


def model_step(spec):
    """(step, flops, version) of a whole language model with the published settings of a data set."""
    import numpy as np
    from training.memory import keep_freed_memory
    from training.quiet_tensorflow import tf
    keep_freed_memory()
    import lm_main
    from training.settings import read_settings

    settings = read_settings(vars(lm_main), ["--data_set_name", spec["data_set_name"], "--cell_name", spec["cell"]])
    text = types.SimpleNamespace(vocabulary_size=spec["vocabulary_size"], metric="bpc", finish=float)
    model = lm_main.build_model(settings, text)
    ids = np.random.RandomState(1).randint(spec["vocabulary_size"], size=(spec["T"], spec["B"]))
    full, none = np.full(spec["B"], spec["T"]), np.zeros(spec["B"], int)
    feed = model.feed({"inputs": ids, "targets": ids, "lengths": full, "first_counted": none, "reset_state": False},
                      dropout=settings.dropout, mask_seed=(1, 2))
    return (tensorflow_session([model.loss, model.train_op], feed), count_flops(model.network.parameters, spec),
            tf.version.VERSION)


STEPS = {"sequence": cell_step, "dynamic_rnn": cell_step, "matmul": matmul_step, "torch": torch_step,
         "model": model_step}
# What a spec of each path has to have.
NEEDED = {"sequence": "cell B T D N", "dynamic_rnn": "cell B T D N", "matmul": "B N columns", "torch": "cell B T D N",
          "model": "data_set_name cell vocabulary_size B T"}


def read_spec(arguments):
    """The spec that the command line gives. Raises ValueError that says what is wrong with it and what to do."""
    try:
        spec, = map(json.loads, arguments)
        needed = NEEDED[spec["path"]].split()
    except (ValueError, TypeError, KeyError):
        raise ValueError("the arguments are %r: give one, a JSON object with a path of %s" % (
            arguments, ", ".join(STEPS)))
    missing = [name for name in needed if name not in spec]
    if missing:
        raise ValueError("%s lacks %s: add what the path %s needs" % (
            arguments[0], ", ".join(missing), spec["path"]))
    return spec


def main():
    """Answer the requests on standard input; see the text at the top. Returns the exit status."""
    try:
        spec = read_spec(sys.argv[1:])
    except ValueError as error:  # not by files.errors: to import it would change how PyTorch's memory is kept
        print("error: %s" % error, file=sys.stderr)
        return 2
    step, flops, version_of_path = STEPS[spec["path"]](spec)
    step()
    if spec.get("profile"):
        print_profile(step)
        return 0
    print(json.dumps({"flops": flops, "version": version_of_path}), flush=True)
    for _ in sys.stdin:
        step()  # brings what other processes pushed out of the caches back into them
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
