"""Mathematics: what means the same is one answer, and nothing that is written hangs a worker."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.types import Task
from workers.answers import answers_for, maths
from workers.answers.maths import tidy
from workers.answers.port import Answers


def math() -> Answers:
    return answers_for(Task("math"))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{\dfrac{1}{2}}", "0.5"),
        (r"The answer is $x = 5$.", "x = 5"),
        (r"Therefore $2+2 = 4$ and hence \(7\).", "7"),
        ("2 + 2 = 4", "4"),
        (r"\boxed{\left( 1, \, 2 \right)}", "( 1, 2 )"),
        ("answer: 2sqrt(3)", r"2\sqrt{3}"),
        (r"\boxed{50\%}", r"50\%"),
        ("x" * 201, None),
        ("", None),
    ],
)
def test_the_answer_is_found_and_tidied(text: str, answer: str | None) -> None:
    assert math().extract(text) == answer


def same(one: str, other: str) -> bool:
    answers = math()
    found = [answers.extract(f"\\boxed{{{answer}}}") for answer in (one, other)]
    return answers.classes([answer for answer in found if answer is not None]) == (0, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.5", r"50\%"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"\{1,2\}", "2,1"),
        ("x=5", "5"),
        ("10", r"10\text{ cm}"),
        (r"x \in [1,2)", "[1,2)"),
        (r"\text{Monday}", "monday"),
        (r"864\mbox{ inches}^2", "864"),
        (r"10,\!080", "7! * 2"),
        (r"11,\! 111", "11111"),
        (
            r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}",
            r"\begin{pmatrix} 0.2 \\ -\frac{18}{5} \end{pmatrix}",
        ),
        (r"11\sqrt2", "11√2"),
        (r"\frac{\pi}{2}", r"\pi/2"),
    ],
)
def test_equivalent_answers_are_one(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2)"),
        ("(1,2)", "1,2"),
        ("x^2", "x^3"),
        ("listen", "silent"),
        ("3n", "3"),
        (r"\sqrt{2}", "1.41"),
    ],
)
def test_different_answers_stay_apart(one: str, other: str) -> None:
    assert not same(one, other)


def test_an_answer_that_cannot_be_computed_is_alone_and_the_others_still_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maths, "COMPARISON_LIMIT_S", 0.3)
    answers = ["9^{9^{9^{9}}}", r"2\sqrt{3}", r"\sqrt{12}"]

    assert math().classes(answers) == (0, 1, 1)


def test_comparing_works_in_a_thread() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(same("1+x", "x+1")))
    thread.start()
    thread.join()

    assert found == [True]


@given(st.text(alphabet=r"\{}()[]$0123456789.,^_=+-*/ xyπ√∞%fracsqrttext", max_size=60))
def test_tidying_twice_changes_nothing(text: str) -> None:
    once = tidy(text)
    assert once is None or tidy(once) == once
