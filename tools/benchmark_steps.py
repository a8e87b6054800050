"""The steps that benchmark.py measures; each of its processes runs this, with what to make.

Without the packages of the environment until they are needed: a Python with PyTorch has none.
"""

import json
import os
import resource
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PRODUCTS = 50  # of the chain that "matmul" times


def tensorflow():
    """Import TensorFlow as the scripts do, and keep freed memory as they do."""
    from training.memory import keep_freed_memory
    from training.quiet_tensorflow import tf
    keep_freed_memory()
    return tf


def fetching(tf, tensors, feed=None):
    """Initialise the variables; returns a function that fetches `tensors` once."""
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return lambda: session.run(tensors, feed)


def cell_step(spec):
    """(step, parameters, version) of one layer by TensorFlow, with the paper's optimizer."""
    tf = tensorflow()
    import numpy as np
    from cells import registry
    from cells.fast import unroll
    from training.optimizer import RectifiedAdam

    own = registry.published_hyperparameters(spec["cell"], None)
    if "output_size" in own:
        own["output_size"] = spec["output_size"]
    cell = registry.make_cell(spec["cell"], spec["N"], own)
    x = tf.placeholder(tf.float32, [None, None, spec["D"]])
    outputs, _ = unroll([cell], x, path=spec["path"])
    loss = tf.reduce_mean(tf.square(outputs))
    update = RectifiedAdam(1e-3, True, 1.5).minimize(loss, tf.trainable_variables())
    inputs = np.random.RandomState(1).normal(size=(spec["T"], spec["B"], spec["D"]))
    parameters = sum(weight.shape.num_elements() for weight in cell.weights.values())
    return fetching(tf, [loss, update], {x: inputs}), parameters, tf.__version__


def matmul_step(spec):
    """(step, parameters, version) of a chain of products of B rows, N to K columns and back."""
    tf = tensorflow()
    batch, units, columns = spec["B"], spec["N"], spec["columns"]
    glorot = tf.glorot_uniform_initializer()
    there = tf.get_variable("there", [units, columns], tf.float32, glorot)
    back = tf.get_variable("back", [columns, units], tf.float32, glorot)
    h = tf.Variable(tf.random.normal([batch, units]))
    for _ in range(PRODUCTS // 2):
        h = tf.matmul(tf.matmul(h, there), back)
    # The flops of the products, as parameters: 6 T of them make up for 2 for each product.
    return fetching(tf, h[:, 0]), units * columns * PRODUCTS / (3.0 * spec["T"]), tf.__version__


def torch_step(spec):
    """(step, parameters, version) of PyTorch's own layer of the same size, with Adam."""
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

    parameters = sum(weight.numel() for name, weight in layer.named_parameters()
                     if not name.startswith("bias_hh"))  # PyTorch has two biases, we one
    return step, parameters, "PyTorch " + torch.__version__


STEPS = {"sequence": cell_step, "dynamic_rnn": cell_step, "matmul": matmul_step,
         "torch": torch_step}


def work(spec):
    """Make a step for each line of standard input, then print the row of all as JSON."""
    step, parameters, version = STEPS[spec["path"]](spec)
    step()
    seconds = []
    print("ready", flush=True)
    for _ in sys.stdin:
        step()  # brings what other processes pushed out of the caches back into them
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
        print("done", flush=True)
    median = statistics.median(seconds)
    flops = 6.0 * parameters * spec["B"] * spec["T"]  # 2 forward and 4 backward for a weight
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20
    print(json.dumps({
        "shape": spec["shape"], "cell": spec["cell"], "path": spec["path"], "version": version,
        "tensorflow": None if spec["path"] == "torch" else version, "steps": len(seconds),
        "step_seconds": round(median, 5), "gflops": round(flops / median / 1e9, 3),
        "peak_rss_gb": round(peak, 2)}))


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
