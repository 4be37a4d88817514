"""Fits, bins, choices by fold, savings and simulated verifiers, on data whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.paper.coverage import fits
from benchmarks.paper.difficulty import folds, quantile_bins
from benchmarks.paper.grid import Action, Grid, choose_best, choose_marginal, reaching, weightings
from benchmarks.paper.samples import Draws
from benchmarks.paper.scale import is_right, simulated
from benchmarks.paper.statistics import mean_interval

KS = [2**power for power in range(9)]


def test_the_law_that_made_the_numbers_is_found() -> None:
    line = fits({k: 0.1 + 0.05 * log2(k) for k in KS})
    assert line["log"]["per_doubling"] == pytest.approx(0.05)
    assert line["log"]["r2"] == pytest.approx(1)
    assert line["farthest"]["off"] == pytest.approx(0, abs=1e-9)
    power = fits({k: exp(-2 * k**-0.4) for k in KS})
    assert power["power"]["a"] == pytest.approx(-2)
    assert power["power"]["b"] == pytest.approx(0.4)
    assert power["power"]["r2"] == pytest.approx(1)
    assert power["log"]["r2"] < 1


def test_where_nothing_is_ever_right_there_is_no_power_law() -> None:
    assert fits(dict.fromkeys(KS, 0.0))["power"] is None


@given(st.lists(st.floats(0, 1), min_size=5, max_size=60))
def test_bins_are_equally_large_and_in_order(easiness: list[float]) -> None:
    bins = quantile_bins(easiness)
    sizes = [bins.count(each) for each in range(5)]
    assert max(sizes) - min(sizes) <= 1
    for easier in range(4):
        values = [value for value, each in zip(easiness, bins, strict=True) if each == easier]
        below = [value for value, each in zip(easiness, bins, strict=True) if each == easier + 1]
        assert min(values) >= max(below)


def grid_of(right: Sequence[Sequence[float]], costs: Sequence[float]) -> Grid:
    actions = [Action(f"way {at}", int(cost)) for at, cost in enumerate(costs)]
    values = np.array(right)
    return Grid(actions, values, np.repeat(np.array(costs)[:, None], values.shape[1], axis=1))


def test_what_is_chosen_on_one_fold_is_measured_on_the_other() -> None:
    """A way that is right only in fold 0 is chosen there, and is wrong where it is measured."""
    bins = [0] * 8
    in_fold_0 = [float(fold == 0) for fold in folds(8)]
    grid = grid_of([in_fold_0, [0.25] * 8], [4, 4])
    measured = choose_best(grid, bins, weightings(8, 10))
    assert measured.choices[0][0].way == "way 0"
    assert measured.choices[1][0].way == "way 1"
    # Fold 1 is measured with way 0 (never right there), fold 0 with way 1.
    assert measured.right[0] == pytest.approx(0.125)


def test_each_bin_has_its_own_best_way_and_of_equals_the_cheaper_one() -> None:
    bins = [0, 0, 0, 0, 1, 1, 1, 1]
    grid = grid_of([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0, 0]], [8, 8, 4])
    measured = choose_best(grid, bins, weightings(8, 10))
    assert measured.right[0] == 1
    assert [each[0].way for each in measured.choices] == ["way 2", "way 2"]
    assert measured.cost[0] == 6


def test_under_a_mean_budget_what_is_spent_goes_where_it_gains() -> None:
    bins = [0, 0, 0, 0, 1, 1, 1, 1]
    cheap, dear = [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]
    grid = grid_of([cheap, dear], [1, 9])
    enough, too_little = choose_marginal(grid, bins, weightings(8, 10), [5, 4])
    assert (enough.right[0], enough.cost[0]) == (1, 5)
    assert (too_little.right[0], too_little.cost[0]) == (0.5, 1)


def test_a_saving_is_read_off_between_budgets_and_bounded_beyond_them() -> None:
    accuracy = np.array([[0.2, 0.4, 0.3, 0.6]] * 4)
    needed, reached = reaching(accuracy, [1.0, 4.0, 16.0, 64.0], np.array([0.3, 0.5, 0.1, 0.9]))
    # The fall from 4 to 16 is taken back: 0.5 is halfway from 0.4 (kept until 16) to 0.6.
    assert needed == pytest.approx([2, 32, 1, 64])
    assert list(reached) == [True, True, True, False]


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_an_interval_holds_its_mean(values: list[bool]) -> None:
    found = mean_interval([float(value) for value in values])
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("auc", [0.55, 0.7, 0.9])
def test_a_simulated_verifier_is_as_good_as_it_was_asked_to_be(auc: float) -> None:
    count = 4000
    draws = Draws([0] * count, list(range(count)), [at % 2 == 0 for at in range(count)])
    scores = simulated(draws, auc, 0.5, seed=1)
    right, wrong = scores[::2], scores[1::2]
    above = np.searchsorted(np.sort(wrong), right) / len(wrong)
    assert above.mean() == pytest.approx(auc, abs=0.03)


def test_equal_turns_get_equal_scores_and_no_answer_never_wins() -> None:
    draws = Draws([0, 1, 0, -1], [5, 6, 5, 7], [True, False, True, False])
    scores = simulated(draws, 0.9, 0.3, seed=2)
    assert scores[0] == scores[2]
    answers, right = np.array([-1, 3, 3, 2]), np.array([True, False, False, True])
    assert is_right(answers, right, np.array([0.99, 0.3, 0.3, 0.5]), weighted=False)
    assert not is_right(answers, right, np.array([0.99, 0.3, 0.3, 0.5]), weighted=True)
    assert not is_right(np.array([-1]), np.array([True]), np.array([0.9]), weighted=True)
