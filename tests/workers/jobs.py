"""Jobs and what runs them, for the tests of a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import redis

from router.config import REVISE, ThinkingMarks, TransformersModel
from router.probe import range_of
from router.types import (
    Alternative,
    Bin,
    Branch,
    Job,
    Outcome,
    Plan,
    ProbeStage,
    Query,
    Route,
    Sampling,
    StrategySpec,
    Task,
)
from router.wire import Event, decode_event, dump_outcome, load_outcome
from workers.engines.scripted import ScriptedEngine
from workers.executor import Model, run
from workers.protocols import Cancellation
from workers.verifiers.scripted import ScriptedVerifier

MESSAGES: tuple[Mapping[str, str], ...] = ({"role": "user", "content": "Calculate 3 + 4."},)
RIGHT, WRONG = "3 + 4 = 7\nThe answer is 7.", "3 + 4 = 8\nThe answer is 8."


def alternative(
    spec: StrategySpec, *, route: Route = "small", model: str = "tiny", token_cap: int | None = None
) -> Alternative:
    return Alternative(route, model, spec, 0.5, "assumed", None, None, token_cap=token_cap)


def probing_plan(
    chosen: Alternative | Mapping[Bin, Alternative], *, probe_samples: int = 4, verifier: str = "judge"
) -> Plan:
    """A plan that follows ``chosen`` in every bin, or in each bin its own."""
    by_bin = chosen if isinstance(chosen, Mapping) else dict.fromkeys(Bin, chosen)
    branches = tuple(
        Branch(each, by_bin[each], (), "as the test says", None, *range_of(each)) for each in Bin
    )
    return Plan("default", "tiny", verifier, (ProbeStage(probe_samples, branches),), None, None, None)


def direct_plan(model: str = "tiny", token_cap: int | None = None) -> Plan:
    only = alternative(StrategySpec("direct"), model=model, token_cap=token_cap)
    return plan_of(only)


def plan_of(only: Alternative, *, policy: str = "direct", verifier: str | None = None) -> Plan:
    """A plan that does one thing, and probes nothing."""
    stage = ProbeStage(0, (Branch(None, only, (), "as the test says"),))
    return Plan(policy, "tiny", verifier, (stage,), None, None, None)


def job(
    plan: Plan,
    *,
    sampling: Sampling | None = None,
    task: Task | None = None,
    stream: bool = False,
    escalated: bool = False,
    seconds: float = 30.0,
    id: str = "job-1",
) -> Job:
    return Job(
        id=id,
        reply_to="gradus:events:test",
        query=Query(MESSAGES, sampling or Sampling(), task=task or Task()),
        plan=plan,
        deadline_unix_s=time.time() + seconds,
        stream=stream,
        escalated=escalated,
    )


def model(
    engine: ScriptedEngine,
    *,
    temperature: float = 0.8,
    max_tokens: int = 64,
    thinking: ThinkingMarks | None = None,
    revise_prompt: str = REVISE,
) -> Model:
    config = TransformersModel(
        engine="transformers",
        path="unused",
        context_tokens=engine.context_tokens,
        max_tokens=max_tokens,
        temperature=temperature,
        thinking=thinking,
        revise_prompt=revise_prompt,
    )
    return Model(engine, config)


def judge(
    worth: Callable[[str], float] = lambda text: 0.9 if "7" in text else 0.2,
    *,
    scores_steps: bool = True,
    compares_turns: bool = False,
) -> ScriptedVerifier:
    """Scores every line of a text the same."""

    def steps(text: str) -> Sequence[float]:
        return [worth(text)] * len(text.splitlines())

    return ScriptedVerifier(steps, name="judge", scores_steps=scores_steps, compares_turns=compares_turns)


def play(
    the_job: Job,
    engine: ScriptedEngine,
    verifier: ScriptedVerifier | None = None,
    *,
    cancellation: Cancellation | None = None,
    temperature: float = 0.8,
) -> tuple[Outcome, list[Event]]:
    """Run a job on one model and one verifier; returns what came of it, and the events before."""
    events: list[Event] = []
    verifier = verifier or judge()
    outcome = run(
        the_job,
        {"tiny": model(engine, temperature=temperature)},
        {verifier.name: verifier},
        events.append,
        cancellation or Cancellation(),
    )
    assert load_outcome(dump_outcome(outcome)) == outcome
    return outcome, events


def purposes(outcome: Outcome) -> list[str]:
    return [line.purpose for line in outcome.usage]


def events_of(client: redis.Redis, the_job: Job, *, beats: bool = False) -> list[Event]:
    found = [decode_event(fields or {}) for _, fields in client.xrange(the_job.reply_to) or ()]
    return [event for event in found if beats or event.type != "beat"]
