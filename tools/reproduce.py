"""Make rows of the paper's table: train the cells with the published settings, show the row.

    python -u tools/reproduce.py SequentialMNIST
    python -u tools/reproduce.py "JSB Chorales" Nottingham --cells RRU GRU --seeds 1 2 3
    python -u tools/reproduce.py --all --parallel 4
    python -u tools/reproduce.py "JSB Chorales" --tuned
    python -u tools/reproduce.py SequentialDigits --epochs 1 --runs_folder trials
    python -u tools/reproduce.py --check "results/music/JSB Chorales/RRU/seed1"

Options of the scripts, such as --epochs or --data_folder, hold for all trainings; settings that are
edited at the top of a script do not. Runs are named seed<k>, with --tuned tuned-seed<k>. The same
command continues after Ctrl-C, a kill or a power cut: what is finished is skipped, what was cut off
is resumed. A training that fails is named and does not stop the others. --check trains the first
epochs of a published run again and says whether the same numbers come out.
"""

import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import files.environment  # noqa: F401: before packages of the environment
from cells.registry import CELLS
from files.errors import OneLineParser, UserError, run_as_script
from files.output import print_error, print_line
from files.progress import counted, duration
from files.run_files import remove
from reports import rows
from reports.paper_results import PAPER_RESULTS
from sweeps import parallel
from tools.reproduce_check import check_run
from tools.reproduce_plan import FIXED, SCRIPTS, announce, check_data, plan, unknown
from training.options import int_option
from training.quiet_tensorflow import tf
from training.script_constants import cell_constants, read_constants

# Options of the scripts that this program sets itself.
_OWN = ("data_set_name", "cell_name", "seed", "name") + tuple(FIXED)


def train(left, number, gpus):
    """Train the jobs that are left, `number` at a time; returns the lines that name what failed.

    gpus: their names, if each training is to get one of its own.
    """
    for job in left:
        remove(job.trial.folder, "results.json")  # of an evaluation on the way, or without the test
    failed = []
    trials = [job.trial for job in left]
    if gpus:
        print_line("%d trainings at a time on %s: %s" % (
            number, counted(len(gpus), "GPU"), "each has its own" if number <= len(gpus)
            else "some share one, and its memory; give --parallel %d for one each" % len(gpus)))
    for trial, record in parallel.train_all(trials, number, gpus, _announce_training):
        if record["reason"]:
            failed.append("%s is not finished: %s" % (trial.folder, record["reason"]))
            print_error(failed[-1])
        else:
            print_line("done: %s, %s" % (trial.folder, duration(record["seconds"])))
    return failed


def _announce_training(trial):
    print_line("training %s, its progress is in log.txt there" % trial.folder)


def _gpus():
    """The names of the GPUs for CUDA_VISIBLE_DEVICES, those that it names now if it is set."""
    count = len(tf.config.experimental.list_physical_devices("GPU"))
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[:count] or [str(number) for number in range(count)]


def _parser(constants):
    parser = OneLineParser(prog="reproduce.py", description=__doc__, allow_abbrev=False,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_sets", nargs="*", metavar="DATA_SET", help="rows of the table")
    parser.add_argument("--all", action="store_true", help="all rows of the paper's table")
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="CELL",
                        help="which cells (default: %(default)s)")
    parser.add_argument("--seeds", nargs="+", default=[1], metavar="K",
                        type=int_option("--seeds", 0), help="a run for each seed (default: 1)")
    parser.add_argument("--parallel", type=int_option("--parallel", 1), default=1, metavar="N",
                        help="trainings at a time, each with its part of the cores, or "
                             "with a GPU of its own (default: 1)")
    parser.add_argument("--tuned", action="store_true",
                        help="the settings of the winner of our sweep in results/")
    parser.add_argument("--check", metavar="RUN", help="the folder of a published run to check")
    parser.add_argument("--epochs_to_check", default=1, metavar="N",
                        type=int_option("--epochs_to_check", 1),
                        help="its first epochs that are trained (default: 1)")
    for name in constants:
        parser.add_argument("--" + name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _constants():
    """{name: Constant} of all scripts and cells."""
    found = cell_constants()
    for script in SCRIPTS:
        found += read_constants(vars(script))
    return {constant.name: constant for constant in sorted(found, key=lambda one: one.name)}


def _options(arguments):
    """(our own options, {name: value} of the scripts'). Raises UserError."""
    constants = _constants()
    parser = _parser(constants)
    options = parser.parse_args(arguments)
    further = {name: value for name, value in vars(options).items() if name in constants}
    for name in sorted(further):
        if name in _OWN:
            raise UserError("--%s cannot be given here" % name, "reproduce.py sets it for each run")
        if constants[name].group == "Sweep":
            raise UserError("--%s cannot be given here" % name, "it is of a sweep, and no run is")
    for name in options.cells:
        if name not in CELLS:
            raise unknown("cell", name, list(CELLS))
    if options.all:
        options.data_sets = list(PAPER_RESULTS) + options.data_sets
    if bool(options.data_sets) == bool(options.check):
        raise UserError("give either data sets, --all, or --check with the folder of a run",
                        "reproduce.py --help shows examples")
    if options.epochs_to_check != parser.get_default("epochs_to_check") and not options.check:
        raise UserError("--epochs_to_check is given without --check", "leave it out")
    if options.check:
        wrong = [name for name in ("cells", "seeds", "parallel", "tuned")
                 if getattr(options, name) != parser.get_default(name)]
        wrong += [name for name in sorted(further)
                  if constants[name].changes_numbers or name == "runs_folder"]
        if wrong:
            raise UserError("--%s cannot be given with --check" % wrong[0],
                            "the run is trained with its own settings, and nothing is kept")
    for name in ("data_sets", "cells", "seeds"):
        setattr(options, name, list(dict.fromkeys(getattr(options, name))))  # each once
    return options, further


def main(arguments=None):
    """Train the rows and show them, or check a run; returns the exit status. Raises UserError."""
    options, further = _options(arguments)
    if options.check:
        try:
            return check_run(options.check, options.epochs_to_check, further)
        except KeyboardInterrupt:
            print_error("interrupted; a check keeps nothing: the same command begins it again")
            return 130
    jobs = plan(options, further)
    parallel.shared_cores(options.parallel)  # too few are named now
    left = [job for job in jobs if job.state != "finished"]
    number = max(1, min(options.parallel, len(left)))  # all cores for what is there
    for job in left:
        if job.settings.gpu and number > 1:
            raise UserError("gpu is %r, but with --parallel each training gets a GPU of its own" % (
                job.settings.gpu,), "leave it empty; CUDA_VISIBLE_DEVICES=0,2 names GPUs for all")
    check_data(jobs)
    gpus = _gpus()
    announce(jobs, number, bool(gpus))
    try:
        failed = train(left, number, gpus if number > 1 else [])
    except KeyboardInterrupt:
        print_error("interrupted; the same command continues")
        return 130
    print_line()
    for line in rows.lines([job.trial.folder for job in jobs]):
        print_line(line)
    return 1 if failed else 0


if __name__ == "__main__":
    run_as_script(main)
