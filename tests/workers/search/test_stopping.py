from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.search.stopping import agrees, cannot_lose, stays_ahead, whole_windows


@pytest.mark.parametrize(
    ("first", "second", "probability"),
    [(0, 0, 1 / 2), (1, 1, 1 / 2), (1, 0, 3 / 4), (3, 0, 15 / 16), (4, 0, 31 / 32), (5, 1, 120 / 128)],
)
def test_the_posterior_of_small_votes(first: int, second: int, probability: float) -> None:
    assert stays_ahead(first, second) == probability


@given(first=st.integers(0, 40), second=st.integers(0, 40))
def test_the_posterior_is_that_of_the_beta_distribution(first: int, second: int) -> None:
    """Adaptive-Consistency, section 3.2: P(p > 1/2) for p ~ Beta(v1 + 1, v2 + 1), by its integral."""

    def integral(start: Fraction) -> Fraction:
        """Of t^v1 (1 - t)^v2 from ``start`` to 1, the second factor multiplied out."""
        terms = (
            (-1) ** k * math.comb(second, k) * (1 - start ** (first + k + 1)) / (first + k + 1)
            for k in range(second + 1)
        )
        return sum(terms, Fraction(0))

    expected = integral(Fraction(1, 2)) / integral(Fraction(0))
    assert stays_ahead(first, second) == pytest.approx(float(expected), abs=1e-15)


def test_four_votes_to_none_are_the_first_that_are_sure_at_95_percent() -> None:
    assert [stays_ahead(votes, 0) >= 0.95 for votes in range(6)] == [False] * 4 + [True] * 2


def test_very_long_votes_do_not_overflow() -> None:
    assert stays_ahead(900, 600) == pytest.approx(1.0)
    assert stays_ahead(700, 700) == 0.5


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
