"""README.md and docs/: links lead somewhere, what is named exists, the README stays short."""

import ast
import functools
import glob
import importlib
import os
import re
import shlex
import subprocess
import sys
from urllib.parse import unquote

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md"] + sorted(os.path.relpath(path, ROOT)
                               for path in glob.glob(os.path.join(ROOT, "docs", "*.md")))
MAINS = ("mm_main.py", "lm_main.py", "sa_main.py", "mnist_main.py")


def text_of(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def without_code(text):
    return re.sub(r"```.*?```|^ {4}.*?$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page):
    """The words of every command line that a page shows, continued lines joined."""
    text = text_of(page).replace("\\\n", " ")
    lines = re.findall(
        r"^ {4,}(\S.*)$|`((?:python|bash|nohup|taskset)[^`\n]+)`", text, re.MULTILINE)
    for line in (indented or quoted for indented, quoted in lines):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a line of a program or of its output
            continue
        scripts = [number for number, word in enumerate(words)
                   if re.search(r"^[\w/]+\.(py|sh)$", word)]
        if scripts and set(words[:scripts[0]]) & {"python", "bash"}:
            yield words[scripts[0]], words[scripts[0] + 1:]


@functools.lru_cache(maxsize=None)
def known_options(script):
    """The options that --help of a script tells of."""
    program = ["bash"] if script.endswith(".sh") else [sys.executable]
    told = subprocess.run(program + [os.path.join(ROOT, script), "--help"], stdout=subprocess.PIPE,
                          universal_newlines=True, check=True).stdout
    return set(re.findall(r"--\w+", told))


def test_the_readme_is_short():
    assert len(text_of("README.md").encode("utf-8")) <= 12 * 1024
    assert text_of("README.md").count("\n") <= 200


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page)))
    for link in links:
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (os.path.normpath(os.path.join(os.path.dirname(page), unquote(path)))
                  if path else page)
        assert os.path.exists(os.path.join(ROOT, target)), link
        if anchor and target.endswith(".md"):
            assert unquote(anchor) in anchors(target), link


def names_in(path):
    """What a file of Python defines: functions, classes, their methods, constants."""
    names = set()
    for node in ast.parse(text_of(path)).body:
        names.update(target.id for target in getattr(node, "targets", ()) if hasattr(target, "id"))
        for target in getattr(node, "targets", ()):
            names.update(name.id for name in getattr(target, "elts", ()))
        if hasattr(node, "name"):
            names.add(node.name)
            names.update("%s.%s" % (node.name, part.name)
                         for part in getattr(node, "body", ()) if hasattr(part, "name"))
    return names


def test_what_the_guide_to_the_code_names_is_where_it_says():
    text = text_of(os.path.join("docs", "code.md"))
    named = re.findall(r"\]\(\.\./(\S+\.py)\)\s+`([\w.]+)`", text)
    assert len(named) > 30
    for path, name in named:
        assert name in names_in(path), (path, name)


def test_the_commands_of_the_pages_are_found():
    assert sum(len(list(commands(page))) for page in PAGES) > 80


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page):
    for script, words in commands(page):
        assert os.path.exists(os.path.join(ROOT, script)), script
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        if script in ("run.sh", "test.sh"):
            continue
        unknown = set(options) - known_options(script)
        if script == "tools/reproduce.py":
            unknown -= known_options("mm_main.py")
        assert not unknown, (script, words)


@pytest.mark.parametrize("page", PAGES)
def test_every_data_set_and_cell_exists(page):
    for script, words in commands(page):
        if script not in MAINS:
            continue
        module = importlib.import_module(script[:-3])
        given = dict(zip(words, words[1:]))
        assert given.get("--data_set_name", module.data_set_name) in module.PUBLISHED, words
        assert given.get("--cell_name", "RRU") in (
            "RRU", "GRU", "LSTM", "MogrifierLSTM", "YourCell")
