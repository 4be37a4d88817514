"""Jobs that end badly: what the failure is called, and that what was spent is on the bill."""

from __future__ import annotations

import time

import pytest

from router.strategy import BY_STEPS
from router.types import StrategyName, StrategySpec
from tests.workers.jobs import (
    RIGHT,
    alternative,
    direct_plan,
    job,
    judge,
    plan_of,
    play,
    probing_plan,
    purposes,
)
from workers.engines.scripted import ScriptedEngine
from workers.errors import EngineFailed
from workers.protocols import Cancellation, Prompt
from workers.verifiers.scripted import ScriptedVerifier

WEIGHTED = StrategySpec("best_of_n_weighted", samples=4)


@pytest.mark.parametrize("plan", [direct_plan(), probing_plan(alternative(WEIGHTED))])
def test_the_deadline_with_nothing_complete_is_a_failure(plan: object) -> None:
    outcome, _ = play(job(plan), ScriptedEngine([RIGHT]), cancellation=Cancellation(time.monotonic()))  # type: ignore[arg-type]
    assert outcome.status == "failed"
    assert outcome.failure is not None
    assert outcome.failure.code == "deadline_exceeded"


def test_a_client_that_leaves_in_mid_search_ends_the_job_with_what_it_spent() -> None:
    cancellation = Cancellation()

    def leave(_prompt: Prompt, _index: int, _seed: int) -> str:
        if len(engine.calls) > 1:
            cancellation.cancel()
        return RIGHT

    engine = ScriptedEngine(leave)
    plan = probing_plan(alternative(StrategySpec("majority", samples=8)))
    outcome, _ = play(job(plan), engine, cancellation=cancellation)
    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.code) == ("failed", "cancelled")
    assert purposes(outcome) == ["probe", "verifier", "candidate"]
    assert outcome.decision is not None


def test_an_engine_that_fails_in_the_search_is_answered_for_by_what_is_complete() -> None:
    def break_later(_texts: str) -> float:
        engine.fail_with = "out of memory"
        return 0.5

    engine = ScriptedEngine([RIGHT])
    plan = probing_plan(alternative(StrategySpec("majority", samples=8)))
    outcome, _ = play(job(plan), engine, judge(break_later))
    assert (outcome.status, outcome.text, outcome.samples) == ("answered", RIGHT, 4)
    assert outcome.notice == (
        "the search broke off (model scripted: out of memory): the answer is the best of 4 by then"
    )
    assert purposes(outcome) == ["probe", "verifier"]


def test_a_prompt_beyond_the_context_is_that_failure() -> None:
    outcome, _ = play(job(direct_plan()), ScriptedEngine([RIGHT], context_tokens=2))
    assert outcome.failure is not None
    assert outcome.failure.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "plan",
    [
        direct_plan("other"),
        probing_plan(alternative(WEIGHTED), verifier="other"),
        probing_plan(alternative(StrategySpec("majority", 8), model="other")),
    ],
)
def test_what_this_worker_does_not_run_is_named(plan: object) -> None:
    outcome, _ = play(job(plan), ScriptedEngine([RIGHT]))  # type: ignore[arg-type]
    assert outcome.failure is not None
    assert outcome.failure.code == "model_unavailable"
    assert "'other'" in outcome.failure.message


def test_beam_search_refuses_a_verifier_that_cannot_judge_steps() -> None:
    plan = probing_plan(alternative(StrategySpec("beam", 4)))
    outcome, _ = play(job(plan), ScriptedEngine([RIGHT]), judge(scores_steps=False))
    assert outcome.failure is not None
    assert "by steps" in outcome.failure.message


def test_a_defect_is_a_failure_not_a_lost_job() -> None:
    def defect(_text: str) -> float:
        raise ZeroDivisionError("a bug")

    outcome, _ = play(job(probing_plan(alternative(WEIGHTED))), ScriptedEngine([RIGHT]), judge(defect))
    assert outcome.failure is not None
    assert outcome.failure.code == "worker_error"
    assert "a bug" in outcome.failure.message


@pytest.mark.parametrize("name", sorted(BY_STEPS))
def test_a_search_by_steps_refuses_an_engine_that_cannot_continue_a_turn(name: StrategyName) -> None:
    engine = ScriptedEngine([RIGHT], continues_turns=False)
    plan = plan_of(alternative(StrategySpec(name, 8)), verifier="judge")
    outcome, _ = play(job(plan), engine)
    assert outcome.failure is not None
    assert outcome.failure.code == "unsupported_strategy"
    assert "continues turns" in outcome.failure.message
    assert engine.calls == []


def test_after_a_probe_whole_answers_are_searched_where_the_engine_cannot_continue_a_turn() -> None:
    engine = ScriptedEngine([RIGHT], continues_turns=False)
    outcome, _ = play(job(probing_plan(alternative(StrategySpec("beam", 8)))), engine)
    assert (outcome.status, outcome.text) == ("answered", RIGHT)
    assert outcome.decision is not None
    assert outcome.decision.branch.chosen.strategy.name == "best_of_n_weighted"
    assert "continues turns" in (outcome.decision.branch.notice or "")


def test_a_verifier_that_fails_in_the_probe_ends_the_job_with_its_error() -> None:
    class Broken(ScriptedVerifier):
        def score(self, turns, task):  # type: ignore[no-untyped-def]
            raise EngineFailed("verifier judge: out of memory")

    plan = probing_plan(alternative(WEIGHTED))
    outcome, _ = play(job(plan), ScriptedEngine([RIGHT]), Broken(lambda _: [1.0], name="judge"))
    assert outcome.failure is not None
    assert (outcome.failure.code, purposes(outcome)) == ("engine_failed", ["probe"])


def test_an_engine_that_fails_with_nothing_complete_ends_the_job_with_its_error() -> None:
    engine = ScriptedEngine([RIGHT])
    engine.fail_with = "the server answered 500"
    for plan in (direct_plan(), probing_plan(alternative(WEIGHTED))):
        outcome, _ = play(job(plan), engine)
        assert outcome.failure is not None
        assert outcome.failure.code == "engine_failed"
        assert "500" in outcome.failure.message
