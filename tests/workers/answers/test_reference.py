"""Which answers are right, by a reference."""

from __future__ import annotations

import pytest

from router.types import Task, TaskKind
from workers.answers import answers_for
from workers.answers.reference import are_right, read_reference


@pytest.mark.parametrize(
    ("kind", "turns", "reference", "right"),
    [
        ("auto", ["The answer is 12.", "The answer is 1,2."], "12", (True, False)),
        ("number", ["So it is 1,200.0", "The answer is 12.", "no idea"], "1200", (True, False, False)),
        ("choice", ["The answer is (B).", "The answer is A."], "B", (True, False)),
        ("math", [r"So \boxed{\frac{1}{2}}", r"So \boxed{0.25}"], "1/2", (True, False)),
    ],
)
def test_an_answer_is_right_when_it_means_the_reference(
    kind: TaskKind, turns: list[str], reference: str, right: tuple[bool, ...]
) -> None:
    answers = answers_for(Task(kind))
    assert are_right(answers, [answers.extract(turn) for turn in turns], reference) == right


def test_with_a_reference_that_cannot_be_read_nothing_is_right() -> None:
    answers = answers_for(Task("number"))
    assert read_reference(answers, "lots") is None
    assert are_right(answers, ["3", None], "lots") == (False, False)
