"""Drift is seen soon after it happens, and hardly ever when nothing happened."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from router.drift import DriftMonitor, Wealth
from router.unseen import conformal_p_values

Floats = NDArray[np.float64]
FITTED = np.random.default_rng(0).beta(4, 2, size=1000)


def _monitor(familiar: int = 300, level: float = 0.001, seed: int = 0) -> DriftMonitor:
    return DriftMonitor(familiar, FITTED, level=level, seed=seed)


def _familiarities(random: np.random.Generator, live: Floats, familiar: int = 300) -> Floats:
    return conformal_p_values(live, np.sort(random.normal(size=familiar)))


def _after(strangeness: Floats, random: np.random.Generator, **monitor: float) -> DriftMonitor:
    watched = _monitor(**monitor)  # type: ignore[arg-type]
    rights = random.choice(FITTED, len(strangeness))
    for familiarity, right in zip(_familiarities(random, strangeness), rights, strict=True):
        watched.observe(float(familiarity), float(right))
    return watched


def test_exchangeable_traffic_raises_an_alarm_no_more_often_than_the_level() -> None:
    alarms = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        alarms += bool(_after(random.normal(size=500), random, level=0.1, seed=seed).status().alarms)
    assert alarms <= 8  # at most 4 are expected; more than 8 has a chance of 2%, were all of it used up


def test_live_prompts_join_the_calibration_so_that_their_ranks_are_uniform() -> None:
    # The familiarities themselves are not: of 20 calibration rows, the strangest may be nothing special.
    ranks: list[float] = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        monitor = _monitor(familiar=20, seed=seed)
        ranks += [
            monitor._rank(float(each))
            for each in _familiarities(random, random.normal(size=100), familiar=20)
        ]
    counts = np.histogram(ranks, bins=10, range=(0, 1))[0]
    assert np.square(counts - 300).sum() / 300 < 27.9  # chi-squared of 9 degrees, .999


def test_a_new_kind_of_prompt_is_seen_within_tens_of_queries_and_told_since_when() -> None:
    random = np.random.default_rng(1)
    live = random.normal(size=700)
    live[600:][random.random(100) < 0.5] = 9
    (alarm,) = _after(live, random).status().alarms
    assert alarm.kind == "familiarity"
    assert abs(alarm.since - 600) < 30
    assert "more prompts are unlike the fitted ones" in alarm.message
    assert "gradus fit" in alarm.message


def test_traffic_that_is_too_usual_is_drift_too() -> None:
    random = np.random.default_rng(2)
    (alarm,) = _after(random.normal(-2, 0.3, size=400), random).status().alarms
    assert "more alike" in alarm.message


def test_an_alarm_stays_when_the_traffic_comes_back() -> None:
    random = np.random.default_rng(3)
    live = np.concatenate([np.full(50, 9.0), random.normal(size=300)])
    assert [each.kind for each in _after(live, random).status().alarms] == ["familiarity"]


def test_harder_questions_are_seen_after_enough_of_them_and_the_alarm_goes_with_them() -> None:
    random = np.random.default_rng(4)
    monitor = _monitor()
    for right in random.choice(FITTED, 2000) * 0.6:
        monitor.observe(random.random(), float(right))
    (alarm,) = monitor.status().alarms
    assert alarm.kind == "difficulty"
    assert "harder" in alarm.message
    assert alarm.since == 200
    for right in random.choice(FITTED, 6000):
        monitor.observe(random.random(), float(right))
    assert not monitor.status().alarms


def test_the_stability_index_is_not_told_of_a_few_queries() -> None:
    monitor = _monitor()
    for _ in range(199):
        monitor.observe(0.5, 0.01)
    assert monitor.status().stability_index is None
    monitor.observe(0.5, 0.01)
    assert (monitor.status().stability_index or 0) > 1


def _feedback(bias: float, count: int = 1500) -> DriftMonitor:
    random = np.random.default_rng(5)
    monitor = _monitor()
    for p_right in random.uniform(0.2, 0.8, count):
        monitor.feedback(float(p_right), float(random.random() < p_right + bias))
    return monitor


def test_answers_less_often_right_than_predicted_are_drift_beyond_the_tolerance() -> None:
    assert not _feedback(0).status().alarms
    assert not _feedback(-0.04).status().alarms
    (alarm,) = _feedback(-0.2).status().alarms
    assert alarm.kind == "calibration"
    assert "less often" in alarm.message
    assert "more often" in _feedback(0.2).status().alarms[0].message


@given(st.lists(st.lists(st.floats(0, 0.99), min_size=3, max_size=3), max_size=20))
def test_wealth_never_grows_on_average_when_factors_are_fair(shares: list[list[float]]) -> None:
    # Each way bets a share on heads; after every toss the mean of the two outcomes is the wealth before it.
    tossed = Wealth(3)
    for toss, share in enumerate(shares):
        before = tossed.total
        heads, tails = [1 + each for each in share], [1 - each for each in share]
        both = []
        for factors in (heads, tails):
            either = deepcopy(tossed)
            either.bet(factors)
            both.append(either.total)
        assert np.isclose(np.mean(both), before)
        tossed.bet(heads if toss % 2 else tails)


def test_the_status_is_json() -> None:
    random = np.random.default_rng(6)
    status = _after(np.full(300, 9.0), random).status()
    assert json.loads(json.dumps(asdict(status)))["queries"] == 300
