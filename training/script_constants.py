"""Read the constants at the top of a script, see training/constants.py, and those of the cells."""

import difflib
import keyword
import os
import re
import tokenize

from cells import registry
from files.errors import UserError, did_you_mean
from training.constants import Constant

_MEANING = re.compile(r"# (.+) \[([^\]]+)\]\s*$")
_GROUP = re.compile(r"# ---- (.+)")


def read_constants(script_globals):
    """The constants of a script in order, with the values that its globals have now.

    Raises UserError for a constant without its comment, for one that is there twice, for an
    assignment that is none but has nearly the name of one, and for a value in the table PUBLISHED
    that is of none.
    """
    constants, others = {}, []
    script = os.path.basename(script_globals["__file__"])
    for name, line, comments, group in _assignments(script_globals["__file__"]):
        found = next(filter(None, map(_MEANING.match, comments)), None)
        if found and _may_be_constant(name):
            if name in constants:
                raise UserError("line %d of %s sets the constant %s again" % (line, script, name),
                                "leave one of the two")
            constants[name] = Constant(name, script_globals[name], *found.groups(), group)
        else:
            others.append((name, line))
    for name, line in others:
        _check_other(name, "line %d of %s" % (line, script), constants)
    for data_set_name, values in script_globals["PUBLISHED"].items():
        for name in set(values) - set(constants):
            raise UserError("the table PUBLISHED of %s has %s for %s, which is none of its "
                            "constants%s" % (script, name, data_set_name,
                                             did_you_mean(name, constants)))
    return list(constants.values())


def _may_be_constant(name):
    return name[0].islower()


def _check_other(name, place, constants):
    """Refuse an assignment at the top that was meant to be a constant."""
    if name.startswith("_") or name in ("TASK", "PUBLISHED"):
        return
    meant = name if name in constants else next(iter(difflib.get_close_matches(
        name.lower(), constants, 1, 0.8)), None)
    if meant == name:
        raise UserError("%s sets the constant %s again" % (place, name), "leave one of the two")
    if meant:
        raise UserError("%s sets %s, which is not a constant, did you mean %s?" % (
            place, name, meant), "correct it, or begin the name with _ if it is none")
    if _may_be_constant(name):
        raise UserError("%s: the constant %s has lost its comment `# meaning [kind and range]`" % (
            place, name), "put it back as it was (or begin the name with _ if it is none)")


def _assignments(path):
    """Yield (name, line, comments, group) of each assignment above the first function."""
    group, words, comments = "Settings", [], []
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT and words:
                comments.append(token.string)
            elif token.type == tokenize.COMMENT and _GROUP.match(token.string):
                group = _GROUP.match(token.string).group(1).strip()
            elif token.type == tokenize.NEWLINE:
                if words[0] in ("def", "class"):
                    return
                if words[1:2] in (["="], [":"]) and not keyword.iskeyword(words[0]):
                    yield words[0], token.start[0], comments, group
                words, comments = [], []
            elif token.type in (tokenize.NAME, tokenize.OP, tokenize.STRING, tokenize.NUMBER):
                words.append(token.string)


def cell_constants():
    """The hyperparameters of all cells as Constants, in groups such as "Cell RRU"."""
    found = []
    for cell_name, cell in registry.CELLS.items():
        for name, own in cell.hyperparameters.items():
            found.append(Constant(name, None, own.meaning, own.allowed, "Cell " + cell_name))
    return found
