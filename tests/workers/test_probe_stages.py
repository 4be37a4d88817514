"""A probe in stages: it ends as soon as the plan says so, and what it took is counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from router.features.evidence import FEATURES
from router.types import (
    Branch,
    Outcome,
    Plan,
    ProbeStage,
    Reading,
    Sampling,
    Stopping,
    StrategySpec,
    Task,
    Worth,
)
from router.wire import Event
from tests.workers.jobs import RIGHT, WRONG, alternative, job, judge, play
from workers.engines.scripted import ScriptedEngine
from workers.protocols import Prompt, Scores
from workers.verifiers.scripted import ScriptedVerifier

SEARCH = alternative(StrategySpec("best_of_n_weighted", 4))
LARGE = alternative(StrategySpec("direct"), route="large", model="huge")


def _branch(above: float, up_to: float, chosen: object = SEARCH, *rejected: object) -> Branch:
    return Branch(None, chosen, rejected, "as planned", None, above, up_to)  # type: ignore[arg-type]


def _plan(*stages: ProbeStage, worth: Worth | None = None) -> Plan:
    return Plan("default", "tiny", "judge", stages, None, None, None, worth=worth)


SURE_ENOUGH = _plan(
    ProbeStage(4, (_branch(0.8, 1.0),)),
    ProbeStage(8, (_branch(0.8, 1.0), _branch(0.0, 0.2, LARGE))),
    ProbeStage(16, (_branch(0.5, 1.0), _branch(0.0, 0.5, LARGE))),
)


def _played(
    texts: Sequence[str], verifier: ScriptedVerifier | None = None
) -> tuple[Outcome, list[Event], ScriptedEngine]:
    engine = ScriptedEngine(texts, model="tiny")
    outcome, events = play(job(SURE_ENOUGH), engine, verifier)
    return outcome, events, engine


def _lines(outcome: Outcome) -> list[tuple[str, int]]:
    return [(line.purpose, line.calls) for line in outcome.usage]


def test_a_probe_that_is_sure_ends_after_its_first_stage() -> None:
    outcome, events, engine = _played([RIGHT])
    assert (outcome.status, outcome.samples) == ("answered", 4)
    assert [len(prompts) for prompts, _ in engine.calls] == [4]
    assert _lines(outcome) == [("probe", 4), ("verifier", 1)]  # equal samples are read once
    assert [event.data["done"] for event in events] == [4]


def test_each_stage_adds_the_samples_that_it_lacks_and_judges_only_those() -> None:
    judged: list[str] = []
    calls: list[int] = []

    class Counting(ScriptedVerifier):
        def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
            calls.append(len(turns))
            return super().score(turns, task)

    def worth(text: str) -> float:
        judged.append(text)
        return 0.9 if len(judged) <= 4 and "7" in text else 0.1

    # .9, .9, .1, .1 after the first stage: in doubt; then .1 only: .3 after the second, .2 after the third.
    outcome, events, engine = _played(
        [RIGHT, RIGHT, WRONG, WRONG, *[f"{n} is {n}." for n in range(12)]],
        Counting(lambda text: [worth(text)], name="judge"),
    )
    assert outcome.status == "escalate"
    assert [len(prompts) for prompts, _ in engine.calls] == [4, 4, 8]
    assert sum(line.calls for line in outcome.usage if line.purpose == "probe") == 16
    assert len(calls) == 3
    assert outcome.decision is not None
    assert outcome.decision.difficulty is not None
    assert outcome.decision.difficulty.samples == outcome.samples == 16
    done = [event.data["done"] for event in events]
    assert done == [4, 8, 16]
    assert {event.data["total"] for event in events} == {16}


def test_no_stage_repeats_the_samples_of_another() -> None:
    engine = ScriptedEngine([RIGHT, WRONG], model="tiny")
    play(job(SURE_ENOUGH, sampling=Sampling(seed=7)), engine, judge(lambda _: 0.45))
    seeds = [params.seed for _, params in engine.calls]
    assert seeds == [7, 11, 15]


def test_the_samples_of_every_stage_are_the_first_of_the_search() -> None:
    plan = _plan(
        ProbeStage(2, ()),
        ProbeStage(
            4,
            (
                _branch(
                    0.0, 1.0, alternative(StrategySpec("best_of_n_weighted", 6, stopping=Stopping("none")))
                ),
            ),
        ),
    )
    engine = ScriptedEngine([WRONG, RIGHT, RIGHT, WRONG, WRONG, WRONG], model="tiny")
    outcome, _ = play(job(plan), engine)
    assert (outcome.samples, outcome.text) == (6, RIGHT)
    assert [len(prompts) for prompts, _ in engine.calls] == [2, 2, 2]


def test_what_was_seen_chooses_among_the_ways_of_the_branch() -> None:
    doubt, trust = (Reading(each, (0.0,) * len(FEATURES)) for each in (-3.0, 3.0))
    priced = [
        alternative(StrategySpec("best_of_n_weighted", 4)),
        alternative(StrategySpec("direct"), route="large", model="huge"),
    ]
    ways = [replace(each, expected_cost_usd=Decimal("0.001")) for each in priced]
    branch = replace(_branch(0.0, 1.0, *ways), readings=(doubt, trust))
    outcome, _ = play(job(_plan(ProbeStage(4, (branch,)), worth=Worth(1.0))), ScriptedEngine([RIGHT]))
    assert outcome.status == "escalate"
    assert outcome.decision is not None
    assert outcome.decision.branch.chosen.model == "huge"
    assert outcome.decision.branch.reason.startswith("by what the probe saw: huge")
