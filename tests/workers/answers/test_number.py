"""Numbers: the last one of the answer, equal by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Task
from workers.answers import answers_for

NUMBERS = answers_for(Task("number"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 3,000.5 km.", "3000.5"),
        ("3 of 4 are red, 7 are not. The answer is 3 of 4.", "4"),
        (r"so \boxed{\frac{1}{2}}", "0.5"),
        ("It costs $5, then −7 dollars", "-7"),
        ("5-3", "3"),
        ("1.5 \\times 10^{3} metres", "1500"),
        ("2e-3", "0.002"),
        ("answer: 50%", "50"),
        ("1{,}000", "1000"),
        (".5", "0.5"),
        ("The answer is unknown", None),
        ("1/0", None),
        ("no number", None),
        ("9" * 5000, None),
    ],
)
def test_the_last_number_of_the_answer_is_read(text: str, number: str | None) -> None:
    assert NUMBERS.extract(text) == number


def test_decimals_are_equal_to_a_part_in_a_million_and_integers_exactly() -> None:
    same = [["1/3", "0.3333333"], ["0.1", "0.10000001"], ["1000000", "1000000.5"]]
    different = [["1/3", "0.333"], ["1000000", "1000001"], ["0.1", "-0.1"], ["0", "0.000001"]]

    assert [NUMBERS.classes(pair) for pair in same] == [(0, 0)] * 3
    assert [NUMBERS.classes(pair) for pair in different] == [(0, 1)] * 4


@given(st.one_of(st.integers(-(10**9), 10**9), st.decimals(-1000, 1000, places=3)))
def test_a_number_is_read_from_its_own_spelling(number: object) -> None:
    spelled = NUMBERS.extract(f"It is {number} now")
    assert spelled is not None
    assert NUMBERS.extract(spelled) == spelled
