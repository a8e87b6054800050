"""Speed of the sequence path beside tf.nn.dynamic_rnn, plain products and PyTorch's layers.

    python -u tools/benchmark.py                                all cells and shapes, some minutes
    python -u tools/benchmark.py --shapes music --cells RRU GRU
    python -u tools/benchmark.py --torch_python PATH --tf2_python .venv.tf2/bin/python

A step is forward, backward and update of one layer. GFLOP/s = 6 * parameters of the cell * B * T /
seconds of a step; "matmul" is what TensorFlow reaches in bare products of B rows with the cell's
recurrent matrices. Each path is a process of its own, and those of a cell and shape make their
steps in turn, so that what else the machine does hits all of them alike. Shown are medians. Let
nothing else run meanwhile. The rows are written to benchmarks/latest.json.
"""

import argparse
import contextlib
import datetime
import itertools
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from files.errors import OneLineParser, UserError, run_as_script
from files.writing import save_json
from training.options import int_option

SHAPES = {"music": {"D": 88, "N": 1034, "B": 16, "T": 200, "output_size": 64},
          "charlm": {"D": 64, "N": 512, "B": 64, "T": 256, "output_size": 128},
          "mnist": {"D": 1, "N": 90, "B": 64, "T": 784, "output_size": 64}}
# The recurrent columns K of "matmul" over the units N; the RRU's are 2 (D + N).
COLUMNS = {"RRU": None, "GRU": 3, "LSTM": 4, "MogrifierLSTM": 4}
TF_PATHS = ("sequence", "dynamic_rnn", "matmul")
IN_TORCH = ("GRU", "LSTM")
STEPS = os.path.join(ROOT, "tools", "benchmark_steps.py")
REST = 0.1  # seconds before a turn: the threads of the path before still spin for a moment


class Worker(object):
    """A process that makes the steps of `spec`, see benchmark_steps.py."""

    def __init__(self, interpreter, spec):
        self.spec = spec
        self._process = subprocess.Popen(
            [interpreter, STEPS, json.dumps(spec)], bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)

    def wait(self):
        """Wait for its next line, which says that a step is done, or is the row of all."""
        line = self._process.stdout.readline()
        if not line:
            raise UserError("%(cell)s by %(path)s ended early, see above" % self.spec,
                            "is it an interpreter that has what it needs?")
        return line

    def turn(self):
        """Make a step."""
        time.sleep(REST)
        with contextlib.suppress(BrokenPipeError):  # if it has ended, there is no answer either
            self._process.stdin.write("\n")
        return self.wait()

    def finish(self):
        """End the process; returns the row of its path."""
        self._process.stdin.close()
        return json.loads(self.wait())

    def stop(self):
        """End the process at once, unless it has ended."""
        self._process.kill()
        self._process.wait()


def specs(shape, cell, options):
    """[(interpreter, spec)] of the workers for a cell at a shape."""
    spec = dict(SHAPES[shape], shape=shape, cell=cell)
    spec["columns"] = COLUMNS[cell] * spec["N"] if COLUMNS[cell] else 2 * (spec["D"] + spec["N"])
    found = [(python, dict(spec, path=path))
             for python, path in itertools.product([sys.executable, options.tf2_python], TF_PATHS)]
    if cell in IN_TORCH:
        found.append((options.torch_python, dict(spec, path="torch")))
    return [(python, of_path) for python, of_path in found if python]


def measure(workers, repeats):
    """The rows of some workers, which start together and then take turns. Raises UserError.

    TensorFlow's own loop is left out if it fails, as it does for one cell (see docs/speed.md).
    """
    left = list(workers)
    try:
        for act in [Worker.wait] + repeats * [Worker.turn] + [Worker.finish]:
            answers = [(worker, _answer(act, worker)) for worker in left]
            left = [worker for worker, answer in answers if answer]
        return [answer for _, answer in answers if answer]
    finally:
        for worker in workers:  # after an error they would measure on, for nobody
            worker.stop()


def _answer(act, worker):
    try:
        return act(worker)
    except UserError as error:
        if worker.spec["path"] != "dynamic_rnn":
            raise
        print("left out: %s" % error.problem, file=sys.stderr)
        return None


def markdown(rows):
    """Table of the sequence path's rows: GFLOP/s, and the ratios to those of the other paths."""
    lines = ["| shape | cell | TensorFlow | GFLOP/s | times dynamic_rnn | times bare products | "
             "times PyTorch |", "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    speed = {(row["shape"], row["cell"], row["path"], row["tensorflow"]): row["gflops"]
             for row in rows}
    for (shape, cell, path, version), ours in speed.items():
        if path == "sequence":
            columns = [shape, cell, version, "%.0f" % ours]
            for other in ("dynamic_rnn", "matmul", "torch"):
                key = (shape, cell, other, None if other == "torch" else version)
                columns.append("%.2f" % (ours / speed[key]) if key in speed else "-")
            lines.append("| %s |" % " | ".join(columns))
    return "\n".join(lines)


def read_options():
    """Read and check the command line. Raises UserError."""
    parser = OneLineParser(description=__doc__,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES), help="of %(choices)s")
    add("--cells", nargs="+", choices=list(COLUMNS), default=list(COLUMNS), help="of %(choices)s")
    add("--repeats", type=int_option("--repeats", 1), default=7,
        help="steps of each path (default: %(default)s)")
    add("--torch_python", help="an interpreter with PyTorch, to compare with its layers")
    add("--tf2_python", help="an interpreter with TensorFlow 2.x, to measure it too")
    add("--out", default=os.path.join(ROOT, "benchmarks", "latest.json"), help="file of the rows")
    return parser.parse_args()


def main():
    """Measure, write the rows and print the table. Raises UserError."""
    options, rows = read_options(), []
    import files.environment  # noqa: F401: before packages of the environment
    from training.provenance import environment
    machine = environment()
    machine.update(load_before=os.getloadavg()[0], date=datetime.date.today().isoformat())
    for shape in options.shapes:
        for cell in options.cells:
            workers = [Worker(*found) for found in specs(shape, cell, options)]
            rows += measure(workers, options.repeats)
            save_json(options.out, {"machine": machine, "rows": rows})
            print("measured: %s %s" % (shape, cell), file=sys.stderr, flush=True)
    print("%s\nwritten to %s" % (markdown(rows), options.out))


if __name__ == "__main__":
    run_as_script(main)
