#!/usr/bin/env bash
# Runs all tests on TensorFlow 1.15, then the core ones (marked tf2) on TensorFlow 2.x; makes the environments first
# if they are missing. RRU_TF=1 bash test.sh leaves out TensorFlow 2.x, RRU_TF=2 TensorFlow 1.15.
# If there is Java, Spark is installed too, for the tests of sweeps on it (TensorFlow 1.15 only); with options
# only if one of them names spark.
# All tests are divided among the cores, four at most. Options are those of pytest, and are for one of the two:
# bash test.sh -x -k optimizer
source "$(dirname -- "${BASH_SOURCE[0]}")/tools/environment.sh"

run_tests() {
    "$environment_python" -m pytest --durations=10 --durations-min=1 "$@"
}

# run_all: on up to four cores.
run_all() {
    run_tests -n auto --maxprocesses 4 --dist worksteal "$@"
}

# add_spark: a record of its own beside the environment's says that it is there. Without it its tests are skipped.
add_spark() {
    local folder=${environment_python%/bin/python} packages=requirements-spark.txt record=spark_made_from
    local log=$folder/pip-spark.log
    if [[ $generation == 2 ]] || ! command -v java > /dev/null || is_ready "$folder" "$packages"; then
        return
    fi
    say "Installing Spark for its tests: once, about 0.3 GB ..."
    if "$environment_python" -m pip --disable-pip-version-check --no-input install -r "$packages" &> "$log"; then
        finish "$folder" "$packages"
    else
        say "pip could not install $packages, see $PWD/$log: the tests of sweeps on Spark are skipped."
    fi
}

prepare_environment
if [[ $# -eq 0 || ${*,,} == *spark* ]]; then
    add_spark
fi
if [[ $# -gt 0 ]]; then
    run_tests "$@"
elif [[ $generation == 2 ]]; then
    run_all -m tf2
elif [[ ${RRU_TF:-} == 1 ]]; then
    run_all
else
    status=0
    run_all || status=$?
    unset PYTHON
    RRU_TF=2 generations=(2)
    if choose_generation; then
        say "Now the core tests on TensorFlow 2.x; RRU_TF=1 bash test.sh leaves them out."
        prepare_environment
        run_all -m tf2 || status=$?
    else
        say "No CPython 3.11 or 3.12 was found: the tests on TensorFlow 2.x are left out."
    fi
    exit "$status"
fi
