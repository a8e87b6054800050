# Sourced by run.sh and test.sh. It goes from the folder $caller to the repository root; prepare_environment then
# sets environment_python to the interpreter of an environment with the packages of requirements.txt, or of
# requirements-tf2.txt where no Python for TensorFlow 1.15 can be had, and makes that where it is missing. RRU_TF=1
# or 2 forces one of the two.
# With --help they print the comment at their top, and end.
#
# The last step of making an environment records the checksum of its list of packages. A folder without this record
# is half-made, one with another record is out of date; both are removed and made again.

set -euo pipefail

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
    while read -r mark line && [[ $mark == "#"* ]]; do
        [[ $mark != "#" ]] || printf '%s\n' "$line"
    done < "$0"
    exit
fi

if [[ ${PYTHON:-} == */* && $PYTHON != /* ]]; then
    PYTHON=$PWD/$PYTHON
fi
caller=$PWD
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

conda_packages=environment.yml
record=made_from

# A conda environment would otherwise take packages from the user's own site folder.
export PYTHONNOUSERSITE=1

say() {
    printf '%s\n' "$*" >&2
}

# fail STATUS MESSAGE
fail() {
    say "$2"
    exit "$1"
}

# use GENERATION: what the functions below are about, TensorFlow 1.15 or 2.x.
use() {
    generation=$1
    if [[ $1 == 1 ]]; then
        venv_folder=.venv venv_packages=requirements.txt conda_folder=.conda
        python_versions=(3.7)
    else
        venv_folder=.venv.tf2 venv_packages=requirements-tf2.txt conda_folder=
        python_versions=(3.12 3.11)
    fi
}

# is_ready FOLDER PACKAGES: the environment was made to its end from this list, and its interpreter still runs.
is_ready() {
    [[ -f $1/$record && $(<"$1/$record") == "$(cksum < "$2")" ]] && "$1/bin/python" -c '' 2> /dev/null
}

# finish FOLDER PACKAGES: the last step of making an environment.
finish() {
    cksum < "$2" > "$1/$record.new"
    mv -- "$1/$record.new" "$1/$record"
}

# choose_ready: sets environment_python if an environment is ready.
choose_ready() {
    if is_ready "$venv_folder" "$venv_packages"; then
        environment_python=$venv_folder/bin/python
    elif [[ -n $conda_folder ]] && is_ready "$conda_folder" "$conda_packages"; then
        environment_python=$conda_folder/bin/python
    else
        return 1
    fi
}

# version_of INTERPRETER: for example "CPython 3.7.16"; nothing if it does not run.
version_of() {
    "$1" -c 'import platform
print(platform.python_implementation() + " " + platform.python_version())' 2> /dev/null || true
}

# is_right VERSION
is_right() {
    local version
    for version in "${python_versions[@]}"; do
        [[ $1 != "CPython $version."* ]] || return 0
    done
    return 1
}

# set_generations: those to try in turn. RRU_TF names one; so does the version of $PYTHON, which is refused where it
# suits none, whether or not it would be used now.
set_generations() {
    local found suitable=() candidate
    case ${RRU_TF:-} in
        "") generations=(1 2) ;;
        1 | 2) generations=("$RRU_TF") ;;
        *) fail 2 "RRU_TF=$RRU_TF: give 1 for TensorFlow 1.15, 2 for TensorFlow 2.x, or unset it." ;;
    esac
    [[ -n ${PYTHON:-} ]] || return 0
    found=$(version_of "$PYTHON")
    for candidate in "${generations[@]}"; do
        use "$candidate"
        ! is_right "$found" || suitable=("$candidate")
    done
    [[ ${#suitable[@]} -gt 0 ]] || fail 2 "PYTHON=$PYTHON is ${found:-not an interpreter that runs}: give the path of\
 CPython 3.7 (TensorFlow 1.15) or of 3.11 or 3.12 (TensorFlow 2.x), with an RRU_TF that suits it, or unset it."
    generations=("${suitable[@]}")
}

# base_of INTERPRETER: itself, or the one its virtual environment was made from (the one activated now may be ours,
# and about to be removed). Nothing if it cannot make a virtual environment.
base_of() {
    "$1" -c 'import ensurepip, os, sys, venv
print(os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2]))' 2> /dev/null || true
}

# find_python: prints the first interpreter that suits. Each is run, as a pyenv shim may be there and still fail.
find_python() {
    local candidate base version
    while IFS= read -r candidate; do
        if [[ -n $candidate ]] && is_right "$(version_of "$candidate")"; then
            base=$(base_of "$candidate")
            if [[ -n $base ]]; then
                printf '%s\n' "$base"
                return
            fi
        fi
    done < <(
        printf '%s\n' "${PYTHON:-}"
        for version in "${python_versions[@]}"; do
            type -ap "python$version" || true
            printf '%s\n' {"${PYENV_ROOT:-}","${HOME:-}/.pyenv"}/versions/"$version".*/bin/python
        done
    )
}

