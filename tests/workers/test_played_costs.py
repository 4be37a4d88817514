"""What a rehearsal says that a staged probe and what follows it cost is what a worker bills for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cost_model.prices import add_usd
from router.market import Market
from router.prospects import Way
from router.rehearsal import Recorded, rehearse
from router.types import Branch, Plan, ProbeStage, StrategySpec, Task
from tests.router.guided import Oracle, guided
from tests.workers.jobs import alternative, job, plan_of, play
from workers.engines.scripted import ScriptedEngine
from workers.protocols import Prompt, Scores
from workers.verifiers.scripted import ScriptedVerifier

COUNT, SIZES, LARGE_USD = 60, (4, 8, 16), 1e-3
PROMPT_TOKENS, COMPLETION_TOKENS = 6, 5


class ReadsAll(ScriptedVerifier):
    """Counts the question too, as one that reads it does."""

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        scores = super().score(turns, task)
        return Scores(scores.scored, len(turns) * (PROMPT_TOKENS + COMPLETION_TOKENS))


def _billed(market: Market, plan: Plan) -> float:
    said = iter(range(10, 99))  # no two samples are equal: each is judged
    engine = ScriptedEngine(lambda *_: f"The answer is {next(said)}.", model="tiny")
    outcome, _ = play(job(plan), engine, ReadsAll(lambda _: [0.5], name="prm"))
    billed = add_usd(*(line.cost_usd for line in market.priced(outcome.usage)))
    assert billed is not None
    return float(billed)


def _probed(way: Way, samples: int, sizes: Sequence[int] = SIZES) -> Plan:
    """A probe of these stages that goes on until it has so many samples, and then that way."""
    vote = StrategySpec("best_of_n_weighted", samples)
    spec = vote if way.spec.samples < samples else way.spec
    chosen = alternative(spec, route=way.route, model=way.model)
    last = ProbeStage(samples, (Branch(None, chosen, (), "as the test says", None),))
    before = [ProbeStage(size, ()) for size in sizes if size < samples]
    return Plan("default", "tiny", "prm", (*before, last), None, None, None)


@pytest.mark.parametrize(
    ("policy", "then"),
    [
        ({"usd_per_right_answer": "0.0003"}, ("best_of_n_weighted@4", 8)),
        ({"usd_per_right_answer": "0.01"}, ("big", 16)),
        ({"usd_per_right_answer": "1"}, ("best_of_n_weighted@16", 16)),
        ({"usd_per_right_answer": "0.01", "probe_samples": 4}, ("best_of_n_weighted@16", 4)),
    ],
    ids=str,
)
def test_a_probe_of_several_stages_costs_what_a_worker_bills_for_it(
    policy: dict[str, Any], then: tuple[str, int]
) -> None:
    oracle = Oracle([0.5, 0.6, 0.7, 0.9], tokens=COMPLETION_TOKENS)
    market = guided(oracle, probe="always", **policy)
    guide = market.guides["default"]
    prospect = guide.of_forecast(oracle.forecast(["?"] * COUNT))
    alone = [
        LARGE_USD
        if way.route == "large"
        else _billed(market, plan_of(alternative(way.spec), policy="default", verifier="prm"))
        for way in prospect.ways
    ]
    large = next(way for way in prospect.ways if way.route == "large")
    recorded = Recorded(
        np.ones((COUNT, len(alone))),
        np.tile(alone, (COUNT, 1)),
        np.full(COUNT, _billed(market, _probed(large, 16, sizes=()))),
        np.full(COUNT, 16.0),
        np.random.default_rng(0).random((COUNT, len(guide.stages))),
        None,
    )
    rehearsal = rehearse(market, "default", guide, prospect, PROMPT_TOKENS)
    played = rehearsal.play(prospect, recorded, np.full(COUNT, float(PROMPT_TOKENS)))
    seen = set()
    for index, samples, cost_usd in zip(played.way, played.samples, played.cost_usd, strict=True):
        way = prospect.ways[index]
        billed = _billed(market, _probed(way, samples))
        assert cost_usd == pytest.approx(billed + (LARGE_USD if way.route == "large" else 0.0))
        seen.add((way.name, int(samples)))
    assert then in seen
