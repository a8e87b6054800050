"""Speed of the sequence path beside tf.nn.dynamic_rnn, plain matrix products and PyTorch, at the shapes of the paper.

    python -u tools/benchmark.py                                     all cells and shapes, some minutes
    python -u tools/benchmark.py --shapes music --cells RRU GRU
    python -u tools/benchmark.py --torch_python PATH --tf2_python .venv.tf2/bin/python

A step is forward, backward and update of one layer. GFLOP/s = 6 * parameters of the cell * B * T / seconds of a
step; "matmul" is what TensorFlow reaches in bare products of B rows with the cell's recurrent matrices. Each path is
a process of its own, and those of a cell and shape make their steps in turn, so that what else the machine does hits
all of them alike. Shown are medians. Let nothing else run meanwhile. The rows are written to benchmarks/latest.json.
"""

import argparse
import contextlib
import datetime
import errno
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from files.errors import OneLineParser, UserError, run_as_script
from files.writing import atomic_write, save_json
from training.run_folder import environment
from training.constants import Constant

SHAPES = {"music": dict(D=88, N=1034, B=16, T=200, output_size=64),
          "charlm": dict(D=64, N=512, B=64, T=256, output_size=128),
          "mnist": dict(D=1, N=90, B=64, T=784, output_size=64)}
# The recurrent columns K of "matmul" over the units N; the RRU's are 2 (D + N).
COLUMNS = {"RRU": None, "GRU": 3, "LSTM": 4, "MogrifierLSTM": 4}
IN_TORCH = ("GRU", "LSTM")
# The largest model of the paper, for its memory: a step of the whole model with the published settings.
LARGEST = dict(path="model", cell="RRU", data_set_name="enwik8", vocabulary_size=207, B=64, T=256)
REST = 0.1  # seconds before a turn: the threads of the path before still spin for a moment


