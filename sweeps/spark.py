"""The trials of a sweep side by side on Spark, through hyperopt's SparkTrials.

Spark chooses the machine of a trial, and another if that one is lost. What is tried next and what
is recorded stays with the sweep, in the process that the user started, so that such a sweep
continues like any other.
"""

import contextlib
import functools
import logging
import os
import platform
import re
import shlex
import signal
import socket
import sys
import time
import warnings

from hyperopt import STATUS_FAIL, STATUS_OK, SparkTrials, fmin, hp

from files.errors import UserError
from files.project import ROOT, project_path, python_command, shown_path
from files.writing import open_own
from sweeps.trial import Trial, train


def check_master(master):
    """Raise UserError unless trials can be run on it; for "yarn" Spark would wait long."""
    if not re.match(r"(local(\[([1-9]\d*|\*)\])?|spark://\S+:\d+)$", master):
        raise UserError("spark_master is %r, but must be: local, local[n], local[*] or "
                        "spark://host:port" % master)


def search(sweep):
    """Train what is left to train, settings.spark_parallelism trials at a time.

    Raises UserError if Spark cannot be used, ends, gives a trial up, or runs it where the sweep's
    folder is not seen.
    """
    settings, interrupt = sweep.settings, signal.getsignal(signal.SIGINT)
    with open_own(sweep.run.file("spark.log"), "a") as log:
        logging.getLogger("hyperopt-spark").handlers[:] = [logging.StreamHandler(log)]
        session = _connect(settings.spark_master, log)
        queue = _Queue(sweep, session)
        try:
            # The number in the space makes room for the trial that _Queue puts there.
            fmin(functools.partial(_train, folder=os.getcwd()), hp.randint("trial", 1), queue,
                 trials=SparkTrials(settings.spark_parallelism, spark_session=session),
                 verbose=False, return_argmin=False)
        except UserError:
            raise
        except Exception as error:  # py4j's, if Java ended
            raise UserError("Spark ended while trials were running (%s): see %s" % (
                type(error).__name__, log.name), "the same command continues")
        finally:
            _stop(session)
            signal.signal(signal.SIGINT, interrupt)  # Spark's own handler needs a session


def _stop(session):
    """Stop Spark; if its Java has ended already, this fails, and what ended it is told instead."""
    with contextlib.suppress(Exception):
        session.stop()


class _Queue(object):
    """A search algorithm for fmin: it records the trials that ended, and fills a free place.

    It waits for that place: if not, it would choose a point too early, knowing less.
    """

    def __init__(self, sweep, session):
        self._sweep, self._session, self._running = sweep, session, {}

    def __call__(self, new_ids, domain, trials, _):
        try:
            trial = self._next_trial(trials)
        except BaseException:
            _stop(self._session)  # or else fmin waits for the running trials to end
            raise
        if trial is None:
            return []  # ends fmin
        tid = new_ids[0]
        self._running[tid] = trial
        misc = {"tid": tid, "cmd": domain.cmd, "workdir": None, "idxs": {"trial": [tid]},
                "vals": {"trial": [list(trial)]}}
        return trials.new_trial_docs([tid], [None], [domain.new_result()], [misc])

    def _next_trial(self, trials):
        """The next trial, once there is a place for it; None if all have ended."""
        self._record(trials)
        while True:
            full = len(self._running) >= self._sweep.settings.spark_parallelism
            trial = None if full else self._sweep.next_trial(self._running.values())
            if trial or not self._running:
                return trial
            self._wait(trials)

    def _wait(self, trials):
        """Wait until a trial ends."""
        before = len(self._running)
        while len(self._running) == before:
            time.sleep(0.2)
            self._record(trials)

    def _record(self, trials):
        trials.refresh()  # leaves out those that raised an error
        results = {doc["tid"]: doc["result"] for doc in trials.trials}
        for tid, trial in list(self._running.items()):
            result = results.get(tid, {"failure": "Spark gave it up"})
            if "failure" in result:
                raise UserError("trial %d: %s; see %s" % (
                    trial.number, result["failure"], self._sweep.run.file("spark.log")),
                    "the same command continues")
            if "record" in result:
                del self._running[tid]
                self._sweep.add(result["record"], result["kind"])


def _train(values, folder):
    """Train a trial on the machine that Spark chose, on the GPU that Spark lends it, if any.

    values: those of a Trial. folder: what relative paths start from. Returns a result as
    SparkTrials wants it.
    """
    from pyspark import TaskContext
    trial = Trial(*values)
    for needed in (folder, os.path.join(folder, os.path.dirname(trial.folder))):
        if not os.path.isdir(needed):
            return {"status": STATUS_FAIL, "failure": "%s does not see %s: all machines must share "
                    "the folders of the project, the data and the runs, at the same paths" % (
                        platform.node(), needed)}
    os.chdir(folder)
    gpu = TaskContext.get().resources().get("gpu")
    record, kind = train(trial, {"CUDA_VISIBLE_DEVICES": ",".join(gpu.addresses)} if gpu else {})
    # The sweep reads record and kind only.
    return {"status": STATUS_OK, "loss": 0.0, "record": record, "kind": kind}


def _connect(master, log):
    """A session of Spark, which writes its messages to the file `log`. Raises UserError."""
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession
    except ImportError:
        install = shlex.quote(python_command()) + " -m pip install"
        packages = shlex.quote(shown_path(project_path("requirements-spark.txt")))
        raise UserError("spark_master needs pyspark", "{0} -r {1} (with TensorFlow 2.x: {0} "
                        "pyspark==4.0.4)".format(install, packages))
    _check_address(master)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    try:
        gateway = launch_gateway(popen_kwargs={"stdout": log, "stderr": log})
    except RuntimeError:
        raise UserError("Spark needs Java 17 (with TensorFlow 1.15 also 8 or 11) on PATH or in "
                        "JAVA_HOME, found none that runs: " + log.name)
    conf = SparkConf().setMaster(master).setAppName("sweep")
    conf.set("spark.ui.showConsoleProgress", "false").setExecutorEnv("PYTHONPATH", ROOT)
    try:
        with warnings.catch_warnings(record=True):  # that of Python 3.7's end sets its own filter
            return SparkSession(SparkContext(conf=conf, gateway=gateway))
    except Exception as error:  # py4j's, whose text is Java's stack trace
        raise UserError("spark_master %s cannot be used (%s): see %s" % (
            master, type(error).__name__, log.name))


def _check_address(master):
    """Raise UserError if nothing answers there: Spark itself would try for a minute."""
    address = re.match(r"spark://([^:,]+):(\d+)$", master)
    if not address:
        return
    try:
        socket.create_connection(address.groups(), timeout=10).close()
    except OSError as error:
        raise UserError("spark_master %s does not answer (%s)" % (master, error),
                        "start it, see docs/sweeps.md")
