"""Turns ways of answering into priced :class:`router.types.Alternative` values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil

from cost_model.estimate import Judge, Workload, direct, parallel
from cost_model.prices import UNKNOWN, Price
from cost_model.searches import TOKENS_A_STEP
from router.config import Model
from router.market import Market
from router.outlooks import Expectation
from router.prospects import Way
from router.strategy import BY_CHAINS, BY_STEPS
from router.types import Alternative, Route, StrategyName, StrategySpec
from router.workloads import NOTHING, Ask, Counter, search_load, size_of

DIRECT = StrategySpec("direct")


@dataclass(frozen=True, slots=True)
class ProbePrice:
    """What some samples of a probe cost in USD, ``None`` is unknown; and how long they take.

    Where the small model's speed is not configured that is 0: nobody holds it against it.
    """

    counter: Counter
    load: Workload
    expected_s: float

    @property
    def expected_usd(self) -> Decimal | None:
        return self.load.expected.cost_usd(self.counter.price, self.counter.judges)

    @property
    def worst_case_usd(self) -> Decimal | None:
        return _worst_usd(self.load, self.counter.price, self.counter.judges)


def expected_usd(
    market: Market, policy_name: str, way: Way, mean_tokens: float | None, ask: Ask, probes: int
) -> Decimal | None:
    """What :func:`priced` expects the way to cost, and no more: for a grid of lengths."""
    if way.spec.name != "direct":
        counter, spec = market.counters[policy_name], way.spec
        load = search_load(counter, spec, size_of(counter.small, ask, mean_tokens), probes)
        return load.expected.cost_usd(counter.price, counter.judges)
    if probes and way.route == "small":
        return Decimal(0)
    load = direct(size_of(market.config.models[way.model], ask, mean_tokens), ask.answers)
    return load.expected.cost_usd(_price(market, way.model, ask))


def priced(
    market: Market, policy_name: str, way: Way, expectation: Expectation, ask: Ask, probes: int
) -> Alternative:
    """The way as an alternative, beyond ``probes`` samples; after some, the small model has answered."""
    if probes and way.route == "small" and way.spec.name == "direct":
        return vote(market, policy_name, way.spec, expectation, probes)
    if way.spec.name == "direct":
        return direct_answer(market, way.route, way.model, expectation, ask)
    return search(market, policy_name, way.spec, expectation, ask, probes=probes)


def limited(
    market: Market, policy_name: str, way: Way, mean_tokens: float | None, ask: Ask, probes: int
) -> tuple[Decimal | None, float | None]:
    """What limits look at of what :func:`priced` says: USD at most, and expected seconds."""
    counter, model = market.counters[policy_name], market.config.models[way.model]
    if way.spec.name != "direct":
        load, expected_s = _searched(counter, way.spec, mean_tokens, ask, probes)
        return _worst_usd(load, counter.price, counter.judges), expected_s
    if probes and way.route == "small":
        return Decimal(0), 0.0
    size = size_of(model, ask, mean_tokens)
    own_usd = _worst_usd(direct(size, ask.answers), _price(market, way.model, ask))
    return _worst_direct_usd(market, model, own_usd, ask), _latency_s(model, DIRECT, size.completion)


def direct_answer(
    market: Market, route: Route, model_name: str, expectation: Expectation, ask: Ask
) -> Alternative:
    """One call of a model: one completion, or as many as the request's ``n``."""
    model = market.config.models[model_name]
    size = size_of(model, ask, expectation.completion_tokens)
    load = direct(size, ask.answers)
    price = _price(market, model_name, ask)
    return Alternative(
        route=route,
        model=model_name,
        strategy=DIRECT,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=load.expected.cost_usd(price),
        worst_case_cost_usd=_worst_direct_usd(market, model, _worst_usd(load, price), ask),
        expected_flops=load.expected.flops(model.parameters),
        token_cap=load.token_cap if model.engine == "transformers" else None,
        expected_latency_s=_latency_s(model, DIRECT, size.completion),
    )


