"""Turns ways of answering into priced :class:`router.types.Alternative` values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from cost_model.estimate import Size, Workload, beam, direct, parallel
from cost_model.prices import FREE, Price
from router.config import Model
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
    workload = direct(_size(model, ask, expectation.completion_tokens), ask.answers)
    price = market.model_prices[model_name]
    return Alternative(
        route=route,
        model=model_name,
        strategy=_DIRECT,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=workload.expected.cost_usd(price, FREE),
        worst_case_cost_usd=_worst_usd(workload, price, FREE),
        expected_flops=workload.expected.flops(model.parameters, None),
        token_cap=workload.token_cap if model.engine == "transformers" else None,
    )


def search(market: Market, policy_name: str, outlook: Outlook, ask: Ask, *, probes: int) -> Alternative:
    """The outlook's search on the small model, beyond the ``probes`` samples that it starts from."""
    spec = outlook.search
    size = _small_size(market, policy_name, ask, outlook.small.completion_tokens)
    if spec.name == "beam":
        workload = beam(spec.samples, spec.beam_width, spec.max_rounds, probes, size)
    else:
        workload = parallel(spec.samples - probes, size)
    return _on_small(market, policy_name, spec, outlook.small, workload)


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
    workload = parallel(policy.probe_samples, size)
    prices = market.model_prices[policy.small], market.verifier_prices[policy.verifier]
    return ProbePrice(workload.expected.cost_usd(*prices), _worst_usd(workload, *prices))


def _on_small(
    market: Market, policy_name: str, spec: StrategySpec, expectation: Expectation, workload: Workload
) -> Alternative:
    policy = market.config.policies[policy_name]
    prices = market.model_prices[policy.small], market.verifier_prices[policy.verifier]
    sizes = market.config.models[policy.small].parameters, market.config.verifiers[policy.verifier].parameters
    return Alternative(
        route="small",
        model=policy.small,
        strategy=spec,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=workload.expected.cost_usd(*prices),
        worst_case_cost_usd=_worst_usd(workload, *prices),
        expected_flops=workload.expected.flops(*sizes),
        token_cap=workload.token_cap,
    )


def _worst_usd(workload: Workload, model: Price, verifier: Price) -> Decimal | None:
    return None if workload.worst is None else workload.worst.cost_usd(model, verifier)


def _small_size(market: Market, policy_name: str, ask: Ask, mean_tokens: float | None) -> Size:
    policy = market.config.policies[policy_name]
    verifier_context = market.config.verifiers[policy.verifier].context_tokens
    return _size(market.config.models[policy.small], ask, mean_tokens, verifier_context)


def _size(model: Model, ask: Ask, mean_tokens: float | None, verifier_context: int = 0) -> Size:
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
        verifier_context=verifier_context,
    )
