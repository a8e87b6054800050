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
    older = EarlyStopping(5, 100, lower_is_better=True)
    older.restore({"best": 2.0, "best_epoch": 4, "epochs_done": 7})
    assert older.longest_wait == 3


def test_what_overflowed_is_never_the_best():
    stopping = EarlyStopping(3, 100, lower_is_better=True)
    assert feed(stopping, [float("inf"), float("inf"), 900.0]) == [False, False, True]
    assert (stopping.best, stopping.best_epoch, stopping.reason) == (900.0, 3, None)
    older = EarlyStopping(3, 100, lower_is_better=True)
    # By an earlier version:
    older.restore({"best": float("inf"), "best_epoch": 1, "epochs_done": 1})
    assert older.update(900.0)


@pytest.mark.parametrize("state", [
    {}, [], {"best": "1", "best_epoch": 1, "epochs_done": 1},
    {"best": 1.0, "best_epoch": -1, "epochs_done": 1},
    {"best": 1.0, "best_epoch": 1, "epochs_done": True}])
def test_what_is_no_state_is_refused(state):
    with pytest.raises((LookupError, TypeError, ValueError)):
        EarlyStopping(3, 100, lower_is_better=True).restore(state)
