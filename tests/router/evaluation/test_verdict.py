"""The verdict looks at several routers, and the best of them may be good by luck."""

from __future__ import annotations

import pytest

from router.evaluation.bootstrap import Interval
from router.evaluation.verdict import Candidate, Verdict, decide

NOTHING = Interval(-0.01, -0.02, 0.0)
CHANCE = Interval(0.5, 0.4, 0.6)
BARELY = Interval(0.024, 0.003, 0.044)


def _decided(
    *gains: Interval, mixes: Interval | None = None, apgr: Interval = CHANCE, priced: bool = False
) -> Verdict:
    candidates = [Candidate(str(number), gain, mixes, apgr, None) for number, gain in enumerate(gains)]
    return decide(candidates, "strong", priced=priced, cheaper="weak")


def test_an_interval_is_wider_as_one_of_several_and_the_same_alone() -> None:
    interval = Interval(0.0, -1.96, 3.92)
    assert interval.among(1) == interval
    assert interval.among(2).low == pytest.approx(-2.241, abs=0.001)  # normal quantiles at 1 - .025 / k
    assert interval.among(3).high == pytest.approx(2 * 2.394, abs=0.001)


def test_a_gain_that_is_barely_clear_alone_is_not_as_the_best_of_three() -> None:
    assert _decided(BARELY).router == "0"
    among_three = _decided(NOTHING, BARELY, NOTHING)
    assert (among_three.choice, among_three.router) == ("strong", None)
    assert "by 1, differs by +2.4 points [+0.3, +4.4], not clear of 0 as the best of 3" in among_three.reason


def test_a_clear_gain_is_clear_among_three_too() -> None:
    found = _decided(NOTHING, Interval(0.028, 0.006, 0.05), NOTHING)
    assert (found.choice, found.router) == ("route", "1")
    assert "by +2.8 points [+0.6, +5.0]" in found.reason


def test_saving_money_has_to_be_as_clear() -> None:
    assert _decided(NOTHING, mixes=BARELY, priced=True).choice == "route"
    assert _decided(NOTHING, NOTHING, NOTHING, mixes=BARELY, priced=True).choice == "strong"
    barely_useful = Interval(0.675, 0.523, 1.099)
    assert "saves money" in _decided(NOTHING, apgr=barely_useful).reason
    assert "saves money" not in _decided(NOTHING, NOTHING, NOTHING, apgr=barely_useful).reason
