"""What was predicted of the latest answers is remembered, once an answer and for so many."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.accounts import Account, Limits
from gateway.cache.control import control_of
from gateway.caller import Caller
from gateway.predictions import Prediction, Predictions
from gateway.replies import Done


def caller(request_id: str) -> Caller:
    return Caller(request_id, Account(None, Limits()), control_of(()))


def done(accuracy: float, source: str) -> Done:
    chosen: Any = SimpleNamespace(accuracy=accuracy, accuracy_source=source)
    return cast(Done, SimpleNamespace(branch=SimpleNamespace(chosen=chosen)))


def test_only_what_a_predictor_said_of_this_prompt_is_a_prediction() -> None:
    known = Predictions()
    known.remember(caller("1"), done(0.8, "predicted"))
    known.remember(caller("2"), done(0.8, "measured"))
    known.remember(caller("3"), None)

    assert [known.of(each) for each in ("1", "2", "3", "4")] == [
        Prediction(None, 0.8),
        Prediction(None, None),
        Prediction(None, None),
        None,
    ]


def test_a_prediction_is_held_against_one_outcome() -> None:
    known = Predictions()
    known.remember(caller("1"), done(0.8, "predicted"))
    known.told("1")

    assert known.of("1") == Prediction(None, None)


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.predictions.MOST", 2)
    known = Predictions()
    for each in ("1", "2", "3"):
        known.remember(caller(each), None)

    assert [known.of(each) is not None for each in ("1", "2", "3")] == [False, True, True]
