from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from workers.search.stopping import agrees, cannot_lose, stays_ahead, whole_windows


@pytest.mark.parametrize(
    ("first", "second", "probability"),
    [(0, 0, 1 / 2), (1, 1, 1 / 2), (1, 0, 3 / 4), (3, 0, 15 / 16), (4, 0, 31 / 32), (5, 1, 120 / 128)],
)
def test_the_posterior_of_small_votes(first: int, second: int, probability: float) -> None:
    assert stays_ahead(first, second) == probability


@given(first=st.integers(0, 60), second=st.integers(0, 60))
def test_the_posterior_is_that_of_the_beta_distribution(first: int, second: int) -> None:
    """Adaptive-Consistency, section 3.2: P(p1 > 1/2), p1 ~ Beta(v1 + 1, v2 + 1)."""
    assert stays_ahead(first, second) == pytest.approx(beta.sf(0.5, first + 1, second + 1), abs=1e-12)


def test_four_votes_to_none_are_the_first_that_are_sure_at_95_percent() -> None:
    assert [stays_ahead(votes, 0) >= 0.95 for votes in range(6)] == [False] * 4 + [True] * 2


def test_very_long_votes_do_not_overflow() -> None:
    assert stays_ahead(3000, 2000) == pytest.approx(1.0)
    assert stays_ahead(2000, 2000) == 0.5


def test_a_leader_cannot_lose_to_what_is_too_little_to_catch_up() -> None:
    assert cannot_lose(5, 2, 2)
    assert not cannot_lose(5, 2, 3)  # a tie would be broken by something else
    assert cannot_lose(math.nextafter(5, 6), 2, 3)


def test_a_window_agrees_if_all_of_it_has_the_same_answer() -> None:
    """ESC: the entropy of the answers of a window is 0."""
    assert agrees([2, 2, 2])
    assert not agrees([2, 2, 1])
    assert not agrees([None, None])


def test_only_windows_that_are_full_count() -> None:
    assert whole_windows(7, 3) == [slice(0, 3), slice(3, 6)]
    assert whole_windows(2, 3) == []
