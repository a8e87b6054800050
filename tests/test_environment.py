"""The launchers run.sh, test.sh and .ci/run, in a copy with stand-ins for Python and conda."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER_FILES = ["run.sh", "test.sh", ".ci/run", "tools/environment.sh", "requirements.txt",
                  "requirements-tf2.txt", "requirements-spark.txt", "environment.yml"]
SYSTEM_TOOLS = "bash cat cksum cp cut dirname flock grep mkdir mv rm sleep tail".split()

# Answers the launcher's questions, makes a "virtual environment" that holds itself, notes every
# call in $CALLS.
FAKE_PYTHON = """#!/bin/bash
name=${0##*/}
{ printf '%s' "$name"; printf '|%s' "${@//$'\\n'/ }"; printf '\\n'; } >> "$CALLS"
[[ $name == python3.* ]] || name=python3.7
case "$*" in
    *python_version*) echo "${FAKE_VERSION:-CPython ${name#python}.99}" ;;
    *ensurepip*) echo "$0" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip "*) echo "word from pip"; sleep "${PIP_SECONDS:-0}"; exit "${PIP_STATUS:-0}" ;;
    *mm_main.py*|*pytest*) echo "in $PWD"; sleep "${JOB_SECONDS:-0}"; exit "${JOB_STATUS:-0}" ;;
esac
"""
BROKEN_SHIM = "#!/bin/bash\necho 'pyenv: python3.7: command not found' >&2\nexit 127\n"
FAKE_CONDA = """#!/bin/bash
{ printf '%s' "${0##*/}"; printf '|%s' "$@"; printf '\\n'; } >> "$CALLS"
mkdir -p "$5/bin" && cp "$FAKE_PYTHON_FILE" "$5/bin/python" && exit "${CONDA_STATUS:-0}"
"""
JOB = "python|-u|mm_main.py|--data_set_name|Bach Chorales|--cell_name|RRU"


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def kill(process):
    """Kill a process that Launcher.start began, and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


class Launcher:
    """A copy of the launchers in a folder of its own, with a PATH and HOME that hold no Python."""

    def __init__(self, folder):
        self.root = folder / "a collection"
        self.home = folder / "home"
        self.bin = folder / "bin"
        self.calls_file = folder / "calls"
        self.bin.mkdir()
        self.home.mkdir()
        for name in LAUNCHER_FILES:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(ROOT / name), str(self.root / name))
        for name in SYSTEM_TOOLS:
            tool = shutil.which(name)
            if tool:
                (self.bin / name).symlink_to(tool)
        self.variables = {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "CALLS": str(self.calls_file),
            "FAKE_PYTHON_FILE": str(write_program(folder / "fake" / "python", FAKE_PYTHON)),
        }

    def add_python(self, path=None, version="3.7"):
        return write_program(path or self.bin / ("python" + version), FAKE_PYTHON)

    def start(self, *words, script="run.sh", **variables):
        """Start a script from a folder that is not the repository root; give the process."""
        return subprocess.Popen(
            ["bash", str(self.root / script)] + list(words),
            cwd=str(self.home), env=dict(self.variables, **variables),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
            start_new_session=True)

    def run(self, *words, **options):
        """Run a script to its end, earlier calls forgotten; give (exit status, stdout, stderr)."""
        if self.calls_file.exists():
            self.calls_file.unlink()
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def calls(self, part=""):
        text = self.calls_file.read_text() if self.calls_file.exists() else ""
        lines = text.replace("%s/mm_main.py" % self.root, "mm_main.py").splitlines()
        return [line for line in lines if part in line]

    def wait_for_call(self, part):
        deadline = time.time() + 20
        while not self.calls(part):
            assert time.time() < deadline
            time.sleep(0.02)


@pytest.fixture
def launcher(tmp_path):
    return Launcher(tmp_path)


def pins(text):
    return re.findall(r"^(?:      - )?([A-Za-z][\w.-]*==[\w.]+)$", text, re.MULTILINE)


