"""Sweeps on Spark: side by side, continued, with a worker that dies, with a GPU for a trial.

The last ones show what is said without Spark.
"""

import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

import mm_main
import mm_utils
import test_mm_utils
from test_sweep import ROOT, SEARCH, Toy, folder_of, parent_of, wait_for
from sweeps import sweep as sweep_module
from files.errors import UserError
from sweeps.spark import check_master
from sweeps.records import load_records

has_java = shutil.which("java")
try:
    import pyspark
except ImportError:
    pyspark = None
needs_spark = pytest.mark.skipif(
    not (has_java and pyspark),
    reason="needs Java 17 on PATH, and pyspark: see requirements-spark.txt")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A sweep whose Java is its own.

    pyspark keeps the first Java, with its options, as long as the process lives.
    """
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    yield Toy(tmp_path)
    gateway = pyspark and pyspark.SparkContext._gateway
    if gateway:
        pyspark.SparkContext._gateway = pyspark.SparkContext._jvm = None
        gateway.shutdown()
        gateway.proc.communicate()


def search(toy, *more):
    with toy.open("--spark_master", "local[2]", *more) as sweep:
        sweep.search()
        return sweep.records


def numbers(records):
    return sorted(record["trial"] for record in records)


def calls_by_trial(toy):
    calls = collections.defaultdict(list)
    for call in toy.calls():
        calls[os.path.basename(call.get("resume") or call["name"])].append(call)
    return calls


def test_a_point_is_not_suggested_while_it_runs(toy):
    with toy.open() as sweep:
        running = []
        for _ in range(12):
            running.append(sweep.next_trial(running))
        assert [trial.number for trial in running] == list(range(1, 13))
        assert len({trial.point["dropout"] for trial in running}) == 12
        record = {"trial": 2, "point": running[1].point, "loss": None, "reason": "it failed"}
        sweep.add(record)
        again = sweep.next_trial([running[0]])
        assert again.number == 3 and again.point == running[2].point


@needs_spark
def test_a_sweep_killed_on_spark_continues(tmp_path):
    data, path = tmp_path / "data", folder_of(tmp_path)
    test_mm_utils.write_source(data, test_mm_utils.made_up_splits(), "JSB Chorales")
    mm_utils.prepare("JSB Chorales", str(data))
    command = [sys.executable, "-u", "mm_main.py", "--data_folder", str(data),
               "--runs_folder", str(tmp_path / "runs"), "--sweep_trials", "4",
               "--do_hyperparameter_optimization", "True", "--search", str(SEARCH),
               "--epochs", "60", "--patience", "100", "--batch_size", "2",
               "--spark_master", "local[2]"]
    environment = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")

    def has_begun(number):
        return (path / ("trial-%03d" % number) / "metrics.jsonl").exists()
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    wait_for(lambda: sum(map(has_begun, range(1, 5))) >= 3, "the third trial does not train")
    process.kill()
    process.wait()
    before = load_records(str(path))
    assert 1 <= len(before) <= 2

    ended = subprocess.run(command, cwd=ROOT, env=environment, check=True, stderr=subprocess.PIPE)
    assert b"Python 3.7 support" not in ended.stderr
    records = load_records(str(path))
    assert records[:len(before)] == before and numbers(records) == [1, 2, 3, 4]
    assert [record["reason"] for record in records] == [None] * 4
    logs = [(path / ("trial-%03d" % number) / "log.txt").read_text() for number in range(1, 5)]
    for log in logs:
        assert log.count("  epoch 1: ") == 1 and log.count("  epoch 60: ") == 1
    assert any("interrupted" in log for log in logs)
    assert json.loads((path / "sweep.json").read_text())["test"]["window_nll"]["mean"] > 0


def search_until(toy, ended, *more):
    """Search, and press Ctrl-C when so many trials have ended."""
    sweep = str(folder_of(toy.folder))
    timer = threading.Thread(target=lambda: (
        wait_for(lambda: len(load_records(sweep)) == ended, "%d trials do not end" % ended),
        os.kill(os.getpid(), signal.SIGINT)))
    timer.start()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        search(toy, *more)
    timer.join()
    assert signal.getsignal(signal.SIGINT) is before


@needs_spark
def test_failed_trials_and_interrupts_on_spark(toy):
    toy.orders(t2="nan", t3="kill", t5="wait")
    search_until(toy, 5, "--sweep_trials", "6")
    reasons = {record["trial"]: record["reason"] for record in search(toy, "--sweep_trials", "6")}
    assert reasons == {
        1: None, 2: "the loss became nan at step 7", 3: "killed by signal 9 (out of memory?)",
        4: None, 5: None, 6: None}
    repeated = {name: len(calls) for name, calls in calls_by_trial(toy).items() if len(calls) > 1}
    assert repeated == {"trial-005": 2}

    toy.orders(**{"t%d" % number: "nan" for number in range(1, 20)})
    with pytest.raises(UserError, match="all 5 trials failed, the last with: the loss became nan"):
        search(toy, "--sweep_trials", "20", "--sweep_name", "hopeless")


@needs_spark
def test_a_grid_with_pruned_trials_continues_on_spark(toy):
    grid = {"dropout": ("choice", [0.1, 0.2]), "seed": ("choice", [1, 2, 3])}
    words = ["--search_method", "grid", "--search", str(grid), "--prune_after", "2"]
    toy.orders(t2="pruned", t4="wait")
    search_until(toy, 5, *words)
    records = search(toy, *words)
    points = sorted((record["point"]["dropout"], record["point"]["seed"]) for record in records)
    assert points == [(rate, seed) for rate in (0.1, 0.2) for seed in (1, 2, 3)]
    assert [record["trial"] for record in records if record.get("pruned")] == [2]
    calls = calls_by_trial(toy)
    assert {name: len(each) for name, each in calls.items() if len(each) > 1} == {"trial-004": 2}
    assert {each[0]["prune_after"] for each in calls.values()} == {"2"}


@needs_spark
def test_a_machine_that_does_not_see_the_folder_is_named(toy, monkeypatch):
    monkeypatch.setattr(os, "getcwd", lambda: "/no/such/place")
    with pytest.raises(UserError, match="does not see /no/such/place: all machines must share"):
        search(toy)


@needs_spark
def test_an_end_of_java_is_one_line_and_the_sweep_continues(toy):
    toy.orders(t2="wait")

    def kill_java():
        trials = folder_of(toy.folder) / "trials.jsonl"
        begun = folder_of(toy.folder) / "trial-002" / "checkpoints" / "last.npz"
        wait_for(lambda: trials.exists() and begun.exists(), "trial 2 does not train")
        pyspark.SparkContext._gateway.proc.kill()
    killer = threading.Thread(target=kill_java)
    killer.start()
    with pytest.raises(
            UserError, match="(Spark ended|Spark gave it up).*spark.log.*continues") as error:
        search(toy, "--sweep_trials", "4")
    killer.join()
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    toy.orders()
    pyspark.SparkContext._gateway = pyspark.SparkContext._jvm = None
    pyspark.SparkContext._active_spark_context = None
    assert numbers(search(toy, "--sweep_trials", "4")) == [1, 2, 3, 4]


# --- A cluster: a master and two workers with a GPU each, by what they declare ---

class Cluster(object):
    """A standalone master and workers on this machine, each one the leader of a process group."""

    def __init__(self, folder):
        self._folder, self.workers, self._all = folder, {}, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = "spark://127.0.0.1:%d" % free.getsockname()[1]
        self._start("master", "Master", "--port", self.url.rpartition(":")[2])
        wait_for(self._answers, "the master does not answer")

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.url.rpartition(":")[2]))) == 0

    def add_worker(self, gpu):
        script = self._folder / ("gpu%d.sh" % gpu)
        script.write_text("#!/bin/sh\necho '{\"name\": \"gpu\", \"addresses\": [\"%d\"]}'\n" % gpu)
        script.chmod(0o755)
        self.workers[gpu] = self._start(
            "worker%d" % gpu, "Worker", "--cores", "2", "--memory", "1g",
            "--work-dir", str(self._folder / "work"), self.url,
            SPARK_WORKER_OPTS="-Dspark.worker.resource.gpu.amount=1 "
                              "-Dspark.worker.resource.gpu.discoveryScript=" + str(script))

    def _start(self, name, role, *words, **variables):
        with open(str(self._folder / (name + ".log")), "w") as log:
            process = subprocess.Popen(
                [os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-class"),
                 "org.apache.spark.deploy.%s.%s" % (role.lower(), role),
                 "--host", "127.0.0.1", "--webui-port", "0"] + list(words),
                env=dict(os.environ, SPARK_LOCAL_IP="127.0.0.1", SPARK_DAEMON_MEMORY="256m",
                         **variables),
                stdout=log, stderr=log, start_new_session=True)
        self._all.append(process)
        return process

    def stop(self):
        for process in self._all:
            kill_group(process)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def ancestors(pid):
    while pid:
        yield pid
        pid = parent_of(pid)


def process_of(folder):
    """The id of the stand-in that trains the trial in a folder, None where there is none."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                words = file.read().decode().split("\0")
        except OSError:
            continue
        if "--name=sweep/" + folder in words and str(os.getpid()) != entry:
            return int(entry)
    return None


