"""Turns ways of answering into priced :class:`router.types.Alternative` values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from cost_model.estimate import Judge, Size, Workload, direct, parallel
from cost_model.prices import Price
from cost_model.searches import Search, workload
from router.config import LiteLLMModel, Model, SearchedModel
from router.market import ASSUMED_COMPLETION_SHARE, ASSUMED_COMPLETION_TOKENS, Expectation, Market, Outlook
from router.prompts import PromptSize, prompt_size
from router.types import Alternative, Query, Route, StrategyName, StrategySpec

_DIRECT = StrategySpec("direct")


@dataclass(frozen=True, slots=True)
class Ask:
    """What the cost of a query depends on: its length, and how long an answer it allows, and how many."""

    prompt: PromptSize
    max_tokens: int | None
    answers: int = 1


def ask_of(query: Query, prompt_tokens: int | None) -> Ask:
    """``prompt_tokens`` is the prompt's length where it is known."""
    answers = query.extra.get("n")
    return Ask(
        prompt_size(query, prompt_tokens),
        query.sampling.max_tokens,
        answers if isinstance(answers, int) and answers > 1 else 1,
    )


@dataclass(frozen=True, slots=True)
class ProbePrice:
    """What the probe costs in USD; ``None`` is unknown."""

    expected_usd: Decimal | None
    worst_case_usd: Decimal | None


def direct_answer(
    market: Market, route: Route, model_name: str, expectation: Expectation, ask: Ask
) -> Alternative:
    """One call of a model: one completion, or as many as the request's ``n``."""
    model = market.config.models[model_name]
    load = direct(_size(model, ask, expectation.completion_tokens), ask.answers)
    price = market.model_prices[model_name]
    return Alternative(
        route=route,
        model=model_name,
        strategy=_DIRECT,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=load.expected.cost_usd(price),
        worst_case_cost_usd=_worst_usd(load, price),
        expected_flops=load.expected.flops(model.parameters),
        token_cap=load.token_cap if model.engine == "transformers" else None,
    )


def search(market: Market, policy_name: str, outlook: Outlook, ask: Ask, *, probes: int) -> Alternative:
    """The outlook's search on the small model, beyond the ``probes`` samples that it starts from."""
    spec = outlook.search
    size = _small_size(market, policy_name, ask, outlook.small.completion_tokens)
    thinking = _small(market, policy_name).thinking
    done = Search(
        spec.samples,
        probes,
        spec.beam_width,
        spec.max_rounds,
        spec.lookahead_steps,
        spec.chain_length,
        spec.stopping.window,
        thinks_first=thinking is not None and thinking.steps == "after",
        judged_together=market.config.compares_turns(market.config.policies[policy_name].verifier),
    )
    return _on_small(market, policy_name, spec, outlook.small, workload(spec.name, done, size))


def vote(market: Market, policy_name: str, outlook: Outlook) -> Alternative:
    """Choose among the probe's samples and search no further: free, since they are paid for."""
    name: StrategyName = "majority" if outlook.search.name == "majority" else "best_of_n_weighted"
    spec = StrategySpec(name, market.config.policies[policy_name].probe_samples)
    small = Expectation(outlook.small.right, "assumed", None)
    return _on_small(market, policy_name, spec, small, Workload.nothing())


def probe_price(market: Market, policy_name: str, ask: Ask) -> ProbePrice:
    """Sampling the small model ``probe_samples`` times in one batch, and judging every sample."""
    policy = market.config.policies[policy_name]
    size = _small_size(market, policy_name, ask, market.average[policy_name].small.completion_tokens)
    load = parallel(policy.probe_samples, size)
    price, judges = market.model_prices[policy.small], market.judges_of(policy.verifier)
    return ProbePrice(load.expected.cost_usd(price, judges), _worst_usd(load, price, judges))


def _on_small(
    market: Market, policy_name: str, spec: StrategySpec, expectation: Expectation, load: Workload
) -> Alternative:
    policy = market.config.policies[policy_name]
    price, judges = market.model_prices[policy.small], market.judges_of(policy.verifier)
    return Alternative(
        route="small",
        model=policy.small,
        strategy=spec,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=load.expected.cost_usd(price, judges),
        worst_case_cost_usd=_worst_usd(load, price, judges),
        expected_flops=load.expected.flops(market.config.models[policy.small].parameters, judges),
        token_cap=load.token_cap,
    )


def _worst_usd(load: Workload, model: Price, judges: Sequence[Judge] = ()) -> Decimal | None:
    return None if load.worst is None else load.worst.cost_usd(model, judges)


def _small_size(market: Market, policy_name: str, ask: Ask, mean_tokens: float | None) -> Size:
    return _size(_small(market, policy_name), ask, mean_tokens)


def _small(market: Market, policy_name: str) -> SearchedModel:
    small = market.config.models[market.config.policies[policy_name].small]
    assert not isinstance(small, LiteLLMModel), "the configuration was checked"
    return small


def _size(model: Model, ask: Ask, mean_tokens: float | None) -> Size:
    limit = model.completion_limit(ask.max_tokens)
    if mean_tokens is not None:
        completion = ceil(mean_tokens)
    elif limit is not None:
        completion = ceil(limit * ASSUMED_COMPLETION_SHARE)
    else:
        completion = ASSUMED_COMPLETION_TOKENS
    context = model.context_tokens
    bounds = [bound for bound in (ask.prompt.at_most, context) if bound is not None]
    return Size(
        prompt=ask.prompt.expected,
        prompt_at_most=min(bounds, default=None),
        completion=completion if limit is None else min(completion, limit),
        completion_at_most=limit,
        context=context,
    )
