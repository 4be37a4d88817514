"""What fails half-way through the meter: every token that somebody read or wrote is on the bill."""

from __future__ import annotations

import math

import pytest

from router.types import Task
from tests.workers.jobs import MESSAGES, RIGHT, WRONG
from workers.engines.scripted import ScriptedEngine
from workers.errors import CannotJudge, EngineFailed, InvalidMessages, WorkerError
from workers.meter import Meter
from workers.protocols import (
    Cancellation,
    Completion,
    Generation,
    Prompt,
    SamplingParams,
    Scored,
    Scores,
)
from workers.steps import Steps, Thinking
from workers.verifiers.checks import load_check
from workers.verifiers.ensemble import EnsembleVerifier
from workers.verifiers.scripted import ScriptedVerifier

PARAMS = SamplingParams(max_tokens=1000)
THINKS = Steps(thinking=Thinking())


def meter() -> Meter:
    return Meter(MESSAGES, Cancellation())


def turns(*prefixes: str) -> list[Prompt]:
    return [Prompt(MESSAGES, prefix) for prefix in prefixes]


class Dying(ScriptedEngine):
    """Generates nothing but ``by_then``; from then on it counts nothing either."""

    def __init__(self, by_then: Generation, error: WorkerError | None) -> None:
        super().__init__([""])
        self.by_then = by_then
        self.error = error

    def count_tokens(self, prompt: Prompt) -> int:
        raise EngineFailed("model scripted: /tokenize cannot be reached")

    def generate(self, prompts, params, **how):  # type: ignore[no-untyped-def]
        if self.error is None:
            return self.by_then
        self.error.generated = self.by_then
        raise self.error


def broken_off(*completions: Completion) -> Generation:
    return Generation(completions, prompt_tokens=10)


def test_what_unfinished_turns_had_when_their_engine_failed_is_billed() -> None:
    streamed = Completion("so far", "cancelled", 900)
    by_then = broken_off(Completion("7", "stop", 5), streamed, streamed, Completion("", "cancelled", 0))
    counts = meter()
    generate = counts.generator(Dying(by_then, EngineFailed("reset")), "candidate", PARAMS)
    assert generate(turns("", "", "", "")) == by_then.completions
    (line,) = counts.usage
    assert (line.calls, line.prompt_tokens, line.completion_tokens) == (3, 10, 5 + 1800)


def test_what_messages_fail_with_is_raised_when_the_others_are_on_the_bill() -> None:
    counts = meter()
    engine = Dying(broken_off(Completion("7", "stop", 5)), InvalidMessages("roles must alternate"))
    with pytest.raises(InvalidMessages):
        counts.generator(engine, "candidate", PARAMS)(turns(""))
    assert [line.completion_tokens for line in counts.usage] == [5]


@pytest.mark.parametrize("error", [None, EngineFailed("reset")])
def test_thinking_that_nobody_can_count_any_more_loses_no_turn(error: EngineFailed | None) -> None:
    done = broken_off(Completion("<think>abcd</think>" + 6 * "7", "stop", 50))
    counts = meter()
    generate = counts.generator(Dying(done, error), "candidate", PARAMS, steps=THINKS)
    assert generate(turns("")) == done.completions
    (line,) = counts.usage
    assert (line.completion_tokens, line.reasoning_tokens) == (50, 50 * 19 // 25)


def consuming(error: WorkerError, tokens: int, name: str = "judge") -> ScriptedVerifier:
    class Half(ScriptedVerifier):
        def score(self, turns, task):  # type: ignore[no-untyped-def]
            error.consumed = Scores((), tokens, 3)
            raise error

    return Half(lambda _: [1.0], name=name)


def test_what_a_verifier_consumed_before_it_failed_is_billed() -> None:
    counts = meter()
    counts.scorer(consuming(EngineFailed("one of two calls failed"), 800), Task())(turns(RIGHT, WRONG))
    (line,) = counts.usage
    assert (line.model, line.calls, line.prompt_tokens, line.completion_tokens) == ("judge", 2, 800, 3)
    assert counts.failure is not None


def test_so_is_what_it_consumed_before_it_could_not_judge() -> None:
    counts = meter()
    with pytest.raises(CannotJudge):
        counts.scorer(consuming(CannotJudge("no key"), 800), Task())(turns(RIGHT))
    assert [line.prompt_tokens for line in counts.usage] == [800]


def test_members_of_an_ensemble_are_billed_when_a_later_one_fails() -> None:
    first = ScriptedVerifier(lambda _: [0.5], name="first")
    second = consuming(EngineFailed("down"), 70, name="second")
    third = ScriptedVerifier(lambda _: [0.5], name="third")
    counts = meter()
    both = EnsembleVerifier("all", [(first, 1.0), (second, 1.0), (third, 1.0)])
    counts.scorer(both, Task())(turns(RIGHT))
    assert [(line.model, line.prompt_tokens) for line in counts.usage] == [
        ("first", len(RIGHT.split())),
        ("second", 70),
    ]


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.5])
def test_a_score_that_is_none_is_a_failure_of_its_verifier_and_billed(score: float) -> None:
    def both(_text: str) -> list[float]:
        return [score, 0.5]

    def last(_text: str) -> list[float]:
        return [score]

    for says in (both, last):
        counts = meter()
        judged = counts.scorer(ScriptedVerifier(says, name="odd"), Task())(turns(RIGHT))
        assert judged == (Scored((), 0.0),)
        assert isinstance(counts.failure, EngineFailed)
        assert "verifier odd scored" in str(counts.failure)
        assert len(counts.usage) == 1


@pytest.mark.parametrize("where", ["inside", "after"])
@pytest.mark.parametrize(
    ("check", "task", "turn"),
    [
        ("key", Task("auto", key="7"), "<think>maybe the answer is 5. so</think>7"),
        ("json_schema", Task("json", json_schema={"required": ["a"]}), '<think>{x}?</think>{"a": 1}'),
    ],
)
def test_who_judges_answers_is_shown_no_thinking(where: str, check: str, task: Task, turn: str) -> None:
    thinks = Steps(thinking=Thinking(steps=where))  # type: ignore[arg-type]
    score = meter().scorer(load_check("right", check), task, thinks)  # type: ignore[arg-type]
    assert [one.score for one in score(turns(turn))] == [1.0]


def test_who_judges_steps_is_shown_the_thinking_whose_steps_count() -> None:
    verifier = ScriptedVerifier(lambda _: [0.5])
    meter().scorer(verifier, Task(), Steps(thinking=Thinking(steps="inside")))(turns("<think>a</think>7"))
    assert verifier.calls == [(Prompt(MESSAGES, "<think>a</think>7"),)]
