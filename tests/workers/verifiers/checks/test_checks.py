"""Checks: what each calls right, and what it needs to say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from router.types import Task
from workers.errors import CannotJudge, InvalidTask, ModelNotLoadable
from workers.protocols import Prompt, Verifier
from workers.verifiers.checks import load_check

QUESTION = ({"role": "user", "content": "How much?"},)


def scores(check: Verifier, task: Task, *texts: str) -> list[float]:
    found = check.score([Prompt(QUESTION, text) for text in texts], task)
    assert found.tokens == 0
    assert all(one.step_scores == () for one in found.scored)
    return [one.score for one in found.scored]


def test_a_check_judges_whole_turns_only() -> None:
    check = load_check("right", "key")

    assert (check.name, check.scores_steps, check.reads_history) == ("right", False, False)
    assert scores(check, Task(key="1")) == []
    check.close()


@pytest.mark.parametrize(
    ("task", "right", "wrong"),
    [
        (Task(key="1000"), "The answer is 1,000 km.", "The answer is 100."),
        (Task(key="x" * 80), "The answer is " + "x" * 80, "The answer is x"),
        (Task(key="2 + 2 = 4\n#### 4"), "The answer is 4", "It is 5\n#### 5"),
        (Task("math", key="x = 1, y = 2"), r"\boxed{x = 1, y = 2}", r"\boxed{2}"),
        (Task("math", key=r"\frac{1}{2}"), r"so \boxed{0.5}", r"so \boxed{0.05}"),
        (Task("number", key="0.3333333"), "The answer is 1/3.", "The answer is 0.3."),
        (Task("choice", key="B"), "The correct option is (b).", "(A)"),
        (Task("text", key="The Beatles"), "Answer: beatles", "Answer: The Rolling Stones"),
        (Task("json", key='{"a": 1, "b": 2}'), '```json\n{"b": 2, "a": 1.0}\n```', '{"a": 1}'),
        (Task("code", key="def f(x): return x"), "def f(y):\n  return y", "def f(y): return -y"),
    ],
)
def test_an_answer_is_held_against_the_key_by_the_rules_of_its_task(
    task: Task, right: str, wrong: str
) -> None:
    assert scores(load_check("right", "key"), task, right, wrong, "", right) == [1.0, 0.0, 0.0, 1.0]


def test_a_program_is_right_when_it_passes_its_tests() -> None:
    task = Task("code", tests="assert f(1) == 2\ndef test_zero():\n    assert f(0) == 1", entry_point="f")
    fenced = "Here:\n```python\ndef f(n):\n    return n + 1\n```"

    found = scores(
        load_check("passes", "tests", timeout_s=5.0),
        task,
        fenced,
        "def f(n): return 2 * n",
        "I cannot.",
        "import os; os._exit(0)",
        "raise SystemExit(0)",
    )

    assert found == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_json_is_right_when_it_keeps_to_its_schema() -> None:
    task = Task(json_schema={"type": "object", "required": ["a"]})

    assert scores(load_check("fits", "json_schema"), task, 'So: {"a": 1}', "{}", "no") == [1.0, 0.0, 0.0]


def test_a_pattern_matches_the_whole_answer_or_turn() -> None:
    check = load_check("looks", "pattern")
    task = Task(pattern=r"[A-Z]{2}-\d+")

    assert scores(check, task, " AB-12\n", "The answer is AB-12.", "AB-12x", "ab-1") == [1.0, 1.0, 0.0, 0.0]
    assert scores(check, Task(pattern="(a+)+"), "a" * 60 + "b", "aa") == [0.0, 1.0]
    with pytest.raises(InvalidTask, match="pattern"):
        scores(check, Task(pattern="(a"), "a")


def half_if_polite(messages: Sequence[Mapping[str, Any]], text: str, task: Task) -> float:
    """A user's check."""
    assert messages == QUESTION
    assert task.key == "please"
    return 0.5 if "please" in text else 0.0


def broken(messages: Sequence[Mapping[str, Any]], text: str, task: Task) -> float:
    raise KeyError(text)


def too_much(messages: Sequence[Mapping[str, Any]], text: str, task: Task) -> float:
    return 7


def test_a_function_of_the_user_says_how_good_a_turn_is() -> None:
    check = load_check("polite", "python", entry_point=f"{__name__}:half_if_polite")

    assert scores(check, Task(key="please"), "yes please", "no") == [0.5, 0.0]


@pytest.mark.parametrize(
    ("function", "complaint"), [("broken", "raised KeyError"), ("too_much", "returned 7")]
)
def test_a_broken_function_is_named_and_no_wrong_answer(function: str, complaint: str) -> None:
    check = load_check("mine", "python", entry_point=f"{__name__}:{function}")

    with pytest.raises(CannotJudge, match=complaint):
        scores(check, Task(), "x")


@pytest.mark.parametrize(
    ("entry_point", "complaint"),
    [
        (None, "needs an entry_point"),
        ("nowhere", "module:function"),
        ("not.a.module:f", "No module named"),
        ("json:nothing", "nothing"),
        ("json:__name__", "str, not a function"),
    ],
)
def test_a_function_that_is_not_there_is_said_at_the_start(entry_point: str | None, complaint: str) -> None:
    with pytest.raises(ModelNotLoadable, match=complaint):
        load_check("mine", "python", entry_point=entry_point)


@pytest.mark.parametrize(
    ("check", "task", "complaint"),
    [
        ("key", Task(), "key"),
        ("key", Task("number", key="none"), "none"),
        ("tests", Task(), "tests"),
        ("tests", Task(tests="assert ("), "not Python"),
        ("tests", Task(tests="X = 1\ndef helper(): assert 0"), "pass whatever"),
        ("tests", Task(tests="def check(f): assert 0"), "entry_point"),
        ("json_schema", Task(), "json_schema"),
        ("pattern", Task(), "pattern"),
    ],
)
def test_a_task_that_lacks_what_is_compared_with_is_said(check: Any, task: Task, complaint: str) -> None:
    with pytest.raises(CannotJudge, match=complaint):
        scores(load_check("check", check), task, "x")
