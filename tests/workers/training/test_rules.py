"""Which checkpoint becomes the model, and which questions it is validated on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.training.learning.rules import Verdict, after_rise, held_out, judge, lowest


@pytest.mark.parametrize(
    ("losses", "kept", "is_final"),
    [
        ([3.0], 0, False),
        ([3.0, 2.0], 1, False),
        ([3.0, 2.0, 2.5], 2, False),  # it rises: one more
        ([3.0, 2.0, 2.5, 2.7], 3, True),
        ([3.0, 2.0, 2.5, 2.2], 3, True),  # still above the lowest
        ([3.0, 2.0, 2.5, 1.9], 3, False),  # it was no rise
        ([3.0, 2.0, 2.0, 2.0], 3, True),  # what does not fall any more has risen
        ([3.0, 2.0, math.nan, math.nan], 3, True),
    ],
)
def test_a_revision_model_is_the_checkpoint_one_evaluation_after_the_rise(
    losses: list[float], kept: int, is_final: bool
) -> None:
    assert judge(losses, after_rise(1)) == Verdict(kept, is_final)


def test_no_evaluation_after_the_rise_is_the_one_that_saw_it() -> None:
    assert judge([3.0, 2.0, 2.5], after_rise(0)) == Verdict(2, True)


@pytest.mark.parametrize(
    ("losses", "kept", "is_final"),
    [
        ([3.0], 0, False),
        ([3.0, 2.0, 2.5], 1, False),
        ([3.0, 2.0, 2.5, 2.1], 1, True),
        ([3.0, 2.0, 2.5, 1.9], 3, False),
        ([math.nan, 2.0], 1, False),
    ],
)
def test_a_verifier_is_the_best_checkpoint(losses: list[float], kept: int, is_final: bool) -> None:
    assert judge(losses, lowest(2)) == Verdict(kept, is_final)


@given(st.lists(st.text(), min_size=1), st.floats(0.01, 0.99), st.integers(0, 9))
def test_questions_are_held_out_whole_whatever_their_order(
    questions: list[str], share: float, seed: int
) -> None:
    held = held_out(questions, share, seed)
    assert held == held_out(questions[::-1] * 2, share, seed)
    assert held <= set(questions)
    assert len(held) == max(1, round(len(set(questions)) * share))


def test_another_seed_holds_out_other_questions() -> None:
    questions = [f"Q{number}" for number in range(100)]
    assert held_out(questions, 0.1, 1) != held_out(questions, 0.1, 2)
