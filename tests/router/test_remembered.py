"""A forecast is made once for each text, and is what it would be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from router.config import load_config
from router.forecast import Forecast
from router.opening import open_configured
from router.outcome_table import Action
from router.policy import plan
from router.predictor.predictor import CalibrationSplit
from router.probing import Probing
from router.remembered import Remembered, remembering
from router.types import Query


class Forecasts:
    """Says how long texts are, and notes which it was asked for."""

    actions = (Action("tiny", "small", "tiny"),)
    probing: Probing | None = None
    calibration: CalibrationSplit | None = None

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def forecast(self, texts: Sequence[str]) -> Forecast:
        self.asked.append([*texts])
        lengths = np.array([[float(len(text))] for text in texts])
        return Forecast(self.actions, lengths, lengths.copy(), lengths[:, 0].copy())


def test_each_text_is_forecast_once_and_the_same_comes_back() -> None:
    inner = Forecasts()
    remembered = Remembered(inner)
    for text in ("a", "bb", "a", "bb", "\ud800", "\ud800"):
        assert remembered.forecast([text]).right.tolist() == [[len(text)]]
    assert inner.asked == [["a"], ["bb"], ["\ud800"]]
    assert (remembered.hits, remembered.misses) == (3, 3)
    assert remembered.actions is inner.actions
    assert (remembered.probing, remembered.calibration) == (None, None)


def test_the_text_that_was_not_asked_for_longest_is_forgotten() -> None:
    inner = Forecasts()
    remembered = Remembered(inner, most=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        remembered.forecast([text])
    assert inner.asked == [["a"], ["b"], ["c"], ["b"]]


def test_of_several_texts_only_what_is_new_is_forecast_and_each_once() -> None:
    inner = Forecasts()
    remembered = Remembered(inner)
    remembered.forecast(["bb"])
    made = remembered.forecast(["a", "bb", "a", "\ud800"])
    assert made.right.tolist() == [[1], [2], [1], [1]]
    assert made.familiarity.tolist() == [1, 2, 1, 1]
    assert inner.asked == [["bb"], ["a", "\ud800"]]
    assert remembered.forecast(["a"]).completion_tokens.tolist() == [[1]]
    assert len(inner.asked) == 2


def test_a_batch_that_is_larger_than_the_memory_is_forecast_all_the_same() -> None:
    inner = Forecasts()
    remembered = Remembered(inner, most=2)
    assert remembered.forecast(["a", "bb", "ccc"]).right.tolist() == [[1], [2], [3]]
    remembered.forecast(["a"])
    assert inner.asked == [["a", "bb", "ccc"], ["a"]]


@pytest.mark.parametrize("texts", [["a"], ["a", "bb"]])
def test_nobody_can_change_what_others_get(texts: list[str]) -> None:
    remembered = Remembered(Forecasts())
    for forecast in (remembered.forecast(texts), remembered.forecast(["a"])):
        with pytest.raises(ValueError, match="read-only"):
            forecast.right[0, 0] = 1.0


def test_what_is_remembered_of_one_text_does_not_keep_its_batch() -> None:
    remembered = Remembered(Forecasts())
    batch = remembered.forecast(["a", "bb", "ccc"])
    one = remembered.forecast(["bb"])
    assert one.right.tolist() == [[2]]
    for name in ("right", "completion_tokens", "familiarity"):
        assert getattr(one, name).base is None
        assert not np.shares_memory(getattr(one, name), getattr(batch, name))


def test_a_market_that_remembers_plans_as_it_would() -> None:
    market = open_configured(load_config("abacus", {})).market
    with_memory = remembering(market)
    query = Query(({"role": "user", "content": "What is 3 + 4 * 5?"},))
    plans = [plan(query, "default", each) for each in (market, with_memory, with_memory)]
    assert plans[0] == plans[1] == plans[2]
    assert isinstance(with_memory.predictor, Remembered)
    assert (with_memory.predictor.hits, with_memory.predictor.misses) == (1, 1)
