"""Early stopping: strict improvement, patience, and a state that goes into checkpoints."""

import pytest

from files.errors import UserError
from training.early_stopping import EarlyStopping


def feed(stopping, values):
    return [stopping.update(value) for value in values]


def test_stops_when_epochs_without_improvement_equal_the_patience():
    stopping = EarlyStopping(2, 100, lower_is_better=True)
    assert feed(stopping, [3.0, 2.0, 2.0]) == [True, True, False]
    assert stopping.reason is None
    stopping.update(2.5)
    assert "patience 2" in stopping.reason
    assert (stopping.best, stopping.best_epoch) == (2.0, 2)


def test_higher_can_be_better():
    stopping = EarlyStopping(1, 100, lower_is_better=False)
    assert feed(stopping, [0.5, 0.6, 0.6]) == [True, True, False]
    assert stopping.reason


def test_nan_is_no_improvement():
    stopping = EarlyStopping(2, 100, lower_is_better=True)
    assert feed(stopping, [3.0, float("nan")]) == [True, False]


def test_limit_of_epochs():
    stopping = EarlyStopping(5, 2, lower_is_better=True)
    feed(stopping, [3.0, 2.0])
    assert "limit of 2 epochs" in stopping.reason


def test_continues_from_its_state():
    first = EarlyStopping(3, 100, lower_is_better=True)
    feed(first, [3.0, 2.0, 2.5])
    second = EarlyStopping(3, 100, lower_is_better=True)
    second.restore(first.state())
    feed(first, [2.5, 2.5])
    feed(second, [2.5, 2.5])
    assert first.reason == second.reason and first.reason is not None


def test_the_longest_wait_is_kept_in_the_state():
    stopping = EarlyStopping(5, 100, lower_is_better=True)
    feed(stopping, [3.0, 3.5, 3.5, 2.0, 2.5])
    again = EarlyStopping(5, 100, lower_is_better=True)
    again.restore(stopping.state())
    assert stopping.longest_wait == again.longest_wait == 2
    again.check_limits("run")
    again.patience = 1
    with pytest.raises(UserError, match="patience is 1, but run has waited 2 epochs"):
        again.check_limits("run")


def test_what_overflowed_is_never_the_best():
    stopping = EarlyStopping(3, 100, lower_is_better=True)
    assert feed(stopping, [float("inf"), float("inf"), 900.0]) == [False, False, True]
    assert (stopping.best, stopping.best_epoch, stopping.reason) == (900.0, 3, None)


STATE = {"best": 1.0, "best_epoch": 1, "epochs_done": 1, "longest_wait": 0, "pruned": None}


@pytest.mark.parametrize("state", [
    {}, [], {"best": 1.0}, dict(STATE, best="1"), dict(STATE, best_epoch=-1),
    dict(STATE, epochs_done=True), dict(STATE, pruned=1), dict(STATE, longest_wait=None)])
def test_what_is_no_state_is_refused(state):
    stopping = EarlyStopping(3, 100, lower_is_better=True)
    stopping.restore(STATE)
    with pytest.raises((LookupError, TypeError, ValueError)):
        stopping.restore(state)
