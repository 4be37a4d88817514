"""Final answers: found where they are stated, and spelled one way."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.answers.short import extract_answer, normalise, states_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12 + 3 = 15\n15 * 2 = 30\nThe answer is 30.", "30"),
        ("The answer is 3.\nWait.\nThe answer is 4.", "4"),
        ("The answer is: 4", "4"),
        ("the final answer is $1,234.50!", "1234.5"),
        ("**Answer:** 7", "7"),
        ("**The answer is 7.**", "7"),
        ("So we get\n#### 1,000", "1000"),
        ("The answer is 42. I hope this helps!", "42"),
        ("The answer is 2.50 dollars per kilo.", "2.5"),
        ("The answer is Paris.", "paris"),
        (r"so \boxed{\frac{1}{2}} it is", "0.5"),
        (r"\boxed{1} then \boxed{x_{1} + {2}}", "x_{1} + {2}"),
        (r"The answer is 3, so \boxed{4}.", "4"),
        (r"\boxed{3{,}000\text{ apples}}", "3000"),
        (r"$\boxed{45^\circ}$", "45"),
        (r"\boxed{5}. Check: \boxed{}", "5"),
        (r"\boxed{5} and \boxed{ }.", "5"),
        (r"a \boxed{ that never closes. The answer is 5.", "5"),
        ("2 + 2 = 4", "4"),
        ("x = -5", "-5"),
        ("It is Paris.", "it is paris"),
        ("  7.  \n\n", "7"),
    ],
)
def test_the_answer_is_found(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    ["", " \n ", "...", r"so \boxed{}", "I would have to think about this for a very long time, and more."],
)
def test_without_an_answer_there_is_none(text: str) -> None:
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    "spellings",
    [
        [
            "1000",
            "1,000",
            "1000.0",
            "1,000.00",
            "$1,000",
            "1000 dollars",
            "+1000",
            "1000.",
            " 1000 km ",
            "£1000",
        ],
        ["0", "-0", "0.0", "-0.00", "0/7"],
        ["0.5", ".5", "1/2", "2/4", r"\frac{1}{2}", r"\dfrac{2}{4}", "0.50", "0.5%"],
        ["-1/3", "-2/6", r"-\frac{1}{3}", "- 1/3"],
        ["new york", "New York", "NEW  YORK.", '"New York"', "**New York**"],
        ["12", "12 km/h", "12 m²", "12 square meters"],
    ],
)
def test_one_answer_has_one_spelling(spellings: list[str]) -> None:
    assert len({normalise(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3", "3x"),
        ("3", "3 million"),
        ("3", "3 or 4"),
        ("1", "1e5"),
        ("1", "1/0"),
        ("1000", "1,00"),
        ("5", "-5"),
    ],
)
def test_different_answers_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert once is None or normalise(once) == once


@given(st.text())
def test_any_text_has_an_answer_or_none(text: str) -> None:
    answer = extract_answer(text)
    assert answer is None or answer == normalise(answer)


@given(st.integers(-(10**12), 10**12))
def test_an_integer_is_found_however_it_is_written(number: int) -> None:
    for written in (str(number), f"{number:,}", f"{number}.00", f" {number} ", f"**{number}**"):
        assert extract_answer(f"Let us see.\nThe answer is {written}.") == str(number)
        assert extract_answer(f"So \\boxed{{{written}}} holds.") == str(number)
        assert extract_answer(f"#### {written}") == str(number)


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=500))
def test_a_fraction_keeps_its_value(value: Fraction) -> None:
    spelled = normalise(f"{value.numerator}/{value.denominator}")
    assert spelled is not None
    assert Fraction(spelled) == value
    sign = "-" if value < 0 else ""
    assert normalise(rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}") == spelled


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=4))
def test_a_decimal_keeps_its_value(value: object) -> None:
    spelled = normalise(f"{value}")
    assert spelled is not None
    assert Fraction(spelled) == Fraction(str(value))


def test_a_solution_has_come_to_its_end_when_it_states_its_answer() -> None:
    assert states_answer("1 + 1 = 2\nThe answer is 2.")
    assert states_answer(r"so \boxed{2}")
    assert not states_answer("The answer is 2.\nBut wait")
    assert not states_answer("1 + 1 = 2\n")
    assert not states_answer("")


def test_a_model_that_babbles_digits_has_an_answer_all_the_same() -> None:
    digits = "7" * 10_000

    assert extract_answer(f"The answer is {digits}.") == digits
