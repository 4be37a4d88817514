"""What every kind of answers promises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.types import Task
from workers.answers import answers_for
from workers.answers.grouping import LONGEST_TEXT
from workers.answers.port import Answers

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
TASKS = {
    "auto": Task(),
    "math": Task("math"),
    "number": Task("number"),
    "choice": Task("choice"),
    "text": Task("text"),
    "code": Task("code"),
    "json": Task("json"),
    "json held to a schema": Task("json", json_schema={"type": "object"}),
    "tools": Task("tools", tools=(TOOL,)),
}
TURNS = [
    "The answer is 4.",
    r"so \boxed{4}",
    "The answer is 4.0",
    "The answer is 1/3",
    "The answer is 0.3333333",
    "(A)",
    "Option b is correct",
    "The answer is B.",
    '{"name": "f", "arguments": {"a": 1}}',
    '{"name": "f", "arguments": {"a": 1.0}}',
    '<tool_call>{"name": "f", "arguments": {"a": 2}}</tool_call>',
    '{"a": 1}',
    "def f(x): return x",
    "def f(y):\n    return y",
    "nothing at all to see here, as everybody knows who has ever seen nothing at all",
]
HOSTILE = [
    "",
    "\0",
    "\ud800 is 3",
    'The answer is "\ud800"',
    '{"\\ud800": "\ud800"}',
    "[" * 200_000,
    '{"a":' * 200_000,
    "(" * 200_000,
    "-" * 200_000 + "1",
    "1" + "+1" * 100_000,
    "a" + ".b" * 100_000,
    "\\boxed{" * 150_000,
    "\\text{" * 50_000 + "x" + "}" * 50_000,
    "\\boxed{" + "\\text{" * 15_000 + "x" + "}" * 15_000 + "}",
    "\n" * 1_000_000,
    " " * 1_000_000,
    "answer " * 150_000,
    "$" * 1_000_000,
    "9" * 1_000_000,
    "The answer is " + "9" * 5_000,
    "9**9**9**9",
    r"\boxed{9^{9^{9^{9}}}}",
    "<tool_call>" * 100_000,
    "<tool_call>" + "[" * 100_000,
    "[TOOL_CALLS]" * 100_000,
    "```\n" * 250_000,
    "`" * 1_000_000,
    "option A " * 100_000,
    "1,000" * 200_000,
    "1 /" * 300_000,
    "=" * 1_000_000,
]


@pytest.fixture(params=TASKS, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def answers(kind: str) -> Answers:
    return answers_for(TASKS[kind])


@pytest.fixture(scope="module")
def found(answers: Answers) -> list[str]:
    return [answer for answer in map(answers.extract, TURNS) if answer is not None]


def test_some_turns_have_an_answer(found: list[str]) -> None:
    assert len(found) > 1


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:8]!r} x {len(text)}")
def test_no_text_breaks_or_hangs_the_reading(answers: Answers, text: str) -> None:
    answer = answers.extract(text)
    assert answer is None or (isinstance(answer, str) and answer)
    assert answer is None or answers.classes([answer, answer]) == (0, 0)


def test_the_answer_is_read_from_the_end_of_a_long_text(answers: Answers, kind: str) -> None:
    if kind in ("auto", "math", "number", "choice", "text"):
        assert answers.extract("x " * LONGEST_TEXT + "\nAnswer: B 4") == answers.extract("\nAnswer: B 4")


@settings(max_examples=15)
@given(st.data())
def test_classes_do_not_depend_on_order(answers: Answers, found: list[str], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(found))))
    straight, shuffled = answers.classes(found), answers.classes([found[at] for at in order])

    assert {(one, other) for one in order for other in order if straight[one] == straight[other]} == {
        (order[one], order[other])
        for one in range(len(order))
        for other in range(len(order))
        if shuffled[one] == shuffled[other]
    }


def test_labels_count_up_by_first_appearance(answers: Answers, found: list[str]) -> None:
    labels = answers.classes(found)

    assert len(labels) == len(found)
    assert list(dict.fromkeys(labels)) == list(range(max(labels) + 1))


@settings(max_examples=15)
@given(st.data())
def test_support_does_not_depend_on_order_and_never_exceeds_all_weight(
    answers: Answers, found: list[str], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0, 1), min_size=len(found), max_size=len(found)))
    order = data.draw(st.permutations(range(len(found))))

    support = answers.support(found, weights)
    shuffled = answers.support([found[at] for at in order], [weights[at] for at in order])

    assert [support[at] for at in order] == list(shuffled)
    assert all(0 <= one <= sum(weights) + 1e-9 for one in support)


def test_the_supports_of_the_classes_sum_to_all_weight(answers: Answers, found: list[str], kind: str) -> None:
    if kind == "tools":
        return  # calls back each other argument by argument
    labels = answers.classes(found)
    weights = [1 / (at + 1) for at in range(len(found))]
    by_class = dict(zip(labels, answers.support(found, weights), strict=True))

    assert sum(by_class.values()) == pytest.approx(sum(weights))


def test_nothing_supports_nothing(answers: Answers) -> None:
    assert list(answers.classes([])) == []
    assert list(answers.support([], [])) == []


def test_canonical_forms_are_their_own(answers: Answers, found: list[str], kind: str) -> None:
    if kind in ("number", "choice", "code", "json", "json held to a schema", "tools"):
        assert [answers.extract(answer) for answer in found] == found


def test_answers_survive_a_queue(found: list[str]) -> None:
    assert json.loads(json.dumps(found)) == found