@needs_spark
def test_a_sweep_survives_the_death_of_a_worker(toy, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "PYSPARK_SUBMIT_ARGS",
        "--conf spark.executor.memory=512m --conf spark.executor.resource.gpu.amount=1 "
        "--conf spark.task.resource.gpu.amount=1 pyspark-shell")
    toy.orders(t1="wait", t2="wait")
    cluster = Cluster(tmp_path)
    killed = []

    def kill_worker_of_trial_1():
        checkpoint = folder_of(tmp_path) / "trial-001" / "checkpoints" / "last.npz"
        wait_for(checkpoint.exists, "trial 1 does not train")
        line = list(ancestors(process_of("trial-001")))
        killed[:] = [gpu for gpu, worker in cluster.workers.items() if worker.pid in line]
        kill_group(cluster.workers[killed[0]])
        other = process_of("trial-002")
        wait_for((folder_of(tmp_path) / "trial-002" / "checkpoints" / "last.npz").exists,
                 "trial 2 does not train")
        os.kill(process_of("trial-002") or other, signal.SIGKILL)

    try:
        for gpu in (5, 7):
            cluster.add_worker(gpu)
        killer = threading.Thread(target=kill_worker_of_trial_1)
        killer.start()
        with toy.open("--spark_master", cluster.url, "--sweep_trials", "5") as sweep:
            sweep.search()
            records = sweep.records
        killer.join()
    finally:
        cluster.stop()
    written = load_records(str(folder_of(tmp_path)))
    assert numbers(records) == numbers(written) == [1, 2, 3, 4, 5]
    assert {record["trial"]: record["reason"] for record in records} == {
        1: None, 2: "killed by signal 9 (out of memory?)", 3: None, 4: None, 5: None}
    calls = calls_by_trial(toy)
    other, = set(cluster.workers) - set(killed)
    assert [call["cuda"] for call in calls["trial-001"]] == [str(killed[0]), str(other)]
    assert calls["trial-001"][1]["resume"]
    assert [call["cuda"] for number in (2, 3, 4, 5)
            for call in calls["trial-%03d" % number]] == [str(other)] * 4


