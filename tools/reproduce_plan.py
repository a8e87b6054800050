"""The plan of reproduce.py: the runs asked for, what is there of them, how long it takes."""

import collections
import heapq
import itertools
import os
import shlex

import lm_main
import lm_utils
import mm_main
import mm_utils
import mnist_main
import mnist_utils
import sa_main
import sa_utils
from files.errors import UserError, did_you_mean, hint
from files.output import print_line
from files.progress import counted, duration
from files.run_files import (LAST, has_results, has_settings, load_metrics, load_results,
                             load_settings)
from reports import rows
from reports.runs import PUBLISHED, find_runs, find_winners
from sweeps.trial import Trial
from training.options import option_words
from training.settings import FOLDERS, run_path
from training.read_settings import read_settings

SCRIPTS = (mm_main, lm_main, sa_main, mnist_main)
_TASKS = {"music": mm_utils.TASK, "language": lm_utils.TASK, "sentiment": sa_utils.TASK,
          "mnist": mnist_utils.TASK}
_AS_LONG = {"P-MNIST": "SequentialMNIST"}  # the same digits: an epoch takes as long
# Constants of the scripts that have these values in each run, whatever is edited at the top.
FIXED = dict(dict.fromkeys(FOLDERS, ""), do_hyperparameter_optimization=False,
             evaluate_on_test=True)

Job = collections.namedtuple("Job", "settings trial state")
Job.__doc__ = """A run of the plan. state: "finished", "cut off" or "new"."""


def script_of(data_set):
    """The script that trains on a data set. Raises UserError for an unknown one."""
    for script in SCRIPTS:
        if data_set in script.PUBLISHED:
            return script
    names = list(itertools.chain(*[script.PUBLISHED for script in SCRIPTS]))
    raise unknown("data set", data_set, names)


def unknown(kind, name, names):
    """The UserError for an unknown `kind`, with the nearest of `names`, or else all of them."""
    near = did_you_mean(name, names)
    return UserError("%s is not a %s%s" % (name, kind, near),
                     None if near else "choose from " + ", ".join(names))


def as_published(script):
    """The globals of a script with its constants as published, whatever is edited at the top.

    Those that have no published value, such as folders, are as they are.
    """
    values = dict(vars(script), cell_hyperparameters={}, **FIXED)
    for published in script.PUBLISHED.values():
        values.update(dict.fromkeys(published))  # None: taken from the table
    return values


def plan(options, further):
    """The Jobs that the command line asks for, with `further` options of the scripts.

    Raises UserError for what cannot be trained, or a run's folder that is of other settings.
    """
    jobs = []
    winners = find_winners([PUBLISHED]) if options.tuned else []
    for data_set in options.data_sets:
        script, of_data_set = script_of(data_set), []
        for seed in options.seeds:
            for cell in options.cells:
                own = _of_winner(winners, data_set, cell) if options.tuned else {}
                name = ("tuned-seed%d" if options.tuned else "seed%d") % seed
                fixed = {"data_set_name": data_set, "cell_name": cell, "seed": seed, "name": name}
                of_data_set.append(_job(script, dict(own, **further), fixed))
        _check_own_data(of_data_set)
        jobs += of_data_set
    return jobs


def _of_winner(winners, data_set, cell):
    for winner in winners:
        if (winner.data[0], winner.cell) == (data_set, cell):
            return winner.unpublished
    raise UserError("no sweep's winner of %s on %s is published" % (cell, data_set),
                    "leave out --tuned, or make a sweep of your own (see docs/sweeps.md)")


def _job(script, further, fixed):
    settings = read_settings(as_published(script), option_words(dict(further, **fixed)))
    folder = run_path(settings, settings.name)
    state = _state(script, settings, folder)
    path = os.path.abspath(script.__file__)
    trial = Trial(settings.name, {}, folder, path, settings.all_options(),
                  settings.later_options(resume=folder))
    return Job(settings, trial, state)


