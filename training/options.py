"""The command line of a script: an option for each constant, and a help that shows the table."""

import argparse
import os
import shlex
import textwrap

from cells import registry
from files.errors import OneLineParser
from training.constants import Constant

_FOOT = """
Relative data and run folders are those of the project's folder, and ~ is your home."""


def parse(script_globals, constants, arguments):
    """The options that are given on the command line, {name: text}. Raises UserError.

    arguments: the words of the command line; None for sys.argv[1:].
    """
    script = os.path.basename(script_globals["__file__"])
    parser = OneLineParser(prog=script, description=script_globals["__doc__"], allow_abbrev=False,
                           epilog=_published_values(script_globals["PUBLISHED"]) + _FOOT,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = {}
    for constant in constants:
        if constant.group not in groups:
            groups[constant.group] = parser.add_argument_group(constant.group)
        default = "" if constant.value is None else ", now %r" % (constant.value,)
        text = "%s [%s%s]" % (constant.meaning, constant.allowed, default)
        groups[constant.group].add_argument("--" + constant.name, metavar="X",
                                            default=argparse.SUPPRESS,
                                            help=text.replace("%", "%%"))
    return vars(parser.parse_args(arguments))


def _published_values(table):
    """The table as text: data sets with the same values share a paragraph."""
    alike = {}
    for name, values in table.items():
        text = ", ".join("%s=%s" % item for item in values.items())
        alike.setdefault(text, []).append(name)
    lines = ["Data sets, and their values of what is None (those of the cells are in "
             "cells/registry.py):"]
    for text, names in alike.items():
        lines += ["", "  " + ", ".join(names)]
        lines += textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines + ["", "Cells: " + ", ".join(registry.CELLS), ""])


def int_option(option, least):
    """The `type` of an argparse option that is an int >= least; it raises UserError."""
    return Constant(option, None, "", "int >= %d" % least, "").check


def option_words(values):
    """{name: value} as the words of a command line."""
    return ["--%s=%s" % item for item in values.items()]


def command_line(call, options):
    """The command that adds `options`, {name: value}, to a shell's `call` of a script."""
    words = []
    for name, value in options.items():
        if str(value).startswith("-"):  # argparse takes a word such as -5e-05 for an option
            words += ["--%s=%s" % (name, value)]
        else:
            words += ["--" + name, str(value)]
    return " ".join([call] + [shlex.quote(word) for word in words])