def test_both_package_lists_hold_the_same_exact_pins():
    requirements = (ROOT / "requirements.txt").read_text()
    environment = (ROOT / "environment.yml").read_text()
    lines = requirements.splitlines()
    wanted = [line for line in lines if line.strip() and not line.startswith("#")]
    assert pins(requirements) == wanted
    assert pins(environment) == wanted
    assert "\nname: rru\n" in environment and "\n  - python=3.7\n" in environment
    names = [pin.split("==")[0].lower() for pin in wanted]
    assert len(names) == len(set(names))


def test_first_call_makes_the_environment_and_later_calls_use_it(launcher):
    launcher.add_python()
    status, out, err = launcher.run("--epochs", "3", "--run_name", "my run")
    assert status == 0
    assert out == "in {}\n".format(launcher.home)  # where relative paths in options begin
    assert "minutes" in err and "ready" in err
    assert len(launcher.calls("-m|venv|.venv")) == 1
    assert launcher.calls("|-r|requirements.txt")
    assert launcher.calls()[-1] == JOB + "|--epochs|3|--run_name|my run"

    status, out, err = launcher.run()
    assert (status, err) == (0, "")
    assert launcher.calls() == ["python|-c|", JOB]


def test_the_environment_can_be_made_without_a_training_and_help_without_either(launcher):
    launcher.add_python()
    status, out, _ = launcher.run("--help")
    assert status == 0 and "--environment_only" in out and not launcher.calls()
    status, out, _ = launcher.run("--help", script="test.sh")
    assert status == 0 and not launcher.calls()
    assert out.startswith("Runs all tests") and out.endswith("bash test.sh -x -k optimizer\n")
    assert launcher.run("--environment_only")[0] == 0
    assert launcher.calls("-m|venv|.venv") and not launcher.calls("mm_main.py")


def test_launcher_installs_nothing_when_all_is_there(launcher):
    launcher.add_python()
    launcher.run()
    launcher.run()
    assert launcher.calls() == ["python|-c|", JOB]


def test_exit_status_of_the_job_is_passed_on(launcher):
    launcher.add_python()
    assert launcher.run(JOB_STATUS="2")[0] == 2
    assert launcher.run(script=".ci/run", JOB_STATUS="5")[0] == 5
    assert "|pytest|" in launcher.calls()[-1]


def test_test_script_calls_pytest_with_what_it_was_given(launcher):
    launcher.add_python()
    assert launcher.run("-k", "one or two", script="test.sh")[0] == 0
    last = launcher.calls()[-1]
    assert last.startswith("python|-m|pytest|") and last.endswith("|-k|one or two")


def test_spark_is_installed_for_tests_where_there_is_java(launcher):
    launcher.add_python()
    installs = "|-r|requirements-spark.txt"
    launcher.run(script="test.sh")
    assert not launcher.calls(installs)
    write_program(launcher.bin / "java", "#!/bin/bash\n")
    launcher.run()
    assert not launcher.calls(installs)
    status, _, err = launcher.run(script="test.sh", PIP_STATUS="1")
    assert status == 0 and "tests of sweeps on Spark are skipped" in err
    assert launcher.calls("|pytest|")
    for times in (1, 0):
        assert launcher.run(script="test.sh")[0] == 0
        assert len(launcher.calls(installs)) == times
    spark, others = (set(pins((ROOT / name).read_text()))
                     for name in ("requirements-spark.txt", "requirements.txt"))
    assert spark - others == {"pyspark==3.4.4"}


@pytest.mark.parametrize("options, times", [
    (["-k", "x"], 0), (["tests/test_cells.py"], 0), (["tests/test_sweep_spark.py"], 1),
    (["-k", "Spark"], 1)])
def test_options_install_spark_only_for_a_test_of_spark(launcher, options, times):
    launcher.add_python()
    write_program(launcher.bin / "java", "#!/bin/bash\n")
    assert launcher.run(*options, script="test.sh")[0] == 0
    assert len(launcher.calls("|-r|requirements-spark.txt")) == times


# --- A Python without the environment's packages ---

@pytest.mark.parametrize("script", [
    "mm_main.py", "lm_main.py", "sa_main.py", "mnist_main.py", "mm_utils.py", "lm_utils.py",
    "sa_utils.py", "mnist_utils.py", "tools/results.py", "tools/reproduce.py",
    "tools/benchmark.py"])
