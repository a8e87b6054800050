"""Progress lines: the time that is left, as people say it."""

import pytest

from files import progress
from files.output import print_line
from files.progress import ProgressLine, duration


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (363, "6 min 3 s"),
    (3599.7, "1 h 0 min"), (4830, "1 h 20 min"), (100000, "27 h 46 min")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_line_in_a_file_says_what_is_done_and_left(monkeypatch):
    class Run(object):
        lines = []
        log = lines.append

    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with ProgressLine(Run(), "epoch 2", 500, 20) as line:
        now[0] += progress.SECONDS_BETWEEN_LINES + 1
        line.update(30, loss=0.25)
        now[0] += progress.SECONDS_BETWEEN_LINES + 1
        line.update(500)
    assert Run.lines == ["epoch 2: 30 of 500 batches, loss 0.2500, 47 min 47 s left",
                         "epoch 2: 500 of 500 batches, 0 s left"]


def test_a_name_that_is_not_unicode_is_printed(capsys):
    print_line("f\udcfcr.mid: it is damaged")
    assert capsys.readouterr().out == "f?r.mid: it is damaged\n"
