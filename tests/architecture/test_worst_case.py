"""The promise between two rooms: what the router prices as the worst case, no worker exceeds."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.prices import add_usd
from router.config import Config, TransformersModel
from router.market import Market, open_market
from router.policy import plan
from router.types import Bin, Job, Query, Sampling
from workers.engines.scripted import ScriptedEngine, tokens
from workers.executor import Model, run
from workers.protocols import Cancellation, Prompt, Scores
from workers.verifiers.scripted import ScriptedVerifier

CONTEXT = 120
PRICE = {"usd_per_million_prompt_tokens": 3, "usd_per_million_completion_tokens": 11}


@cache
def _market(verifier: str, samples: int, probes: int) -> Market:
    model = {"engine": "transformers", "path": "x", "context_tokens": CONTEXT, "max_tokens": 30}
    config = Config.model_validate(
        {
            "models": {"small": {**model, "price": PRICE}},
            "verifiers": {
                "prm": {
                    "kind": "prm",
                    "path": "x",
                    "context_tokens": CONTEXT,
                    "price": {"usd_per_million_tokens": 7},
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
                }
            },
        }
    )
    return open_market(config)


class _Verifier(ScriptedVerifier):
    """Reads prompt and text of everything it judges, up to its context; or nothing."""

    def score(self, messages: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Scores:
        read = sum(len(tokens(message["content"])) for message in messages)
        judged = super().score(messages, texts)
        if not self.scores_steps:
            return Scores(judged.scored, 0)
        return Scores(judged.scored, sum(min(CONTEXT, read + len(tokens(text)) + 1) for text in texts))


@settings(max_examples=60, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from([("prm", 4, 4), ("prm", 8, 4), ("prm", 16, 4), ("prm", 8, 0), ("votes", 8, 4)]),
    st.sampled_from(Bin),
    st.none() | st.integers(1, 60),
    st.integers(1, 30),
)
def test_no_execution_costs_more_than_the_worst_case_of_its_plan(
    rng: random.Random,
    shape: tuple[str, int, int],
    difficulty_bin: Bin,
    max_tokens: int | None,
    words: int,
) -> None:
    market = _market(*shape)
    query = Query(({"role": "user", "content": "why " * words},), Sampling(max_tokens=max_tokens))
    decided = plan(query, "default", market)

    def talk(_prompt: Prompt, _index: int, _seed: int) -> str:
        lines = [" ".join(["so"] * rng.randint(1, 12)) for _ in range(rng.randint(1, 20))]
        return "\n".join([*lines, f"The answer is {rng.randint(1, 5)}."])

    level = {Bin.EASY: 0.8, Bin.MEDIUM: 0.5, Bin.HARD: 0.3, Bin.VERY_HARD: 0.1}[difficulty_bin]
    engine = ScriptedEngine(talk, model="small", context_tokens=CONTEXT)
    verifier = _Verifier(
        lambda text: [max(0.0, level + rng.uniform(-0.04, 0.04)) for _ in text.splitlines()],
        name=shape[0],
        scores_steps=shape[0] == "prm",
    )
    small = market.config.models["small"]
    assert isinstance(small, TransformersModel)
    job = Job("j", "r", query, decided, time.time() + 60)
    outcome = run(job, {"small": Model(engine, small)}, {shape[0]: verifier}, lambda _: None, Cancellation())

    cost = add_usd(*(line.cost_usd for line in market.priced(outcome.usage)))
    assert outcome.failure is None or outcome.failure.code == "deadline_exceeded", outcome.failure
    assert cost is not None
    assert decided.worst_case_cost_usd is not None
    assert Decimal(0) < cost <= decided.worst_case_cost_usd
