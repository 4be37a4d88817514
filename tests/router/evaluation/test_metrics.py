from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.evaluation.metrics import Ranking, brier, call_curve, reliability

WEAK = np.array([1, 0, 0, 0, 1, 0, 0, 1, 0, 0], float)
STRONG = np.array([1, 1, 1, 0, 0, 1, 0, 1, 1, 1], float)

outcomes = st.lists(
    st.tuples(st.integers(-50, 50), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=2,
    max_size=40,
)


def test_ten_questions_give_eleven_points_from_no_strong_calls_to_all() -> None:
    """By hand: edges of ten bins of ten different scores let 0, 1, 2 ... 9, 10 of them through."""
    curve = call_curve(np.arange(10)[::-1], WEAK, STRONG)

    assert curve.strong_share == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert curve.quality == pytest.approx([0.3, 0.3, 0.4, 0.5, 0.5, 0.4, 0.5, 0.5, 0.5, 0.6, 0.7])
    assert (curve.weak, curve.strong) == pytest.approx((0.3, 0.7))
    # Trapezoids: the sum of all, the ends by half, a tenth each: 0.47; (0.47 - 0.3) / (0.7 - 0.3).
    assert curve.auc() == pytest.approx(0.47)
    assert curve.apgr() == pytest.approx(0.425)


def test_the_threshold_of_a_share_lies_between_the_points_around_it() -> None:
    """20% of the gap is at .38: between 10% (.3) and 20% (.4) of strong calls, at eight tenths of the way."""
    assert call_curve(np.arange(10)[::-1], WEAK, STRONG).cpt(0.2) == pytest.approx(0.18)


def test_an_oracle_needs_strong_calls_only_where_they_help() -> None:
    """Five of ten only the strong model gets right, one only the weak one."""
    curve = call_curve(STRONG - WEAK, WEAK, STRONG)

    assert curve.strong_share == pytest.approx([0, *[0.5] * 5, *[0.9] * 4, 1.0])
    assert curve.cpt(1.0) == pytest.approx(0.4)
    assert curve.apgr() == pytest.approx(0.925)


def test_scores_that_are_all_the_same_are_worth_as_much_as_none() -> None:
    curve = call_curve(np.zeros(10), WEAK, STRONG)

    assert curve.apgr() == pytest.approx(0.5)
    assert [curve.cpt(part) for part in (0.2, 0.5, 0.8)] == pytest.approx([0.2, 0.5, 0.8])


def test_random_order_has_on_average_half_of_the_area() -> None:
    """Exactly so where edges cut evenly: over all orders of the six questions of a table, eleven points."""
    weak, strong = np.array([1, 0, 0, 1, 0, 0.0]), np.array([0, 1, 1, 1, 0, 1.0])
    curves = [call_curve(order, weak, strong) for order in permutations(range(6))]

    mean = np.mean([curve.quality for curve in curves], axis=0)
    share = curves[0].strong_share

    assert mean == pytest.approx(weak.mean() + share * (strong.mean() - weak.mean()))
    assert np.mean([curve.apgr() for curve in curves]) == pytest.approx(0.5)


@given(outcomes)
def test_thresholds_are_those_of_pandas_qcut(rows: list[tuple[int, float, float]]) -> None:
    scores, weak, strong = np.array(rows, float).T
    edges = np.percentile(scores, np.linspace(0, 1, 11) * 100)
    called = [scores >= edge for edge in edges[:-1]] + [scores > edges[-1]]

    curve = call_curve(scores, weak, strong)

    assert curve.strong_share == pytest.approx([each.mean() for each in called][::-1])
    assert curve.quality == pytest.approx([np.where(each, strong, weak).mean() for each in called][::-1])


@given(outcomes)
def test_only_the_order_of_scores_counts(rows: list[tuple[int, float, float]]) -> None:
    """Of twelve questions, so that no inner edge falls on a score but for rounding."""
    scores, weak, strong = np.array((rows * 12)[:12], float).T

    one, other = call_curve(scores, weak, strong), call_curve(np.exp(scores / 20), weak, strong)

    assert one.quality == pytest.approx(other.quality)
    assert one.strong_share == pytest.approx(other.strong_share)


@given(outcomes, st.floats(0.1, 10), st.floats(-5, 5))
def test_quality_may_be_on_any_scale(rows: list[tuple[int, float, float]], unit: float, zero: float) -> None:
    scores, weak, strong = np.array(rows, float).T
    if weak.mean() == strong.mean():
        return
    one, other = (
        call_curve(scores, weak, strong),
        call_curve(scores, zero + unit * weak, zero + unit * strong),
    )

    assert one.apgr() == pytest.approx(other.apgr(), abs=1e-6)


@given(outcomes)
def test_no_order_is_above_that_of_the_true_gain(rows: list[tuple[int, float, float]]) -> None:
    """At each of the oracle's own points, whatever else is called so often gains no more."""
    scores, weak, strong = np.array(rows, float).T
    best = call_curve(strong - weak, weak, strong)
    gains = np.sort(strong - weak)[::-1]
    bound = np.concatenate([[0], np.cumsum(gains)]) / len(gains) + weak.mean()

    for curve in (best, call_curve(scores, weak, strong)):
        calls = np.rint(curve.strong_share * len(scores)).astype(int)
        assert (curve.quality <= bound[calls] + 1e-9).all()
    assert best.quality == pytest.approx(bound[np.rint(best.strong_share * len(scores)).astype(int)])


@given(outcomes, st.integers(0, 1000))
def test_weights_mean_the_same_as_repeating_questions(
    rows: list[tuple[int, float, float]], seed: int
) -> None:
    scores, weak, strong = np.array(rows, float).T
    times = np.random.default_rng(seed).integers(0, 4, len(rows))
    times[0] += 1

    curve = Ranking(scores, weak, strong).curve(times)
    repeated = call_curve(*(np.repeat(each, times) for each in (scores, weak, strong)))

    assert curve.strong_share == pytest.approx(repeated.strong_share)
    assert curve.quality == pytest.approx(repeated.quality)


def test_two_models_that_are_equally_good_have_no_gap_to_recover() -> None:
    assert np.isnan(call_curve([1, 2], [0, 1], [1, 0]).apgr())


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out"):
        call_curve([1, 2], [0, np.nan], [1, 0])


def test_predictions_that_come_true_as_often_as_said_have_no_calibration_error() -> None:
    found = reliability([0.25, 0.25, 0.25, 0.25, 1.0], [0, 0, 0, 1, 1])

    assert found.predicted == pytest.approx([0.25, 1.0])
    assert found.observed == pytest.approx([0.25, 1.0])
    assert found.count.tolist() == [4, 1]
    assert found.ece() == pytest.approx(0.0)


def test_calibration_error_is_the_mean_gap_of_bins_by_how_many_they_hold() -> None:
    """Three said .9 of which one came true (gap .5667), one said .1 that did not (gap .1); no NaN."""
    said, seen = [0.9, 0.9, 0.9, 0.1, 0.5], [1, 0, 0, 0, np.nan]

    assert reliability(said, seen).ece() == pytest.approx((3 * (0.9 - 1 / 3) + 0.1) / 4)
    assert brier(said, seen) == pytest.approx((0.01 + 0.81 + 0.81 + 0.01) / 4)