class Worker(object):
    """A process of tools/benchmark_step.py; seconds holds the steps made so far."""

    def __init__(self, interpreter, spec):
        self.spec, self.seconds = spec, []
        self._process = subprocess.Popen([interpreter, os.path.join(ROOT, "tools", "benchmark_step.py"),
                                          json.dumps(spec)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         universal_newlines=True, bufsize=1)
        self._about = None

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise UserError("%(cell)s by %(path)s ended early, see above: is it an interpreter that has what it needs?"
                            % self.spec)
        return line

    def wait(self):
        """Wait until the first step is done."""
        self._about = json.loads(self._answer())

    def turn(self):
        """Make a step and keep its seconds."""
        time.sleep(REST)
        with contextlib.suppress(BrokenPipeError):  # of a process that has ended: there is no answer then
            self._process.stdin.write("\n")
        self.seconds.append(float(self._answer()))

    def finish(self, shape):
        """End the process; returns the row of its path."""
        self._process.stdin.close()
        peak = float(self._answer())
        self._process.wait()
        seconds = statistics.median(self.seconds)
        return {"shape": shape, "cell": self.spec["cell"], "path": self.spec["path"],
                "tensorflow": None if self.spec["path"] == "torch" else self._about["version"],
                "version": self._about["version"], "steps": len(self.seconds), "step_seconds": round(seconds, 5),
                "gflops": round(self._about["flops"] / seconds / 1e9, 3), "peak_rss_gb": round(peak, 2)}

    def stop(self):
        """End the process at once, where it has not ended."""
        self._process.kill()
        self._process.wait()


def specs(shape, cell, options, interpreters):
    """[(interpreter, spec)] of the workers for a cell at a shape."""
    sizes = SHAPES[shape]
    spec = dict({key: sizes[key] for key in "DNBT"}, cell=cell, dropout=options.dropout, parts=options.parts,
                columns=COLUMNS[cell] * sizes["N"] if COLUMNS[cell] else 2 * (sizes["D"] + sizes["N"]),
                hyperparameters={"output_size": sizes["output_size"]} if cell == "RRU" else {})
    wanted = [(interpreters[name], path) for name in ("tensorflow", "tf2") if interpreters[name]
              for path in ("sequence", "dynamic_rnn", "matmul")]
    if interpreters["torch"] and cell in IN_TORCH:
        wanted.append((interpreters["torch"], "torch"))
    return [(interpreter, dict(spec, path=path)) for interpreter, path in wanted]


def measure(shape, workers, repeats):
    """The rows of some workers, which start together and then take turns.

    A path of comparison that fails is left out, with a line that says so. Raises UserError where ours fails.
    """
    try:
        for act in [Worker.wait] + repeats * [Worker.turn]:
            for worker in list(workers):
                try:
                    act(worker)
                except UserError as error:
                    if worker.spec["path"] in ("sequence", "model"):
                        raise
                    print("left out: %s" % error, file=sys.stderr, flush=True)
                    workers.remove(worker)
        return [worker.finish(shape) for worker in workers]
    finally:
        for worker in workers:  # after an error they would measure on, for nobody
            worker.stop()


def ratios(row, rows):
    """The speed of a row of the sequence path over those of other paths at its shape: {path: ratio}."""
    return {other["path"]: row["gflops"] / other["gflops"] for other in rows
            if row["path"] == "sequence" and other["path"] != "sequence"
            and (other["shape"], other["cell"]) == (row["shape"], row["cell"])
            and other["tensorflow"] in (row["tensorflow"], None)}


def markdown(rows):
    """README's table of the sequence path's rows."""
    lines = ["| shape | cell | TensorFlow | GFLOP/s | times dynamic_rnn | times bare products | times PyTorch |",
             "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        if row["path"] == "sequence":
            over = ratios(row, rows)
            columns = ["%.2f" % over[path] if path in over else "-" for path in ("dynamic_rnn", "matmul", "torch")]
            lines.append("| %s | %s | %s | %.0f | %s |" % (row["shape"], row["cell"], row["tensorflow"],
                                                            row["gflops"], " | ".join(columns)))
    return "\n".join(lines)


def print_rows(rows):
    """A line for each path, with the ratios of the sequence path's speed to those of the others."""
    for row in rows:
        over = "".join("  %.2f of %s" % (ratio, path) for path, ratio in ratios(row, rows).items())
        print("%-7s %-14s %-12s %-22s %7.1f GFLOP/s %9.4f s %6.2f GB%s" % (
            row["shape"], row["cell"], row["path"], row["version"], row["gflops"], row["step_seconds"],
            row["peak_rss_gb"], over), flush=True)


def machine():
    """What the numbers were measured on."""
    known = environment()
    return {"load_before": os.getloadavg()[0], "date": datetime.date.today().isoformat(),
            **{name: known[name] for name in ("processor", "cores", "system", "git_commit")}}


def allowed(option, kind):
    """A type for argparse: `kind` in the notation of training/settings.py. What it converts raises UserError."""
    return lambda text: Constant(option, None, "", kind, "").check(text, {})


def check_interpreter(option, path, package):
    """Raises UserError where `path` is no Python that has `package`."""
    code = "import importlib.util; print(importlib.util.find_spec(%r))" % package
    try:
        found = subprocess.run([path, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    except OSError:
        found = b""
    if not found.startswith(b"ModuleSpec"):
        raise UserError("%s is %r, which is no Python with %s: give the path of one" % (option, path, package))


def check_writable(path):
    """Raises UserError where the rows cannot be written to `path`; what is there stays as it is."""
    try:
        if os.path.isdir(path) or not os.path.basename(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with atomic_write(path + ".check"):
            pass
        os.remove(path + ".check")
    except OSError as error:
        raise UserError("--out is %r, which cannot be written (%s): give another file" % (path, error.strerror))


def main():
    """Measure, print the table and write the rows. Raises UserError."""
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES), help="of %(choices)s")
    parser.add_argument("--cells", nargs="+", choices=list(COLUMNS), default=list(COLUMNS), help="of %(choices)s")
    parser.add_argument("--repeats", type=allowed("--repeats", "int >= 1"), default=7,
                        help="steps of each path (default: %(default)s)")
    parser.add_argument("--dropout", type=allowed("--dropout", "float >= 0, < 1"), default=0.0,
                        help="PyTorch's layers have none (default: 0)")
    parser.add_argument("--parts", type=allowed("--parts", "int >= 1"),
                        help="of a batch, unrolled side by side (default: as the scripts do)")
    parser.add_argument("--torch_python", help="an interpreter with PyTorch, to compare with its layers")
    parser.add_argument("--tf2_python", help="an interpreter with TensorFlow 2.x, to measure it too")
    parser.add_argument("--largest", action="store_true", help="also a step of the largest model, for its memory")
    parser.add_argument("--out", default=os.path.join(ROOT, "benchmarks", "latest.json"), help="file for the rows")
    options = parser.parse_args()
    interpreters = {"tensorflow": sys.executable, "tf2": options.tf2_python, "torch": options.torch_python}
    for name, package in (("tf2", "tensorflow"), ("torch", "torch")):
        if interpreters[name]:
            check_interpreter("--%s_python" % name, interpreters[name], package)
    check_writable(options.out)
    result = {"machine": machine(), "dropout": options.dropout, "parts": options.parts, "rows": []}
    groups = [(shape, specs(shape, cell, options, interpreters))
              for shape in options.shapes for cell in options.cells]
    if options.largest:
        groups.append(("enwik8", [(sys.executable, LARGEST)]))
    for shape, wanted in groups:
        rows = measure(shape, [Worker(*one) for one in wanted], options.repeats if shape in SHAPES else 1)
        print_rows(rows)
        result["rows"] += rows
        save_json(options.out, result)  # each time, as a run takes long
    print("%s\nwritten to %s" % (markdown(result["rows"]), options.out))


if __name__ == "__main__":
    run_as_script(main)
