from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.steps import LINES


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
