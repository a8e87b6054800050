"""The rooms of the house: every import runs down the floors, and none in a circle."""

import ast
import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# From the roof to the ground. A file may import what stands further down, or on its own floor.
FLOORS = [
    ["tools/"],
    ["mm_main.py", "lm_main.py", "sa_main.py", "mnist_main.py"],
    ["experiment.py"],
    ["sweeps/"],
    ["reports/"],
    ["training/", "mm_utils.py", "lm_utils.py", "sa_utils.py", "mnist_utils.py"],
    ["data_preparation/"],
    ["cells/"],
    ["files/"],
]


def sources():
    """The paths of all Python files outside tests/, relative to the project."""
    found = []
    for pattern in ("*.py", "*/*.py", "*/*/*.py"):
        found += [os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, pattern))]
    return sorted(path for path in found if not path.startswith(("tests", "runs", "data" + os.sep)))


def floor(path):
    """The number of the floor a file stands on, the roof being 0."""
    for number, rooms in enumerate(FLOORS):
        if any(path == room or room.endswith("/") and path.startswith(room) for room in rooms):
            return number
    raise AssertionError("%s stands on no floor" % path)


def file_of(module):
    """The file of one of our modules; None for those of others."""
    base = module.replace(".", "/")
    for path in (base + ".py", base + "/__init__.py"):
        if os.path.exists(os.path.join(ROOT, path)):
            return path
    return None


def imports(path):
    """The files of ours that a file imports anywhere in it."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "%s has a relative import" % path
            modules |= {node.module + "." + alias.name for alias in node.names} | {node.module}
    return {file_of(module) for module in modules} - {None, path}


def test_every_import_runs_down():
    wrong = ["%s imports %s" % (path, other)
             for path in sources() for other in sorted(imports(path))
             if floor(other) < floor(path)]
    assert wrong == []


def test_no_import_runs_in_a_circle():
    graph = {path: imports(path) for path in sources()}
    done = set()

    def visit(path, above):
        assert path not in above, " -> ".join(above[above.index(path):] + [path])
        if path not in done:
            for other in sorted(graph[path]):
                visit(other, above + [path])
            done.add(path)

    for path in graph:
        visit(path, [])
