"""Rehearsals decide what is decided online, query by query; tuning plays them on what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from router.config import LiteLLMModel
from router.decision import NOTHING
from router.features.evidence import evidence_features
from router.market import Market, open_market
from router.outcome_table import Action
from router.policy import plan
from router.predicted import Predicted
from router.probing import log_odds
from router.rehearsal import Recorded, Rehearsal, rehearse
from router.replanning import replan
from router.types import Evidence, Query
from tests.router.examples import query
from tests.router.guided import ACTIONS, Oracle, evidence, guided, probing

COUNT, PROMPT_TOKENS = 150, 25
MANY = (*ACTIONS[:3], *(Action(f"large{each}", "large", f"large{each}") for each in range(4)))


def _market(predictor: Oracle, **policy: Any) -> Market:
    larges = [action.model for action in predictor.actions if action.route == "large"]
    return guided(predictor, larges, **policy)


def _queries(actions: Sequence[Action], seed: int = 0) -> tuple[list[Query], Oracle, list[Evidence]]:
    random = np.random.default_rng(seed)
    texts = [f"question {number}" for number in range(COUNT)]
    rights = {text: random.uniform(0.02, 0.98, len(actions)).tolist() for text in texts}
    seen = [evidence(16, score, number) for number, score in enumerate(random.random(COUNT))]
    oracle = Oracle([0.5] * len(actions), tuple(actions), probing(actions), by_text=rights)
    return [query(text) for text in texts], oracle, seen


def _recorded(guide: Predicted, oracle: Oracle, seen: Sequence[Evidence], random: np.random.Generator) -> Any:
    forecast = oracle.forecast([f"question {number}" for number in range(len(seen))])
    prospect = guide.of_forecast(forecast)
    features = [
        np.array([evidence_features(each.first(stage.model.samples)) for each in seen])
        for stage in guide.stages
    ]
    models = [stage.model for stage in guide.stages]
    priors = log_odds(prospect.right)
    shape = (len(seen), len(guide.ways))
    recorded = Recorded(
        random.random(shape),
        random.random(shape),
        np.full(len(seen), 16e-5),
        np.full(len(seen), 16.0),
        np.stack(
            [
                expit(model.posterior(prospect.prior, each))
                for model, each in zip(models, features, strict=True)
            ],
            axis=1,
        ),
        np.stack(
            [model.actions_seen(priors, each) for model, each in zip(models, features, strict=True)], axis=1
        ),
    )
    return prospect, recorded


def _online(market: Market, queries: Sequence[Query], seen: Sequence[Evidence]) -> list[tuple[str, int, int]]:
    """(model, samples of its search, samples of the probe) by plan and replan, query by query."""
    found = []
    for one, evidence_ in zip(queries, seen, strict=True):
        decided = plan(one, "default", market, prompt_tokens=PROMPT_TOKENS)
        if not decided.probe_samples:
            chosen = decided.branches[0].chosen
            found.append((chosen.model, chosen.strategy.samples, 0))
            continue
        for index, stage in enumerate(decided.stages):
            decision = replan(decided, index, evidence_.first(stage.samples))
            if decision is not None:
                chosen = decision.branch.chosen
                found.append((chosen.model, chosen.strategy.samples, stage.samples))
                break
    return found


def _rehearsed(
    market: Market, rehearsal: Rehearsal, prospect: Any, recorded: Recorded
) -> list[tuple[str, int, int]]:
    played = rehearsal.play(prospect, recorded, np.full(len(recorded.right), float(PROMPT_TOKENS)))
    found = []
    for way, samples in zip(played.way.tolist(), played.samples.tolist(), strict=True):
        assert way != NOTHING
        one = prospect.ways[way]
        small = one.route == "small"
        found.append((one.model, max(one.spec.samples, samples) if small else 1, samples))
    return found


@pytest.mark.parametrize(
    ("actions", "policy"),
    [
        (ACTIONS, {}),
        (ACTIONS, {"usd_per_right_answer": "0.0005"}),
        (ACTIONS, {"probe": "always", "min_accuracy": 0.7}),
        (ACTIONS, {"probe_samples": 8, "usd_per_right_answer": "1"}),
        (MANY, {"usd_per_right_answer": "0.002"}),
        (ACTIONS, {"max_cost_usd": "0.0021"}),
    ],
)
def test_a_rehearsal_decides_what_plan_and_replan_decide(
    actions: tuple[Action, ...], policy: dict[str, Any]
) -> None:
    queries, oracle, seen = _queries(actions)
    market = _market(oracle, **policy)
    guide = market.guides["default"]
    prospect, recorded = _recorded(guide, oracle, seen, np.random.default_rng(1))
    rehearsal = rehearse(market, "default", guide, prospect, PROMPT_TOKENS)
    online = _online(market, queries, seen)
    assert _rehearsed(market, rehearsal, prospect, recorded) == online
    assert len(set(online)) > 1


def test_what_came_of_it_is_what_was_recorded_and_a_probe_is_paid_for_as_far_as_it_went() -> None:
    _, oracle, seen = _queries(ACTIONS)
    market = _market(oracle, probe="always", probe_samples=8)
    guide = market.guides["default"]
    prospect, recorded = _recorded(guide, oracle, seen, np.random.default_rng(1))
    rehearsal = rehearse(market, "default", guide, prospect, PROMPT_TOKENS)
    played = rehearsal.play(prospect, recorded, np.full(COUNT, 25.0))
    rows = np.arange(COUNT)
    assert played.right == pytest.approx(recorded.right[rows, played.way])
    assert set(played.samples.tolist()) <= {4, 8}
    # 25 tokens are read for $0.1 a million; a sample writes 40 for $0.2, and its judge reads 65 for $0.05.
    reads = 25 * 0.1 / (25 * 0.1 + 16 * (40 * 0.2 + 65 * 0.05)) * 16e-5
    stages, sample = np.where(played.samples == 4, 1, 2), (16e-5 - reads) / 16
    alone, probe = recorded.cost_usd[rows, played.way], stages * reads + played.samples * sample
    large = np.array([way.route == "large" for way in guide.ways])[played.way]
    wanted = np.array([way.spec.samples for way in guide.ways])[played.way]
    search = alone + (stages - 1 + (wanted > played.samples)) * reads
    assert played.cost_usd == pytest.approx(np.where(large, alone + probe, np.maximum(search, probe)))


def test_where_no_probe_was_recorded_there_is_no_telling() -> None:
    _, oracle, seen = _queries(ACTIONS)
    market = _market(oracle, probe="always")
    guide = market.guides["default"]
    prospect, recorded = _recorded(guide, oracle, seen, np.random.default_rng(1))
    recorded.p_right[:5] = np.nan
    rehearsal = rehearse(market, "default", guide, prospect, PROMPT_TOKENS)
    played = rehearsal.play(prospect, recorded, np.full(COUNT, 25.0))
    assert np.flatnonzero(played.blind).tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(played.right[:5]).all()
    assert not np.isnan(played.right[5:]).any()


def test_where_a_price_is_unknown_the_plan_is_kept_online_and_in_rehearsal() -> None:
    queries, oracle, seen = _queries(ACTIONS)
    priced = _market(oracle, probe="always").config
    big = LiteLLMModel(engine="litellm", litellm_model="big", max_tokens=100)
    config = priced.model_copy(update={"models": {**priced.models, "big": big}})
    market = open_market(config, price_map={"big": {"output_cost_per_token": 2e-5}}, predictor=oracle)
    guide = market.guides["default"]
    prospect, recorded = _recorded(guide, oracle, seen, np.random.default_rng(1))
    rehearsal = rehearse(market, "default", guide, prospect, PROMPT_TOKENS)
    assert _rehearsed(market, rehearsal, prospect, recorded) == _online(market, queries, seen)


def test_a_policy_s_guide_is_never_a_table_where_a_predictor_fits() -> None:
    _, oracle, _ = _queries(ACTIONS)
    assert isinstance(_market(oracle).guides["default"], Predicted)