def _state(script, settings, folder):
    if not has_settings(folder):
        return "new"
    with hint("remove it, or give another --runs_folder"):
        # The same data may have been moved.
        places = settings.applicable(lambda constant: constant.is_data_path)
        found = read_settings(as_published(script), option_words(dict(places, evaluate=folder)))
        theirs, ours = found.command(), settings.command()
        if theirs != ours:
            raise UserError("%s has other settings: it is of `%s`, not of `%s`" % (
                folder, theirs, ours))
        results = load_results(folder) if has_results(folder) else {}
        load_metrics(folder)  # the table needs them: what is damaged is named now
    stopped, tested = bool(results.get("stop_reason")), "test" in results
    if stopped and not tested and not os.path.exists(os.path.join(folder, LAST)):
        raise UserError("%s is finished, but was not tested" % folder,
                        "--evaluate it with --evaluate_on_test True")
    return "finished" if stopped and tested else "cut off"


def _check_own_data(jobs):
    """Raise UserError if a run that is there has other data of the user's own than `jobs` name.

    jobs: of one data set, whose files are read once for all.
    """
    folders = [job.trial.folder for job in jobs if job.state != "new"]
    try:
        own = _TASKS[jobs[0].settings.task].own_fingerprint(jobs[0].settings) if folders else None
    except UserError:  # they are gone or cannot be read, as a training says
        return
    for folder in folders if own else ():
        if load_settings(folder).get("data", {}).get("fingerprint", own) != own:
            raise UserError("%s was trained on other data than those given" % folder,
                            "remove it, or give another --runs_folder")


def check_data(jobs):
    """Raise UserError if data of runs that are not finished are missing; it names all these, and
    what can be given instead."""
    asked = dict.fromkeys(job.settings.data_set_name for job in jobs)
    missing = {}
    for job in jobs:
        name = job.settings.data_set_name
        if job.state != "finished" and name not in missing:
            try:
                _TASKS[job.settings.task].check(job.settings)
            except UserError as error:
                missing[name] = error
    if missing:
        first, *others = missing
        advice = [missing[first].hint]
        if others:
            advice.append("also missing: " + ", ".join(others))
        there = [shlex.quote(name) for name in asked if name not in missing]
        if there:
            advice.append("or give only what is there: " + " ".join(there))
        raise UserError(missing[first].problem, "; ".join(filter(None, advice)))


def announce(jobs, number, on_gpu=False):
    """Print what will be done, and an estimate of the time from published runs.

    number: of trainings at a time. on_gpu: go by the runs on a GPU alone, not by those on a CPU.
    """
    published = [run for run in find_runs([PUBLISHED])[0] if run.only_on(on_gpu)]
    ends, without = [0] * number, set()  # when each of the `number` at a time has none left
    for job in jobs:
        settings = job.settings
        changed = ["%s %s" % item for item in sorted(settings.unpublished().items())]
        print_line("  %-8s  %s" % (job.state, ", ".join([job.trial.folder] + changed)))
        if job.state != "finished":
            alike = _AS_LONG.get(settings.data_set_name, settings.data_set_name)
            expected = rows.expected_seconds(
                published, settings.changed(data_set_name=alike), job.trial.folder)
            heapq.heapreplace(ends, ends[0] + (expected or 0))
            if not expected:
                without.add(settings.data_set_name)
    left = sum(job.state != "finished" for job in jobs)
    print_line("%s, %d of them finished" % (counted(len(jobs), "run"), len(jobs) - left))
    for line in _not_used(jobs):
        print_line(line)
    device = "a GPU" if on_gpu else "one or two cores of a CPU"
    if max(ends):
        print_line("estimate, from published runs on %s: %s%s" % (
            device, duration(max(ends)), ", %d at a time" % number if number > 1 else ""))
    if without:
        print_line("without an estimate, as no whole run of this size on %s is published: %s" % (
            device, ", ".join(sorted(without))))


def _not_used(jobs):
    """The lines that name constants edited at the top of a script, in whose place others are."""
    lines = []
    for job in jobs:
        settings, script = job.settings, script_of(job.settings.data_set_name)
        tops, published = vars(script), as_published(script)
        edited = ["%s %s" % (name, tops[name]) for name in settings.values
                  if tops[name] != published[name] and name not in settings.given
                  and settings.constants[name].changes_numbers]
        if edited:
            lines.append("not used is what is edited at the top of %s, only options are: %s" % (
                settings.script, ", ".join(edited)))
    return dict.fromkeys(lines)