def search(
    market: Market, policy_name: str, spec: StrategySpec, expectation: Expectation, ask: Ask, *, probes: int
) -> Alternative:
    """A search on the small model, beyond the ``probes`` samples that it starts from."""
    if probes > spec.samples and spec.name not in BY_STEPS:
        spec = replace(spec, samples=probes)  # they are there: what is chosen among more is right more often
    load, expected_s = _searched(
        market.counters[policy_name], spec, expectation.completion_tokens, ask, probes
    )
    return _on_small(market, policy_name, spec, expectation, load, expected_s)


def vote(
    market: Market, policy_name: str, like: StrategySpec, expectation: Expectation, probes: int
) -> Alternative:
    """Choose among the probe's samples and search no further: free, since they are paid for."""
    name: StrategyName = "majority" if like.name == "majority" else "best_of_n_weighted"
    return _on_small(market, policy_name, StrategySpec(name, probes), expectation, NOTHING, 0.0)


def probe_price(
    market: Market, policy_name: str, mean_tokens: float | None, ask: Ask, samples: int
) -> ProbePrice:
    """Sampling the small model ``samples`` times in one batch, and judging every sample."""
    counter = market.counters[policy_name]
    size = size_of(counter.small, ask, mean_tokens)
    expected_s = _latency_s(counter.small, DIRECT, size.completion) or 0.0
    return ProbePrice(counter, parallel(samples, size), expected_s)


def _worst_direct_usd(market: Market, model: Model, own_usd: Decimal | None, ask: Ask) -> Decimal | None:
    """Of the model, or of whichever of its fallbacks answers in its place: one of them is paid."""
    worst_usd = own_usd
    for name in fallbacks_of(model):
        load = direct(size_of(market.config.models[name], ask, None), ask.answers)
        usd = _worst_usd(load, _price(market, name, ask))
        worst_usd = None if usd is None or worst_usd is None else max(usd, worst_usd)
    return worst_usd


def fallbacks_of(model: Model) -> tuple[str, ...]:
    """Who answers where it cannot; a model in a worker has none."""
    return () if model.engine == "transformers" else model.fallbacks


def _latency_s(model: Model, spec: StrategySpec, completion: int) -> float | None:
    """Seconds on an idle machine; ``None`` where the model's speed is not configured.

    What a search generates side by side takes as long as one of it: only what follows one another adds up.
    """
    if model.latency is None:
        return None
    batches, tokens = 1, completion
    if spec.name in BY_CHAINS:
        batches = spec.chain_length * (2 if spec.name == "reflect" else 1)
        tokens = batches * completion
    elif spec.name in BY_STEPS:
        batches = min(spec.max_rounds, ceil(completion / TOKENS_A_STEP))
        tokens = completion * (1 + spec.lookahead_steps if spec.name == "lookahead" else 1)
    return batches * model.latency.first_token_s + tokens / model.latency.completion_tokens_per_second


def _price(market: Market, model_name: str, ask: Ask) -> Price:
    """Of the model's tokens; a worker knows no fees, a provider does."""
    is_provider = market.config.models[model_name].engine != "transformers"
    return UNKNOWN if ask.fees and is_provider else market.model_prices[model_name]


def _searched(
    counter: Counter, spec: StrategySpec, mean_tokens: float | None, ask: Ask, probes: int
) -> tuple[Workload, float | None]:
    """What a search beyond ``probes`` samples reads and generates, and how long that takes."""
    size = size_of(counter.small, ask, mean_tokens)
    load = search_load(counter, spec, size, probes)
    return load, 0.0 if load.token_cap == 0 else _latency_s(counter.small, spec, size.completion)


def _on_small(
    market: Market,
    policy_name: str,
    spec: StrategySpec,
    expectation: Expectation,
    load: Workload,
    expected_s: float | None,
) -> Alternative:
    counter = market.counters[policy_name]
    small, price, judges = counter.small, counter.price, counter.judges
    return Alternative(
        route="small",
        model=market.config.policies[policy_name].small,
        strategy=spec,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=load.expected.cost_usd(price, judges),
        worst_case_cost_usd=_worst_usd(load, price, judges),
        expected_flops=load.expected.flops(small.parameters, judges),
        token_cap=load.token_cap,
        expected_latency_s=expected_s,
    )


def _worst_usd(load: Workload, model: Price, judges: Sequence[Judge] = ()) -> Decimal | None:
    return None if load.worst is None else load.worst.most_usd(model, judges)