# --- Without Spark ---

def test_a_master_that_is_not_supported_is_named(toy):
    for master in ("local", "local[3]", "local[*]", "spark://host:7077",
                   "spark://one:7077,two:7077"):
        check_master(master)
    for master in ("yarn", "k8s://https://host:443", "local[0]", "local[2", "spark://host", "7077"):
        with pytest.raises(
                UserError, match=re.escape("spark_master is %r, but must be: local, " % master)):
            sweep_module.run(toy.settings("--spark_master", master), None, vars(mm_main))
    assert not (toy.folder / "runs").exists()


def test_what_is_missing_is_said_in_one_line(toy, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = "spark://127.0.0.1:%d" % free.getsockname()[1]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyspark", None)
        with pytest.raises(UserError, match="needs pyspark: .* -r requirements-spark.txt") as error:
            search(toy)
    with open(os.path.join(ROOT, "requirements-spark.txt")) as file:
        other, = re.findall("pip install (pyspark==[0-9.]+)", file.read())
    assert "pip install %s)" % other in str(error.value)
    if pyspark:
        with pytest.raises(UserError, match="%s does not answer .*refused" % master):
            search(toy, "--spark_master", master)
        monkeypatch.setenv("JAVA_HOME", str(toy.folder))
        with pytest.raises(UserError, match="Spark needs Java"):
            search(toy)
