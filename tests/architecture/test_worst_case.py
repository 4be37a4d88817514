"""The promise between two rooms: what the router prices as the worst case, no worker exceeds."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.prices import add_usd
from router.config import Config, TransformersModel
from router.market import Market, open_market
from router.outcome_table import Action
from router.policy import plan, search_plan
from router.strategy import BY_STEPS
from router.types import Bin, Job, Outcome, Plan, Query, Sampling, Stopping, StrategyName, Task
from router.wish import Wish
from tests.router.guided import Oracle, probing
from workers.engines.scripted import ScriptedEngine, tokens
from workers.executor import Model, run
from workers.protocols import Cancellation, Prompt, Scores, Verifier
from workers.verifiers.ensemble import EnsembleVerifier
from workers.verifiers.judge import ring
from workers.verifiers.scripted import ScriptedVerifier

CONTEXT = 120
PRICE = {
    "usd_per_million_prompt_tokens": 3,
    "usd_per_million_completion_tokens": 11,
    "usd_per_million_cached_prompt_tokens": 1,
    "usd_per_million_reasoning_tokens": 17,
}
JUDGEMENT_TOKENS = 20
ACTIONS = (
    Action("small", "small", "small"),
    Action("best_of_n_weighted@4", "small", "small", "best_of_n_weighted", 4),
    Action("best_of_n_weighted@16", "small", "small", "best_of_n_weighted", 16),
    Action("beam@16", "small", "small", "beam", 16),
)
LEVELS = {Bin.EASY: 0.8, Bin.MEDIUM: 0.5, Bin.HARD: 0.3, Bin.VERY_HARD: 0.1}


@cache
def _market(
    verifier: str, samples: int, probes: int, thinks: bool, right: tuple[float, ...] | None = None
) -> Market:
    """``right``: what a predictor says of :data:`ACTIONS`, for every prompt."""
    model: dict[str, Any] = {
        "engine": "transformers",
        "path": "x",
        "context_tokens": CONTEXT,
        "max_tokens": 30,
    }
    local = {"path": "x", "context_tokens": CONTEXT}
    config = Config.model_validate(
        {
            "models": {"small": {**model, "price": PRICE, "thinking": {} if thinks else None}},
            "verifiers": {
                "prm": {"kind": "prm", **local, "price": {"usd_per_million_tokens": 7}},
                "orm": {"kind": "orm", **local, "price": {"usd_per_million_tokens": 5}},
                "both": {"kind": "ensemble", "weights": {"prm": 1, "orm": 1}},
                "asked": {
                    "kind": "judge",
                    "litellm_model": "x",
                    "context_tokens": CONTEXT,
                    "max_tokens": JUDGEMENT_TOKENS,
                    "price": PRICE,
                    "mode": "pairwise",
                },
                "rated": {
                    "kind": "judge",
                    "litellm_model": "x",
                    "context_tokens": CONTEXT,
                    "max_tokens": JUDGEMENT_TOKENS,
                    "price": PRICE,
                    "mode": "pointwise",
                },
                "votes": {"kind": "majority"},
            },
            "policies": {
                "default": {
                    "small": "small",
                    "verifier": verifier,
                    "search_samples": samples,
                    "probe_samples": probes,
                    "usd_per_right_answer": 1,
                    "probe": "auto" if right is None else "always",
                }
            },
        }
    )
    predictor = None if right is None else Oracle(right, ACTIONS, probing(ACTIONS))
    return open_market(config, predictor=predictor)


class _Reader(ScriptedVerifier):
    """Reads prompt and text of everything it judges, up to its context, and may write about it."""

    written = 0

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        judged = super().score(turns, task)
        read = sum(min(CONTEXT, _length(turn)) for turn in turns)
        return Scores(judged.scored, read, len(turns) * self.written)


class _Rater(_Reader):
    written = JUDGEMENT_TOKENS


class _Comparer(ScriptedVerifier):
    """Is asked which of two turns is better, both ways round."""

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        judged = super().score(turns, task)
        pairs = ring(len(turns))
        read = sum(min(CONTEXT, _length(turns[one]) + _length(turns[other])) for one, other in pairs)
        return Scores(judged.scored, 2 * read, 2 * len(pairs) * JUDGEMENT_TOKENS)


class _Counter(ScriptedVerifier):
    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        return Scores(super().score(turns, task).scored, 0)


def _length(turn: Prompt) -> int:
    said = [str(message["content"]) for message in turn.messages]
    return sum(len(tokens(text)) + 1 for text in [*said, turn.prefix])


def _verifiers(rng: random.Random, level: float) -> dict[str, Verifier]:
    def judge(text: str) -> list[float]:
        return [max(0.0, level + rng.uniform(-0.04, 0.04)) for _ in text.splitlines()]

    prm = _Reader(judge, name="prm")
    orm = _Reader(judge, name="orm", scores_steps=False)
    return {
        "prm": prm,
        "orm": orm,
        "both": EnsembleVerifier("both", [(prm, 1.0), (orm, 1.0)]),
        "asked": _Comparer(judge, name="asked", scores_steps=False, compares_turns=True),
        "rated": _Rater(judge, name="rated", scores_steps=False),
        "votes": _Counter(judge, name="votes", scores_steps=False, compares_turns=True),
    }


def _play(market: Market, decided: Plan, query: Query, rng: random.Random, level: float) -> Outcome:
    small = market.config.models["small"]
    assert isinstance(small, TransformersModel)

    def talk(prompt: Prompt, _index: int, _seed: int) -> str:
        lines = [" ".join(["so"] * rng.randint(1, 12)) for _ in range(rng.randint(1, 20))]
        thought = "<think>\nhm " + "hm " * rng.randint(0, 9) + "</think>" if small.thinking else ""
        said = "" if prompt.prefix else thought
        return said + "\n".join([*lines, f"The answer is {rng.randint(1, 5)}."])

    model = Model(ScriptedEngine(talk, model="small", context_tokens=CONTEXT), small)
    job = Job("j", "r", query, decided, time.time() + 60)
    return run(job, {"small": model}, _verifiers(rng, level), lambda _: None, Cancellation())


def _assert_within(market: Market, decided: Plan, outcome: Outcome) -> None:
    cost = add_usd(*(line.cost_usd for line in market.priced(outcome.usage)))
    assert outcome.failure is None or outcome.failure.code == "deadline_exceeded", outcome.failure
    assert cost is not None
    assert decided.worst_case_cost_usd is not None
    assert Decimal(0) < cost <= decided.worst_case_cost_usd


def _query(words: int, max_tokens: int | None) -> Query:
    return Query(({"role": "user", "content": "why " * words},), Sampling(max_tokens=max_tokens))


rngs = st.randoms(use_true_random=False)
limits = st.none() | st.integers(1, 60)
lengths = st.integers(1, 30)
shapes = st.sampled_from(
    [
        ("prm", 4, 4),
        ("prm", 8, 4),
        ("prm", 16, 4),
        ("prm", 8, 0),
        ("votes", 8, 4),
        ("asked", 8, 4),
        ("rated", 8, 4),
        ("both", 8, 4),
    ]
)


@settings(max_examples=60, deadline=None)
@given(rngs, shapes, st.sampled_from(Bin), limits, lengths, st.booleans())
def test_no_routed_query_costs_more_than_the_worst_case_of_its_plan(
    rng: random.Random,
    shape: tuple[str, int, int],
    difficulty_bin: Bin,
    max_tokens: int | None,
    words: int,
    thinks: bool,
) -> None:
    market = _market(*shape, thinks)
    query = _query(words, max_tokens)
    decided = plan(query, "default", market)
    _assert_within(market, decided, _play(market, decided, query, rng, LEVELS[difficulty_bin]))


@settings(max_examples=40, deadline=None)
@given(rngs, st.tuples(*[st.floats(0.05, 0.95)] * 4), st.floats(0.05, 0.9), limits, lengths)
def test_no_way_through_the_stages_of_a_probe_costs_more_than_the_worst_case(
    rng: random.Random, right: tuple[float, ...], level: float, max_tokens: int | None, words: int
) -> None:
    market = _market("prm", 16, 16, False, right)
    query = _query(words, max_tokens)
    decided = plan(query, "default", market)
    assert decided.probe_samples
    _assert_within(market, decided, _play(market, decided, query, rng, level))


stoppings = st.builds(
    Stopping, st.sampled_from(["none", "leader", "beta"]), window=st.none() | st.integers(2, 5)
) | st.builds(Stopping, st.just("window"), window=st.integers(2, 5))
wishes = st.builds(
    Wish,
    st.none(),
    st.sampled_from([4, 8, 12]),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 3),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([0.0, 0.02, 0.5]),
    stoppings,
)


@pytest.mark.parametrize("strategy", get_args(StrategyName))
@settings(max_examples=20, deadline=None)
@given(
    rngs,
    wishes,
    st.booleans(),
    st.sampled_from(["prm", "both", "asked", "rated", "votes"]),
    limits,
    lengths,
    st.booleans(),
)
def test_no_search_costs_more_than_its_worst_case(
    strategy: StrategyName,
    rng: random.Random,
    wish: Wish,
    probes: bool,
    verifier: str,
    max_tokens: int | None,
    words: int,
    thinks: bool,
) -> None:
    wish = replace(wish, strategy=strategy)
    market = _market(verifier, 8, 3, thinks)
    query = _query(words, max_tokens)
    if market.config.judging(verifier) != "steps" and wish.strategy in BY_STEPS:
        market = _market("prm", 8, 3, thinks)
    decided = (
        plan(query, "default", market, wish=wish) if probes else search_plan(query, "default", market, wish)
    )
    _assert_within(market, decided, _play(market, decided, query, rng, 0.5))
