"""Answers written to cost time cost the time that there is, once, and no more."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from router.types import Stopping, StrategySpec, Task, TaskKind
from tests.workers.jobs import alternative, job, plan_of, play
from workers.answers import allowance, answers_for, bounded, maths
from workers.answers.allowance import Allowance
from workers.answers.bounded import TooMuch
from workers.engines.scripted import ScriptedEngine
from workers.protocols import Cancellation

ENDLESS = [rf"9^{{9^{{9^{{{number}}}}}}}+x" for number in range(64)]
FORMULAS = [rf"x^2+{number}x+\frac{{{number + 1}}}{{7}}" for number in range(32)]


class Asked:
    """Counts what the helper is asked, and asks it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.questions: Counter[str] = Counter()
        monkeypatch.setattr(allowance, "ask", self)

    def __call__(self, question: str, *arguments: Any, **limits: Any) -> Any:
        self.questions[question] += 1
        return bounded.ask(question, *arguments, **limits)


def test_nothing_is_asked_when_no_time_is_left() -> None:
    with pytest.raises(TooMuch, match="no time"):
        Allowance(10.0, time.monotonic() - 1).ask("fits_pattern", "a", "a", limit_s=1.0)
    with pytest.raises(TooMuch, match="no time"):
        Allowance(0.0).ask("fits_pattern", "a", "a", limit_s=1.0)


def test_a_question_takes_no_longer_than_what_is_left() -> None:
    left = Allowance(0.3)
    with pytest.raises(TooMuch):
        left.ask("fits_pattern", "a" * 60 + "b", "(a+)+", limit_s=60.0)
    assert left.left_s <= 0


def test_answers_that_algebra_comes_to_no_end_with_are_soon_compared_by_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maths, "COMPARISON_LIMIT_S", 0.2)
    asked = Asked(monkeypatch)
    math = answers_for(Task("math"))

    assert math.classes(ENDLESS[:3] * 2) == (0, 1, 2) * 2
    first = asked.questions.total()
    assert asked.questions["same_math"] <= 3
    assert math.classes(ENDLESS[2::-1]) == (0, 1, 2)
    assert asked.questions.total() == first


def test_at_the_deadline_spelling_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    started_s = time.monotonic()
    math = answers_for(Task("math"), ends_monotonic_s=started_s + 2)

    for arrived in range(1, len(ENDLESS) + 1):
        assert len(set(math.classes(ENDLESS[:arrived]))) == arrived
    assert time.monotonic() - started_s < 20
    assert sum(asked.questions.values()) < len(ENDLESS)
    assert math.classes(["x+1", "1+x", "x+1"]) == (0, 1, 0)


def test_formulas_with_different_values_are_computed_once_each_and_never_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Asked(monkeypatch)
    math = answers_for(Task("math"))

    for arrived in (8, 16, 32):
        assert len(set(math.classes(FORMULAS[:arrived]))) == arrived
    assert asked.questions == {"math_value": 32}
    assert math.classes([FORMULAS[3], r"\frac{4}{7}+3x+x\cdot x"]) == (0, 0)
    assert asked.questions["same_math"] == 1


def test_values_that_both_fit_one_schema_are_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    tool = {"function": {"name": "f", "parameters": schema}}
    call = '{"name": "f", "arguments": {"a": %s}}'

    objects = answers_for(Task("json", json_schema=schema))
    assert [objects.extract(text) for text in ('{"a": 1}', '{"a":1}', '{"a": 1.0}')] == ['{"a":1}'] * 3
    tools = answers_for(Task("tools", tools=(tool,)))
    assert None not in [tools.extract(call % number) for number in ("1", " 1", "1.0")]
    assert asked.questions == {"fits_schema": 2}


def test_what_cannot_be_validated_in_time_is_no_answer() -> None:
    past_s = time.monotonic() - 1
    assert answers_for(Task("json", json_schema={}), ends_monotonic_s=past_s).extract("{}") is None


def test_meaning_is_asked_of_each_text_once_and_not_beyond_the_deadline() -> None:
    embedded: list[str] = []

    def embed(texts: Any) -> Any:
        embedded.extend(texts)
        return [[1.0]] * len(texts)

    texts = answers_for(Task("text"), embed)
    for _ in range(2):
        assert texts.classes(["rome", "milan", "rome"]) == (0, 0, 0)
    assert sorted(embedded) == ["milan", "rome"]
    late = answers_for(Task("text"), embed, ends_monotonic_s=time.monotonic() - 1)
    assert late.classes(["rome", "milan", "rome"]) == (0, 1, 0)
    assert len(embedded) == 2


def test_a_program_is_run_once_and_not_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.verifiers.checks import sandbox

    ran: list[str] = []
    run_all = sandbox.run_all

    def counted(trials: Any, limits: Any) -> Any:
        ran.extend(trial.source for trial in trials)
        return run_all(trials, limits)

    monkeypatch.setattr(sandbox, "run_all", counted)
    task = Task("code", entry_point="f", cases=((1,),))
    programs = ["def f(n): return n * 2", "def f(n): return n + n", "def f(n): return n"]
    code = answers_for(task)
    for _ in range(2):
        assert code.classes(programs) == (0, 0, 1)
    assert sorted(ran) == sorted(programs)
    late = answers_for(task, ends_monotonic_s=time.monotonic() - 1)
    assert late.classes(programs) == (0, 1, 2)
    assert len(ran) == 3


@pytest.mark.parametrize("kind", ["math", "code", "json"])
def test_a_job_of_hostile_answers_ends_about_at_its_deadline(kind: TaskKind) -> None:
    nested = {"anyOf": [{"required": [name], "properties": {"x": {"$ref": "#/$defs/a"}}} for name in "qr"]}
    task, said = {
        "math": (Task("math"), [rf"\boxed{{{formula}}}" for formula in ENDLESS]),
        "code": (
            Task("code", entry_point="f", cases=((1,),)),
            [f"def f(x):\n    while True:\n        x += {number}" for number in range(64)],
        ),
        "json": (
            Task("json", json_schema={"$defs": {"a": nested}, "$ref": "#/$defs/a"}),
            ['{"x":' * 40 + str(number) + "}" * 40 for number in range(64)],
        ),
    }[kind]
    chosen = alternative(StrategySpec("majority", 64, stopping=Stopping("beta")))
    plan = plan_of(chosen)
    started_s = time.monotonic()

    outcome, _ = play(job(plan, task=task), ScriptedEngine(said), cancellation=Cancellation(started_s + 2))
    assert time.monotonic() - started_s < 15
    assert (outcome.failure is None) == (kind != "json")  # of which none could be validated in time


def test_programs_without_an_end_take_no_longer_than_the_deadline() -> None:
    started_s = time.monotonic()
    code = answers_for(Task("code", entry_point="f", cases=((1,),)), ends_monotonic_s=started_s + 1)
    endless = [f"def f(x):\n    while True:\n        x += {number}" for number in range(64)]

    assert len(set(code.classes(endless))) == 64
    assert time.monotonic() - started_s < 15
