from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.fitting.calibrating import fit_calibrator, log_loss, shares_as_labels
from router.predictor.calibrator import EDGE

GROUPS = tuple(map(str, range(2000)))


def test_a_raw_score_that_is_sigmoid_shaped_is_read_by_platts_method() -> None:
    random = np.random.default_rng(0)
    raw = random.normal(size=2000)
    right = (random.random(2000) < 1 / (1 + np.exp(-(0.5 + 2 * raw)))).astype(float)
    calibrator = fit_calibrator(raw, right, GROUPS, seed=0)
    assert calibrator.knots is None
    assert (calibrator.intercept, calibrator.slope) == pytest.approx((0.5, 2), abs=0.25)


def test_a_raw_score_with_a_step_is_read_by_isotonic_regression() -> None:
    random = np.random.default_rng(0)
    raw = random.uniform(0, 1, 2000)
    right = (random.random(2000) < np.where(raw > 0.9, 0.95, 0.4)).astype(float)
    calibrator = fit_calibrator(raw, right, GROUPS, seed=0)
    assert calibrator.knots is not None
    assert calibrator(np.array([0.2, 0.95])) == pytest.approx([0.4, 0.95], abs=0.06)


@given(st.integers(0, 30), st.booleans())
def test_an_action_always_right_or_never_is_predicted_by_the_rule_of_succession(
    more: int, right: bool
) -> None:
    count = 10 + more
    calibrator = fit_calibrator(
        np.linspace(0, 1, count), np.full(count, float(right)), GROUPS[:count], seed=0
    )
    share = (count * right + 1) / (count + 2)
    assert calibrator(np.array([-5.0, 5.0])) == pytest.approx([share, share])


def test_no_prediction_is_ever_certain() -> None:
    raw = np.linspace(0, 1, 100)
    calibrator = fit_calibrator(raw, (raw > 0.5).astype(float), GROUPS[:100], seed=0)
    assert EDGE <= calibrator(np.array([-1e9]))[0] < calibrator(np.array([1e9]))[0] <= 1 - EDGE


def test_unknown_outcomes_are_left_out() -> None:
    raw, right = np.linspace(0, 1, 200), np.tile([0.0, 1.0], 100)
    holes = np.where(np.arange(200) < 100, np.nan, right)
    assert fit_calibrator(raw, holes, GROUPS[:200], 0) == fit_calibrator(
        raw[100:], right[100:], GROUPS[100:200], 0
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_shares_count_in_parts_as_right_and_as_wrong(shares: list[float]) -> None:
    right = np.array(shares)
    rows, labels, weights = shares_as_labels(right)
    predicted = np.linspace(0.1, 0.9, len(right))
    by_label = -np.sum(weights * np.where(labels == 1, np.log(predicted[rows]), np.log(1 - predicted[rows])))
    assert by_label == pytest.approx(log_loss(predicted, right) * len(right))
