#!/usr/bin/env bash
# Runs the tests; makes the environment first where it is missing.
# Options are those of pytest: bash test.sh -x -k optimizer, or bash test.sh tests/test_environment.py
source "$(dirname -- "${BASH_SOURCE[0]}")/tools/environment.sh"
prepare_environment
exec "$environment_python" -m pytest --durations=10 --durations-min=1 "$@"