def test_a_python_without_the_packages_is_told_how_to_activate_the_environment(tmp_path, script):
    # -S leaves out the packages that were installed.
    done = subprocess.run([sys.executable, "-S", str(ROOT / script)], cwd=str(tmp_path),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "has no numpy" in done.stderr and "bin/activate" in done.stderr


def test_a_python_without_tensorflow_is_told_how_to_activate_the_environment(tmp_path):
    code = "import sys; sys.path.insert(0, %r); sys.modules['tensorflow'] = None; import mm_main"
    code %= str(ROOT)
    done = subprocess.run([sys.executable, "-c", code], cwd=str(tmp_path), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "has no tensorflow" in done.stderr and "bin/activate" in done.stderr


@pytest.mark.parametrize("folders, advice", [
    ([], "makes the environment; run `source '{}/.venv/bin/activate'`"),
    ([".venv.tf2"], ": run `source '{}/.venv.tf2/bin/activate'`"),
    ([".conda", ".venv.tf2"], ": run `conda activate '{}/.conda'`")])
def test_the_environment_that_is_there_is_to_be_activated(tmp_path, folders, advice):
    project = tmp_path / "my project"
    shutil.copytree(str(ROOT / "files"), str(project / "files"))
    for folder in folders:
        (project / folder).mkdir()
    done = subprocess.run([sys.executable, "-S", "-c", "import files.environment"],
                          cwd=str(project), stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 2 and advice.format(project) in done.stderr


def test_changed_requirements_remake_the_environment(launcher):
    launcher.add_python()
    launcher.run()
    (launcher.root / ".venv" / "old").touch()
    with (launcher.root / "requirements.txt").open("a") as file:
        file.write("another==1.0\n")
    assert launcher.run()[0] == 0
    assert launcher.calls("-m|venv") and not (launcher.root / ".venv" / "old").exists()


def test_vanished_interpreter_remakes_the_environment(launcher):
    launcher.add_python()
    launcher.run()
    (launcher.root / ".venv" / "bin" / "python").unlink()
    assert launcher.run()[0] == 0
    assert launcher.calls("-m|venv") and launcher.calls(JOB)


def test_call_killed_while_installing_is_repaired_by_the_next(launcher):
    launcher.add_python()
    process = launcher.start(PIP_SECONDS="20")
    launcher.wait_for_call("-m|pip")
    kill(process)
    assert (launcher.root / ".venv" / "bin" / "python").exists()

    assert launcher.run()[0] == 0
    assert launcher.calls("-m|venv") and launcher.calls(JOB)


def test_failed_installation_says_so_and_is_repaired_by_the_next(launcher):
    launcher.add_python()
    status, out, err = launcher.run(PIP_STATUS="1")
    assert (status, out) == (1, "")
    assert "word from pip\n" in err and "pip could not install requirements.txt" in err
    status, out, err = launcher.run()
    assert status == 0 and "word from pip" not in out + err


@pytest.mark.skipif(not shutil.which("flock"), reason="calls are kept apart by flock")
def test_two_calls_at_once_make_one_environment(launcher):
    launcher.add_python()
    processes = [launcher.start(PIP_SECONDS="3")]
    launcher.wait_for_call("-m|pip")
    processes.append(launcher.start())
    errors = [process.communicate(timeout=30)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(launcher.calls("-m|venv")) == 1 and len(launcher.calls(JOB)) == 2
    assert sum("waiting" in error for error in errors) == 1


def test_running_job_does_not_hold_the_lock(launcher):
    launcher.add_python()
    process = launcher.start(JOB_SECONDS="30")
    launcher.wait_for_call(JOB)
    (launcher.root / ".venv" / "made_from").unlink()
    status, _, err = launcher.run()
    kill(process)
    assert status == 0 and "waiting" not in err


def test_shim_that_fails_is_passed_over_for_the_next_on_path(launcher, tmp_path):
    write_program(launcher.bin / "python3.7", BROKEN_SHIM)
    python = launcher.add_python(tmp_path / "other" / "python3.7")
    path = "{}:{}".format(launcher.bin, python.parent)
    status, _, err = launcher.run(PATH=path)
    assert status == 0 and str(python) in err


@pytest.mark.parametrize("with_variable", [True, False])
def test_versions_of_pyenv_are_found(launcher, tmp_path, with_variable):
    write_program(launcher.bin / "python3.7", BROKEN_SHIM)
    pyenv = tmp_path / "my pyenv" if with_variable else launcher.home / ".pyenv"
    write_program(pyenv / "versions" / "3.7.1" / "bin" / "python", BROKEN_SHIM)
    python = launcher.add_python(pyenv / "versions" / "3.7.9" / "bin" / "python")
    status, _, err = launcher.run(**({"PYENV_ROOT": str(pyenv)} if with_variable else {}))
    assert status == 0 and str(python) in err


@pytest.mark.parametrize("place", ["here/python", "other name"])
def test_given_python_comes_first(launcher, tmp_path, place):
    write_program(launcher.bin / "python3.7", BROKEN_SHIM)
    python = launcher.add_python(tmp_path / place)
    given = os.path.relpath(str(python), str(launcher.home))
    status, _, err = launcher.run(PYTHON=given)
    assert status == 0 and python.name in err and launcher.calls(python.name + "|-m|venv")


def test_given_python_of_another_version_is_refused(launcher):
    python = launcher.add_python()
    for _ in range(2):
        status, out, err = launcher.run(PYTHON=str(python), FAKE_VERSION="CPython 3.8.18")
        assert (status, out) == (2, "")
        assert err == (
            "PYTHON={} is CPython 3.8.18: give the path of CPython 3.7 (TensorFlow 1.15) or "
            "of 3.11 or 3.12 (TensorFlow 2.x), with an RRU_TF that suits it, or unset it.\n"
        ).format(python)
        launcher.run()
    status, _, err = launcher.run(PYTHON="/no/such")
    assert status == 2 and "not an interpreter that runs" in err


def test_other_versions_named_python37_do_not_count(launcher):
    launcher.add_python()
    for version in ["CPython 3.8.18", "PyPy 3.7.13", " "]:
        assert launcher.run(FAKE_VERSION=version)[0] == 2


def test_without_any_python_one_message_says_what_to_install(launcher):
    status, out, err = launcher.run()
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    for word in ["CPython 3.7", "pyenv install", "Miniconda", "PYTHON="]:
        assert word in err
    assert not (launcher.root / ".venv").exists()


@pytest.mark.parametrize("program", ["conda", "mamba"])
def test_conda_makes_the_environment_where_no_python_is_found(launcher, program):
    write_program(launcher.bin / program, FAKE_CONDA)
    prefix = str(launcher.root / ".conda")
    assert launcher.run("--epochs", "1", CONDA_STATUS="1")[0] == 1
    assert launcher.run("--epochs", "1")[0] == 0
    assert launcher.calls(program + "|") == [
        "{}|env|create|--quiet|-p|{}|-f|environment.yml".format(program, prefix)]
    assert launcher.calls()[-1] == JOB + "|--epochs|1"

    assert launcher.run()[0] == 0
    assert launcher.calls() == ["python|-c|", JOB]
    with (launcher.root / "environment.yml").open("a") as file:
        file.write("# changed\n")
    assert launcher.run()[0] == 0
    assert len(launcher.calls(program + "|")) == 1


# --- TensorFlow 2.x ---

def test_pins_for_tensorflow_2_are_exact():
    lines = (ROOT / "requirements-tf2.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert pins("\n".join(wanted)) == wanted
    names = [pin.split("==")[0].lower() for pin in wanted]
    assert len(names) == len(set(names)) and "tensorflow" in names and "hyperopt" in names


@pytest.mark.parametrize("version", ["3.11", "3.12"])
def test_without_python_37_one_line_says_that_tensorflow_2_is_used(launcher, version):
    python = launcher.add_python(version=version)
    status, out, err = launcher.run("--epochs", "3")
    assert status == 0 and out == "in {}\n".format(launcher.home)
    line = err.splitlines()[0]
    assert "falling back to TensorFlow 2.x with {}. RRU_TF=1 or 2".format(python) in line
    assert launcher.calls("-m|venv|.venv.tf2") and launcher.calls("|-r|requirements-tf2.txt")
    assert launcher.calls()[-1] == JOB + "|--epochs|3"

    status, _, err = launcher.run()
    assert status == 0 and len(err.splitlines()) == 1 and "with .venv.tf2/bin/python." in err
    assert launcher.calls() == ["python|-c|", JOB]


def test_killed_installation_of_tensorflow_2_is_repaired_by_the_next(launcher):
    launcher.add_python(version="3.12")
    process = launcher.start(PIP_SECONDS="20")
    launcher.wait_for_call("-m|pip")
    kill(process)
    assert (launcher.root / ".venv.tf2" / "bin" / "python").exists()
    assert launcher.run()[0] == 0
    assert launcher.calls("-m|venv|.venv.tf2") and launcher.calls(JOB)


def test_a_variable_forces_one_of_the_two(launcher):
    launcher.add_python()
    launcher.add_python(version="3.12")
    assert launcher.run(RRU_TF="2")[0] == 0
    assert launcher.calls("python3.12|-m|venv|.venv.tf2")
    assert launcher.run(RRU_TF="1")[0] == 0
    assert launcher.calls("python3.7|-m|venv|.venv")
    for wrong in (dict(RRU_TF="3"), dict(RRU_TF="2", PYTHON=str(launcher.bin / "python3.7"))):
        status, out, err = launcher.run(**wrong)
        assert (status, out, len(err.splitlines())) == (2, "", 1) and "RRU_TF" in err
    (launcher.bin / "python3.7").unlink()
    (launcher.root / ".venv" / "made_from").unlink()
    status, _, err = launcher.run(RRU_TF="1")
    assert status == 2 and "with RRU_TF=1" in err and "falling back" not in err


def test_a_given_python_312_means_tensorflow_2(launcher, tmp_path):
    launcher.add_python()
    python = launcher.add_python(tmp_path / "other" / "python3.12")
    status, _, err = launcher.run(PYTHON=str(python))
    assert status == 0 and "falling back" not in err
    assert launcher.calls("python3.12|-m|venv|.venv.tf2")


def test_tests_run_on_both_unless_one_is_forced_or_options_are_given(launcher):
    def runs(*words, **variables):
        status, _, err = launcher.run(*words, script="test.sh", **variables)
        return status, [call.endswith("|-m|tf2") for call in launcher.calls("-m|pytest|")], err
    launcher.add_python()
    status, marked, err = runs()
    assert (status, marked) == (0, [False]) and "the tests on TensorFlow 2.x are left out" in err
    launcher.add_python(version="3.11")
    status, marked, err = runs()
    assert (status, marked) == (0, [False, True]) and "RRU_TF=1 bash test.sh leaves them out" in err
    assert runs(JOB_STATUS="1")[:2] == (1, [False, True])
    assert runs(RRU_TF="1")[:2] == (0, [False])
    assert runs(RRU_TF="2")[:2] == (0, [True])
    assert runs("-x")[:2] == (0, [False])


def test_environment_is_never_made_from_an_interpreter_inside_one():
    """The environment that is active may be the one to be removed; its base interpreter stays."""
    base = subprocess.check_output(
        ["bash", "-c", 'source "$1"; base_of "$2"', "-", str(ROOT / "tools/environment.sh"),
         sys.executable],
        universal_newlines=True).strip()
    inside = subprocess.check_output(
        [base, "-c", "import sys; print(sys.prefix != sys.base_prefix)"],
        universal_newlines=True).strip()
    assert inside == "False"


def test_importing_tensorflow_says_nothing():
    done = subprocess.run([sys.executable, "-c", "from training.quiet_tensorflow import tf"],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("has_avx, said", [("True", b""), ("False", b"the reason")])
def test_a_package_may_say_why_it_aborts(tmp_path, has_avx, said):
    (tmp_path / "loud.py").write_text("import os; os.write(2, b'the reason'); os.abort()")
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from files import environment;"
            "environment._has_avx = lambda: %s; environment.need('loud')" % has_avx)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT,
                          stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGABRT and done.stderr == said
