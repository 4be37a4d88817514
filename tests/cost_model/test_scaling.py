"""pass@k without bias."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.scaling import pass_at_k


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
