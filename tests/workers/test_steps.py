from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.steps import LINES, Steps, Thinking


def test_a_step_is_a_line_with_the_newlines_that_end_it() -> None:
    assert LINES.split("1 + 2 = 3\n\n3 * 4 = 12\nThe answer is 12.") == (
        "1 + 2 = 3\n\n",
        "3 * 4 = 12\n",
        "The answer is 12.",
    )


def test_blank_lines_at_the_start_belong_to_the_first_step() -> None:
    assert LINES.split("\n \n1 + 2 = 3\nso 3") == ("\n \n1 + 2 = 3\n", "so 3")


def test_an_empty_turn_has_no_step() -> None:
    assert LINES.split("") == ()
    assert LINES.first("") == ""


@given(st.text(alphabet="ab \n\t", max_size=40))
def test_steps_joined_are_the_turn_and_none_is_empty(text: str) -> None:
    steps = LINES.split(text)
    assert "".join(steps) == text
    assert all(steps)
    assert LINES.first(text) == (steps[0] if steps else "")


THINKS = Steps(thinking=Thinking())
TEMPLATE_THINKS = Steps(thinking=Thinking(start=None))
COUNTS_INSIDE = Steps(thinking=Thinking(steps="inside"))
THOUGHT = "<think>\nHm.\nWell.\n</think>\n\n3 + 4 = 7\nThe answer is 7."


def test_thinking_is_no_part_of_the_answer() -> None:
    assert THINKS.answer(THOUGHT) == "3 + 4 = 7\nThe answer is 7."
    assert COUNTS_INSIDE.answer(THOUGHT) == "3 + 4 = 7\nThe answer is 7."
    assert TEMPLATE_THINKS.answer("Hm.\n</think>\nThe answer is 7.") == "The answer is 7."
    assert LINES.answer(THOUGHT) == THOUGHT


def test_a_turn_that_still_thinks_has_no_answer() -> None:
    assert THINKS.answer("<think>\nThe answer is 7.") == ""
    assert TEMPLATE_THINKS.answer("The answer is 7.") == ""


def test_a_turn_that_does_not_begin_with_thinking_does_not_think() -> None:
    turn = "The mark </think> ends thinking.\nThe answer is 7."
    assert THINKS.answer(turn) == turn
    assert THINKS.split(turn) == ("The mark </think> ends thinking.\n", "The answer is 7.")


def test_steps_after_the_thinking_are_counted_or_steps_inside_it_too() -> None:
    assert THINKS.split(THOUGHT) == (
        "<think>\nHm.\nWell.\n</think>\n\n3 + 4 = 7\n",
        "The answer is 7.",
    )
    assert COUNTS_INSIDE.split(THOUGHT)[:2] == ("<think>\n", "Hm.\n")
    assert THINKS.judged(THOUGHT) == "3 + 4 = 7\nThe answer is 7."
    assert COUNTS_INSIDE.judged(THOUGHT) == THOUGHT


def test_uncounted_thinking_goes_on_to_its_end_and_then_a_step_to_its_own() -> None:
    assert THINKS.stop_after("<think>\n") == ("</think>",)
    assert THINKS.stop_after("<think>\nHm.\n</think>") == ("\n",)
    assert THINKS.stop_after("") == ("\n",)  # it may not think at all
    assert TEMPLATE_THINKS.stop_after("") == ("</think>",)
    assert COUNTS_INSIDE.stop_after("<think>\n") == ("\n",)


@pytest.mark.parametrize("steps", [THINKS, TEMPLATE_THINKS, COUNTS_INSIDE, LINES])
@pytest.mark.parametrize(
    "turn", [THOUGHT, "7", "<thin air\n", "\n\n<think>a</think>b", "<think>never ends", "a</think>\n\nb\n"]
)
def test_the_answer_so_far_only_grows_and_is_the_answer_at_the_end(steps: Steps, turn: str) -> None:
    told = ""
    for length in range(len(turn) + 1):
        known = steps.answer_so_far(turn[:length])
        assert known.startswith(told)
        told = known
    assert told == steps.answer(turn)
