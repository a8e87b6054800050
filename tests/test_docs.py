"""The Python in README.md and docs/cells.md: every block runs as it stands."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tf2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What each block is checked with: values for its placeholders, and finite results.
CHECK = """
import numpy as np
given = {}
for name, value in [("inputs", np.ones((5, 2, 88))), ("lengths", [5, 3]), ("dropout", 0.5),
                    ("step", 7)]:
    if name in globals():
        given[globals()[name]] = value
if "gradients" not in globals():
    gradients = tf.gradients(outputs, tf.trainable_variables())
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    if "load" in globals():
        session.run(load)
    results = session.run([outputs, gradients], given)
assert all(np.isfinite(value).all() for value in [results[0]] + results[1])
assert len(results[1]) > 1 and results[0].shape[:2] in [(5, 2), (7, 4)], results[0].shape
if "lengths" in globals():
    assert not results[0][3:, 1].any()
"""


def blocks():
    """[(name, code)] of all Python blocks."""
    found = []
    for path in ("README.md", os.path.join("docs", "cells.md")):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            codes = re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
        found += [("%s, block %d" % (path, number), code)
                  for number, code in enumerate(codes, 1)]
    return found


def test_the_page_shows_all_ways():
    page = "".join(code for name, code in blocks() if "cells.md" in name)
    for call in ("tf.nn.dynamic_rnn(", "sequence(", "unroll(", "(Cell)"):
        assert call in page


@pytest.mark.parametrize("name, code", blocks(), ids=[name for name, _ in blocks()])
def test_a_block_runs_as_it_stands(name, code, tmp_path):
    script = tmp_path / "model.py"
    script.write_text(code + CHECK)
    (tmp_path / "results").symlink_to(os.path.join(ROOT, "results"))
    result = subprocess.run([sys.executable, str(script)], env=dict(os.environ, PYTHONPATH=ROOT),
                            cwd=str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True)
    assert result.returncode == 0, result.stderr[-2000:]
