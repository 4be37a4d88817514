from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.evaluation.bootstrap import (
    Interval,
    apgr_of,
    intervals,
    mean_of,
    of_curves,
    paired_difference,
    weightings,
)
from router.evaluation.metrics import call_curve


def test_whole_groups_are_drawn_and_the_first_weighting_is_of_all_questions() -> None:
    drawn = list(weightings(["a", "a", "b", "c"], 50))

    assert drawn[0].tolist() == [1, 1, 1, 1]
    assert all(each[0] == each[1] for each in drawn)
    assert all(each[1] + each[2] + each[3] == 3 for each in drawn[1:])


def test_the_interval_of_a_mean_is_about_two_standard_errors_around_it() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)

    found = intervals(lambda weights: [mean_of(values)(weights)], [str(each) for each in range(400)])[0]

    assert found.value == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(4 * 2 / 20, rel=0.1)


@given(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from([0.0, 1.0])), min_size=5, max_size=30))
def test_a_method_is_not_different_from_itself(rows: list[tuple[float, float]]) -> None:
    scores, weak = np.array(rows).T
    groups = [str(each) for each in range(len(rows))]
    one = apgr_of([scores, -scores], weak, np.ones(len(rows)) * 2)

    assert paired_difference(one, one, groups, resamples=5) == Interval(0.0, 0.0, 0.0)


def test_pairing_finds_what_two_separate_intervals_cannot() -> None:
    """One method is right a little more often on the same questions, of which some are much harder."""
    hard = np.random.default_rng(1).random(300) * 10
    groups = [str(each) for each in range(300)]
    better = mean_of(hard + np.linspace(0, 0.2, 300))

    gain = paired_difference(better, mean_of(hard), groups, resamples=200)
    apart = intervals(lambda weights: [better(weights), mean_of(hard)(weights)], groups, resamples=200)

    assert gain.clear
    assert apart[0].low < apart[1].high


def test_several_seeds_count_by_their_mean() -> None:
    random = np.random.default_rng(2)
    scores = random.random((3, 50))
    weak, strong = random.integers(0, 2, (2, 50)).astype(float)

    found = of_curves(scores, weak, strong, lambda curve: [curve.apgr(), curve.cpt(0.5)])(np.ones(50))

    curves = [call_curve(each, weak, strong) for each in scores]
    assert found == pytest.approx(
        [np.mean([each.apgr() for each in curves]), np.mean([each.cpt(0.5) for each in curves])]
    )


def test_resamples_without_a_value_do_not_spoil_the_interval() -> None:
    """A few draws of three questions show no gap at all, so nothing that could be recovered."""
    found = intervals(
        lambda weights: [apgr_of([[1, 2, 3]], [0, 0, 0], [0, 1, 0])(weights)], ["a", "b", "c"], resamples=50
    )[0]

    assert np.isfinite([found.low, found.high]).all()


def test_what_has_no_value_is_null_in_json() -> None:
    assert Interval(float("nan"), 0.0, 1.0).json() == {"value": None, "low": 0.0, "high": 1.0}
