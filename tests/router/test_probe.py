"""Algorithm 6's bins, at their boundaries."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.probe import bin_of, difficulty_of
from router.types import Bin, Evidence


@pytest.mark.parametrize(
    ("p_right", "expected"),
    [
        (1.0, Bin.EASY),
        (math.nextafter(0.6, 1), Bin.EASY),
        (0.6, Bin.MEDIUM),
        (math.nextafter(0.35, 1), Bin.MEDIUM),
        (0.35, Bin.HARD),
        (math.nextafter(0.15, 1), Bin.HARD),
        (0.15, Bin.VERY_HARD),
        (0.0, Bin.VERY_HARD),
    ],
)
def test_a_score_on_a_threshold_belongs_to_the_harder_bin(p_right: float, expected: Bin) -> None:
    assert bin_of(p_right) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_score_is_never_in_a_harder_bin(one: float, other: float) -> None:
    order = list(Bin)
    better, worse = max(one, other), min(one, other)
    assert order.index(bin_of(better)) <= order.index(bin_of(worse))


def test_difficulty_is_the_mean_score_and_how_far_the_answers_agree() -> None:
    difficulty = difficulty_of(Evidence((0.9, 0.5, 0.1, 0.1), ("4", "4", "5", None)))
    assert difficulty.p_right == pytest.approx(0.4)
    assert (difficulty.bin, difficulty.samples, difficulty.agreement) == (Bin.MEDIUM, 4, 0.5)


def test_samples_without_an_answer_agree_with_nothing() -> None:
    assert difficulty_of(Evidence((0.9, 0.9), (None, None))).agreement == 0.0


@pytest.mark.parametrize(
    "evidence",
    [Evidence((), ()), Evidence((0.5,), ()), Evidence((1.5,), ("4",)), Evidence((math.nan,), ("4",))],
    ids=["no sample", "no answer", "above 1", "not a number"],
)
def test_evidence_that_makes_no_sense_is_refused(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match=r"a probe has|a verifier scores"):
        difficulty_of(evidence)
