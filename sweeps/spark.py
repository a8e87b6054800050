"""The trials of a sweep side by side on Spark, through hyperopt's SparkTrials.

Spark chooses the machine of a trial, and another where that one is lost. What is tried next and what is recorded
stays with the sweep, in the process that the user started, so that such a sweep goes on like any other.
"""

import functools
import logging
import os
import platform
import re
import signal
import socket
import sys
import time
import warnings

from hyperopt import STATUS_FAIL, STATUS_OK, SparkTrials, fmin, hp

from files.errors import UserError
from sweeps.trial import Trial, train

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def check_master(master):
    """Raise UserError unless it is one that trials are run on; Spark itself would wait long for others, as "yarn"."""
    if not re.match(r"(local(\[([1-9]\d*|\*)\])?|spark://\S+:\d+)$", master):
        raise UserError("spark_master is %r, but must be: local, local[n], local[*] or spark://host:port" % master)


def search(sweep):
    """Train what is left to train, settings.spark_parallelism trials at a time, on settings.spark_master.

    Raises UserError where Spark cannot be used, gives a trial up, or runs it where the sweep's folder is not seen.
    """
    settings, interrupt = sweep.settings, signal.getsignal(signal.SIGINT)
    with open(sweep.run.file("spark.log"), "a") as log:
        logging.getLogger("hyperopt-spark").handlers[:] = [logging.StreamHandler(log)]
        session = _connect(settings.spark_master, log)
        try:
            # The number that stands in the space makes room for the trial that _Queue puts there.
            fmin(functools.partial(_train, folder=os.getcwd()), hp.randint("trial", 1), _Queue(sweep, session),
                 trials=SparkTrials(settings.spark_parallelism, spark_session=session), verbose=False,
                 return_argmin=False)
        finally:
            session.stop()
            signal.signal(signal.SIGINT, interrupt)  # Spark's own handler needs a session


class _Queue(object):
    """A search algorithm for fmin that records the trials that ended, waits for a free place, and fills it.

    An algorithm that does not wait would choose a point before there is a place for it, knowing less.
    """

    def __init__(self, sweep, session):
        self._sweep, self._session, self._running = sweep, session, {}

    def __call__(self, new_ids, domain, trials, _):
        settings, running = self._sweep.settings, self._running
        try:
            self._record(trials)
            while running and (len(running) >= settings.spark_parallelism or
                               len(self._sweep.records) + len(running) >= settings.sweep_trials):
                time.sleep(0.2)
                self._record(trials)
            if len(self._sweep.records) >= settings.sweep_trials:
                return []  # ends fmin
            tid, trial = new_ids[0], self._sweep.next_trial(running.values())
        except BaseException:
            self._session.stop()  # or else fmin waits for the running trials to end
            raise
        running[tid] = trial
        misc = {"tid": tid, "cmd": domain.cmd, "workdir": None, "idxs": {"trial": [tid]},
                "vals": {"trial": [list(trial)]}}
        return trials.new_trial_docs([tid], [None], [domain.new_result()], [misc])

    def _record(self, trials):
        trials.refresh()  # leaves out those that raised an error
        results = {doc["tid"]: doc["result"] for doc in trials.trials}
        for tid, trial in list(self._running.items()):
            result = results.get(tid, {"failure": "Spark gave it up"})
            if "failure" in result:
                raise UserError("trial %d: %s; see %s; the same command goes on" % (
                    trial.number, result["failure"], self._sweep.run.file("spark.log")))
            if "record" in result:
                del self._running[tid]
                self._sweep.add(result["record"])


def _train(values, folder):
    """Train a trial on the machine that Spark chose, on the GPU that Spark lends it, if any.

    values: those of a Trial. folder: what relative paths start from. Returns a result as SparkTrials wants it.
    """
    from pyspark import TaskContext
    trial = Trial(*values)
    sweep_folder = os.path.join(folder, os.path.dirname(trial.folder))
    if not os.path.isdir(sweep_folder):
        return {"status": STATUS_FAIL, "failure": "%s does not see %s: all machines must share the folders of "
                "the project, the data and the runs, at the same paths" % (platform.node(), sweep_folder)}
    os.chdir(folder)
    gpu = TaskContext.get().resources().get("gpu")
    record = train(trial, {"CUDA_VISIBLE_DEVICES": ",".join(gpu.addresses)} if gpu else {})
    return {"status": STATUS_OK, "loss": 0.0, "record": record}  # the sweep reads the record only


def _connect(master, log):
    """A session of Spark, which writes what it has to say to the file `log`. Raises UserError."""
    try:
        from pyspark import SparkConf, SparkContext
        from pyspark.java_gateway import launch_gateway
        from pyspark.sql import SparkSession
    except ImportError:
        raise UserError("spark_master needs pyspark: python -m pip install -r requirements-spark.txt (with TensorFlow "
                        "2.x: python -m pip install pyspark==4.0.4)")
    address = re.match(r"spark://([^:,]+):(\d+)$", master)
    if address:  # Spark itself would try for a minute
        try:
            socket.create_connection(address.groups(), timeout=10).close()
        except OSError as error:
            raise UserError("spark_master %s does not answer (%s): start it, see README.md" % (master, error))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    try:
        gateway = launch_gateway(popen_kwargs={"stdout": log, "stderr": log})
    except RuntimeError:
        raise UserError("Spark needs Java 8, 11 or 17 on PATH or in JAVA_HOME, found none that runs: " + log.name)
    conf = SparkConf().setMaster(master).setAppName("sweep").set("spark.ui.showConsoleProgress", "false")
    try:
        with warnings.catch_warnings(record=True):  # that of Python 3.7's end, which sets a filter of its own
            return SparkSession(SparkContext(conf=conf.setExecutorEnv("PYTHONPATH", _ROOT), gateway=gateway))
    except Exception as error:  # py4j's, whose text is Java's stack trace
        raise UserError("spark_master %s cannot be used (%s): see %s" % (master, type(error).__name__, log.name))
