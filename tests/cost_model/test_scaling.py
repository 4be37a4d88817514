"""pass@k without bias, and the laws of its growth."""

from __future__ import annotations

from itertools import combinations
from math import comb, exp, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.scaling import (
    Law,
    LogLinear,
    PowerLaw,
    coverage,
    fit,
    fit_log_linear,
    fit_power_law,
    pass_at_k,
)


def test_it_is_the_share_of_subsets_that_hold_a_right_sample() -> None:
    samples = [True, True, False, False, False, False]
    subsets = list(combinations(samples, 3))
    assert pass_at_k(6, 2, 3) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_closed_formula(case: tuple[int, int, int]) -> None:
    n, right, k = case
    assert pass_at_k(n, right, k) == pytest.approx(1 - comb(n - right, k) / comb(n, k), abs=1e-9)


def test_pass_at_1_is_the_share_of_right_samples() -> None:
    assert pass_at_k(2048, 512, 1) == pytest.approx(0.25)


@pytest.mark.parametrize("arguments", [(16, 17, 1), (16, -1, 1), (16, 4, 0), (16, 4, 17)])
def test_impossible_counts_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="needs 0 <= right <= samples"):
        pass_at_k(*arguments)


KS = [2**power for power in range(9)]
accuracies = st.floats(0.01, 1)


def test_the_line_that_made_the_numbers_is_found() -> None:
    law = fit_log_linear(KS, np.array([0.1 + 0.05 * log2(k) for k in KS]))
    assert (law.start, law.per_doubling) == pytest.approx((0.1, 0.05))
    assert law.at(64) == pytest.approx(0.4)
    assert law.at(2**30) == 1


def test_the_power_law_that_made_the_numbers_is_found() -> None:
    law = fit_power_law(KS, np.array([exp(-2 * k**-0.4) for k in KS]))
    assert law is not None
    assert (law.a, law.b) == pytest.approx((-2, -0.4))
    assert law.at(16) == pytest.approx(exp(-2 * 16**-0.4))


@pytest.mark.parametrize("covered", [0.0, 1.0])
def test_no_power_law_is_never_or_always_right(covered: float) -> None:
    assert fit_power_law(KS, np.array([covered] + [0.5] * (len(KS) - 1))) is None


laws = st.one_of(
    st.builds(LogLinear, st.floats(0, 0.9), st.floats(0.01, 0.2)),
    st.builds(PowerLaw, st.floats(-5, -0.01), st.floats(-1, -0.1)),
)


@given(laws, accuracies)
def test_as_many_samples_as_are_needed_reach_the_accuracy_and_one_less_does_not(
    law: Law, accuracy: float
) -> None:
    needed = law.samples_needed(accuracy)
    if needed is not None and needed < 2**40:
        assert law.at(needed) >= accuracy - 1e-9
        assert needed == 1 or law.at(needed - 1) < accuracy + 1e-9


def test_where_samples_do_not_help_no_number_of_them_is_enough() -> None:
    assert LogLinear(0.3, 0.0).samples_needed(0.4) is None
    assert LogLinear(0.3, -0.1).samples_needed(0.4) is None
    assert LogLinear(0.3, -0.1).samples_needed(0.2) == 1
    assert PowerLaw(-2, 0.1).samples_needed(0.5) is None
    assert PowerLaw(-2, -0.4).samples_needed(1.0) is None
    assert PowerLaw(-2, -1e-6).samples_needed(0.99) is None


def test_an_accuracy_that_is_none_is_refused() -> None:
    for law in (LogLinear(0, 1), PowerLaw(-1, -1)):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            law.samples_needed(1.2)


def test_a_law_needs_two_points() -> None:
    with pytest.raises(ValueError, match="at least two"):
        fit_log_linear([4, 4], np.array([0.1, 0.2]))


def _questions(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Of a population whose easiness is uniform: pass@k is k / (k + 1) on average."""
    rng = np.random.default_rng(5)
    right = rng.binomial(256, rng.uniform(size=count))
    return coverage(256, [int(each) for each in right], KS[:5])


def test_intervals_hold_what_was_measured_and_shrink_with_questions() -> None:
    widths = []
    for count in (50, 800):
        fitted = fit(fit_power_law, KS[:5], _questions(count), resamples=300)
        assert fitted is not None
        interval = fitted.coverage_interval(4)
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < fitted.law.at(4) < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 2


def test_an_interval_of_samples_has_no_end_where_some_resamples_never_reach_the_accuracy() -> None:
    flat = np.array([[0.5, 0.52], [0.5, 0.48], [0.5, 0.49], [0.5, 0.52]])
    fitted = fit(fit_log_linear, [1, 2], flat, resamples=300)
    assert fitted is not None
    interval = fitted.samples_interval(0.6)
    assert interval.low is not None
    assert interval.high is None


def test_the_same_questions_have_the_same_intervals() -> None:
    found = [fit(fit_log_linear, KS[:5], _questions(40), resamples=100) for _ in range(2)]
    assert found[0] == found[1]


def test_questions_that_are_never_right_have_no_power_law() -> None:
    assert fit(fit_power_law, KS[:5], np.zeros((9, 5))) is None


def test_coverage_that_is_not_known_and_no_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="coverage must be known of every question"):
        fit(fit_log_linear, [1, 2], np.array([[0.5, 0.6], [0.5, np.nan]]))
    with pytest.raises(ValueError, match="there are none"):
        fit(fit_log_linear, [1, 2], np.zeros((0, 2)))
