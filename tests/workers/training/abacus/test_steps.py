"""Solutions in steps are right, whatever the expression."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.training.abacus.steps import (
    UnwritableError,
    check_solution,
    expression_steps,
    format_number,
    parse_answer,
    write_solution,
)
from workers.training.abacus.word_problems import equation_steps, explanation_steps, leg_steps

numbers = st.integers(-999, 999).map(str)


def _join(parts: tuple[str, str, str]) -> str:
    left, symbol, right = parts
    return f"{left} {symbol} {right}"


expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(_join),
        inner.map(lambda one: f"( {one} )"),
        inner.map(lambda one: f"-( {one} )"),
    ),
    max_leaves=6,
)


def _value(expression: str) -> Fraction:
    """Python's own evaluation, over exact numbers."""
    import re

    exact = re.sub(r"\d+", lambda match: f"Fraction({match[0]})", expression)
    return Fraction(eval(exact, {"Fraction": Fraction}))


@given(expressions)
def test_a_written_solution_evaluates_to_the_expression(expression: str) -> None:
    try:
        lines, value = expression_steps(expression)
        solution = write_solution(lines, value)
    except UnwritableError:
        return
    assert value == _value(expression)
    assert check_solution(solution)
    assert parse_answer(solution) == format_number(value)
    assert len(lines) >= expression.count(" + ") + expression.count(" * ")


@given(expressions, st.integers(1, 50))
def test_a_wrong_answer_does_not_pass_the_check(expression: str, error: int) -> None:
    try:
        lines, value = expression_steps(expression)
        solution = write_solution(lines, value + error)
    except UnwritableError:
        return
    if lines:
        assert not check_solution(solution)


@pytest.mark.parametrize(
    ("expression", "lines"),
    [
        ("12 + 35", ("12 + 35 = 47",)),
        ("2 + 3 * 4", ("3 * 4 = 12", "2 + 12 = 14")),
        ("10 - 4 - 3", ("10 - 4 = 6", "6 - 3 = 3")),
        ("-( 2 - 5 )", ("2 - 5 = -3", "0 - -3 = 3")),
        ("7 / 2", ("7 / 2 = 3.5",)),
    ],
)
def test_one_operation_a_line_by_precedence(expression: str, lines: tuple[str, ...]) -> None:
    assert expression_steps(expression)[0] == lines


@pytest.mark.parametrize("expression", ["1 / 3", "1 / 0", "2 +", "2 ** 3", "x + 1"])
def test_what_has_no_short_exact_steps_is_refused(expression: str) -> None:
    with pytest.raises(UnwritableError):
        expression_steps(expression)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1 + 1 = 2\nThe answer is 2.", "2"),
        ("The answer is -3.50.", "-3.5"),
        ("1 + 1 = 2", None),
        ("The answer is", None),
        ("", None),
    ],
)
def test_the_answer_is_read_from_the_last_line(text: str, answer: str | None) -> None:
    assert parse_answer(text) == answer


def test_an_explanation_becomes_checked_steps() -> None:
    explanation = (
        "He has 35 × 3 = 105 kiwi.\nThat is $105 + $1,000 = $1,105.\n30% of 10 is ignored.\n#### 1105"
    )
    assert explanation_steps(explanation, "1105") == ("35 * 3 = 105", "105 + 1000 = 1105")


@pytest.mark.parametrize(
    ("explanation", "answer"),
    [("2 + 2 = 5\n#### 5", "5"), ("2 + 2 = 4\n#### 4", "5"), ("Clearly four.\n#### 4", "4")],
)
def test_an_explanation_that_does_not_hold_is_refused(explanation: str, answer: str) -> None:
    with pytest.raises(UnwritableError):
        explanation_steps(explanation, answer)


def test_equations_and_legs() -> None:
    assert equation_steps("56 - 98*e = -1218")[0] == ("-1218 - 56 = -1274", "-1274 / -98 = 13")
    assert equation_steps("4*b = 12")[1] == 3
    assert leg_steps({"dog": 2, "bird": 3}, {"dog": 4, "bird": 2})[0] == (
        "2 * 4 = 8",
        "3 * 2 = 6",
        "8 + 6 = 14",
    )
