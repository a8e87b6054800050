"""Printing, also of strangers' texts and to closed standard streams. Standard library only."""

import contextlib
import errno
import os
import sys


def printable(text):
    """`text` on one line, with control characters (a terminal would obey them) as blanks."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def print_line(text=""):
    """Print a line to standard output at once; nothing if that is closed.

    What its encoding lacks, and the bytes of a file's name that are not UTF-8, come out as "?". If
    its terminal is gone, as after `disown`, nothing is printed: a training has its log.txt.
    """
    if _is_open(sys.stdout):
        encoding = sys.stdout.encoding or "utf-8"
        line = text.encode(encoding, "replace").decode(encoding) + "\n"
        try:
            print(line, end="", flush=True)  # in one piece: several threads may print
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            drop_output()


def drop_output():
    """Send standard output, with what is still to be flushed, to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def print_error(text):
    """Print `text` as one line to standard error; nothing if that is closed or nobody reads it."""
    if _is_open(sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads the pipe, the terminal is gone
            print(printable(text), file=sys.stderr, flush=True)


def is_terminal(stream):
    """Whether a stream, which may be None or closed, is a terminal."""
    return _is_open(stream) and stream.isatty()


def _is_open(stream):
    return stream is not None and not stream.closed


@contextlib.contextmanager
def silent_standard_error():
    """Drop what is written to standard error meanwhile, also by C++ code."""
    open_closed_streams()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def open_closed_streams():
    """Put the null device in place of standard streams that were closed when the process began.

    A daemon's streams may be. Otherwise the next file that is opened would take their numbers, and
    what a library writes to "standard error" would end up in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(null, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))