# find_conda: prints the program that can make the environment; fails without one.
find_conda() {
    local program
    for program in conda mamba; do
        if [[ -n $conda_folder ]] && command -v "$program" > /dev/null; then
            printf '%s\n' "$program"
            return
        fi
    done
    return 1
}

# choose_generation: the first one whose environment is ready, which sets environment_python, or can be made.
choose_generation() {
    local candidate
    environment_python=
    for candidate in "${generations[@]}"; do
        use "$candidate"
        if choose_ready || [[ -n $(find_python) ]] || find_conda > /dev/null; then
            return 0
        fi
    done
    return 1
}

# make_venv INTERPRETER
make_venv() {
    local log=$venv_folder/pip.log
    local pip=("$venv_folder/bin/python" -m pip --disable-pip-version-check --no-input install)
    say "Making the Python environment in $venv_folder with $1: once, about 2 GB (2.5 with 2.x), one to a few" \
        "minutes (longer on a slow connection) ..."
    rm -rf -- "$venv_folder"
    "$1" -m venv "$venv_folder" ||
        fail 1 "$1 could not make a virtual environment in $PWD/$venv_folder: see above."
    # The pip that comes with an early 3.7 does not know today's wheels: its pin goes first.
    if ! { "${pip[@]}" "$(grep '^pip==' "$venv_packages")" && "${pip[@]}" -r "$venv_packages"; } &> "$log"; then
        tail -n 10 "$log" | cut -c 1-300 >&2
        fail 1 "pip could not install $venv_packages: see above and $PWD/$log. The next call starts again."
    fi
    finish "$venv_folder" "$venv_packages"
}

# make_conda PROGRAM
make_conda() {
    say "Making the Python environment in $conda_folder with $1: once, a few minutes ..."
    rm -rf -- "$conda_folder"
    CONDA_ALWAYS_YES=true MAMBA_ALWAYS_YES=true \
        "$1" env create --quiet -p "$PWD/$conda_folder" -f "$conda_packages" < /dev/null >&2 ||
        fail 1 "$1 could not make the environment of $conda_packages: see above. The next call starts again."
    finish "$conda_folder" "$conda_packages"
}

make_environment() {
    local python started=$SECONDS
    python=$(find_python)
    if [[ -n $python ]]; then
        make_venv "$python"
    else
        make_conda "$(find_conda)"
    fi
    say "The environment is ready ($((SECONDS - started)) s)."
}

# The lock goes with the subshell and whatever runs in it: an installer that outlives a killed call is waited for,
# and the job that follows does not hold it. Where there is no flock, calls are not kept apart.
prepare_environment() {
    set_generations
    choose_generation || fail 2 "No CPython 3.7 (for TensorFlow 1.15), 3.11 or 3.12 (for TensorFlow 2.x) with its venv\
 module was found in \$PYTHON, on PATH or among pyenv's versions, nor conda or mamba${RRU_TF:+, with RRU_TF=$RRU_TF}:\
 install one (for example with \"pyenv install 3.7\", or Miniconda) or set PYTHON=/path/to/python3.7,\
 then call this again."
    if [[ ${#generations[@]} -gt 1 && $generation == 2 ]]; then
        say "No CPython 3.7 for TensorFlow 1.15 was found: falling back to TensorFlow 2.x with" \
            "${environment_python:-$(find_python)}. RRU_TF=1 or 2 forces one of the two."
    fi
    if [[ -n $environment_python ]]; then
        return
    fi
    (
        if command -v flock > /dev/null && ! flock --nonblock 9; then
            say "Another call is making the environment: waiting for it ..."
            flock 9
        fi
        choose_ready || make_environment
    ) 9> .venv.lock
    choose_ready || fail 1 "The new environment in $PWD does not run: remove $venv_folder $conda_folder there, then\
 call this again."
}
