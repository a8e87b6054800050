#!/usr/bin/env bash
# Downloads, checks and arranges the data sets. Try: bash get_data.sh --help
# Needs any Python from 3.6 on, without packages; the work is done by tools/get_data.py.
here="$(CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")" && pwd)" || exit 2

# A candidate is tried by running it: a pyenv shim may be on PATH and yet fail, and some builds lack ssl or zlib.
for candidate in "${PYTHON:-}" python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 \
    "$here/.venv/bin/python"; do
    if [ -n "$candidate" ] &&
        "$candidate" -c 'import sys, ssl, zlib; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then
        exec "$candidate" "$here/tools/get_data.py" "$@"
    fi
done
echo "error: no working Python 3.6 or newer (with ssl and zlib) was found: install python3 with your system's" \
    "package manager, or set PYTHON to one" >&2
exit 2
