#!/usr/bin/env bash
# Trains the RRU on the data set that comes with the project; makes the environment first where it is missing.
# Options are those of mm_main.py (python -u mm_main.py --help lists them), and win over the two given here:
# bash run.sh --epochs 3 --cell_name GRU
# bash run.sh --environment_only makes the environment and trains nothing.
source "$(dirname -- "${BASH_SOURCE[0]}")/tools/environment.sh"
prepare_environment
project=$PWD
if [[ ${1:-} == --environment_only ]]; then
    exit
fi
cd -- "$caller"  # where relative paths in the options begin
exec "$project/$environment_python" -u "$project/mm_main.py" --data_set_name "Bach Chorales" --cell_name RRU "$@"
