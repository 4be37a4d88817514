"""Turns ways of answering into priced :class:`router.types.Alternative` values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from math import ceil

from cost_model.estimate import Judge, Size, Workload, direct, parallel
from cost_model.prices import UNKNOWN, Price
from cost_model.searches import TOKENS_A_STEP, Search, workload
from router.config import Model
from router.fees import fees_of
from router.market import Counter, Market
from router.outlooks import ASSUMED_COMPLETION_SHARE, ASSUMED_COMPLETION_TOKENS, Expectation
from router.prompts import PromptSize, prompt_size
from router.prospects import Way
from router.strategy import BY_CHAINS, BY_STEPS
from router.types import Alternative, Query, Route, StrategyName, StrategySpec

DIRECT = StrategySpec("direct")

_workload = lru_cache(maxsize=65_536)(workload)
"""What a search takes is asked again and again, for the same sizes."""
_parallel = lru_cache(maxsize=4096)(parallel)
"""So is what samples take; and of one query, by its expected cost and its worst case."""
_direct = lru_cache(maxsize=4096)(direct)
_NOTHING = Workload.nothing()


@dataclass(frozen=True, slots=True)
class Ask:
    """What the cost of a query depends on: its length, and how long an answer it allows, and how many."""

    prompt: PromptSize
    max_tokens: int | None
    answers: int = 1
    fees: tuple[str, ...] = ()


def ask_of(query: Query, prompt_tokens: int | None) -> Ask:
    """``prompt_tokens`` is the prompt's length where it is known."""
    answers = query.extra.get("n")
    return Ask(
        prompt_size(query, prompt_tokens),
        query.sampling.max_tokens,
        answers if isinstance(answers, int) and answers > 1 else 1,
        fees_of(query),
    )


@dataclass(frozen=True, slots=True)
class ProbePrice:
    """What some samples of a probe cost in USD, ``None`` is unknown; and how long they take."""

    counter: Counter
    load: Workload
    completion_tokens: int

    @property
    def expected_usd(self) -> Decimal | None:
        return self.load.expected.cost_usd(self.counter.price, self.counter.judges)

    @property
    def worst_case_usd(self) -> Decimal | None:
        return _worst_usd(self.load, self.counter.price, self.counter.judges)

    @property
    def expected_s(self) -> float:
        """Of a model whose speed is not configured 0: nobody holds it against it."""
        return _latency_s(self.counter.small, DIRECT, self.completion_tokens) or 0.0


def expected_usd(
    market: Market, policy_name: str, way: Way, mean_tokens: float | None, ask: Ask, probes: int
) -> Decimal | None:
    """What :func:`priced` expects the way to cost, and no more: to weigh many by."""
    if way.spec.name != "direct":
        counter, spec = market.counters[policy_name], way.spec
        load = _search_load(counter, spec, mean_tokens, ask, probes)
        return load.expected.cost_usd(counter.price, counter.judges)
    if probes and way.route == "small":
        return Decimal(0)
    load = _direct_load(market, way.model, mean_tokens, ask)
    return load.expected.cost_usd(_price(market, way.model, ask))


def priced(
    market: Market, policy_name: str, way: Way, expectation: Expectation, ask: Ask, probes: int
) -> Alternative:
    """The way as an alternative, beyond ``probes`` samples; after some, the small model has answered."""
    if probes and way.route == "small" and way.spec.name == "direct":
        return vote(market, policy_name, way.spec, expectation, ask, probes)
    if way.spec.name == "direct":
        return direct_answer(market, way.route, way.model, expectation, ask)
    return search(market, policy_name, way.spec, expectation, ask, probes=probes)


def direct_answer(
    market: Market, route: Route, model_name: str, expectation: Expectation, ask: Ask
) -> Alternative:
    """One call of a model: one completion, or as many as the request's ``n``."""
    model = market.config.models[model_name]
    load = _direct_load(market, model_name, expectation.completion_tokens, ask)
    price = _price(market, model_name, ask)
    return Alternative(
        route=route,
        model=model_name,
        strategy=DIRECT,
        accuracy=expectation.right,
        accuracy_source=expectation.source,
        expected_cost_usd=load.expected.cost_usd(price),
        worst_case_cost_usd=_worst_direct_usd(market, model_name, ask),
        expected_flops=load.expected.flops(model.parameters),
        token_cap=load.token_cap if model.engine == "transformers" else None,
        expected_latency_s=_latency_s(
            model, DIRECT, _size(model, ask, expectation.completion_tokens).completion
        ),
    )


def search(
    market: Market, policy_name: str, spec: StrategySpec, expectation: Expectation, ask: Ask, *, probes: int
) -> Alternative:
    """A search on the small model, beyond the ``probes`` samples that it starts from."""
    if probes > spec.samples and spec.name not in BY_STEPS:
        spec = replace(spec, samples=probes)  # they are there: what is chosen among more is right more often
    load = _search_load(market.counters[policy_name], spec, expectation.completion_tokens, ask, probes)
    return _on_small(market, policy_name, spec, expectation, load, ask)


def vote(
    market: Market, policy_name: str, like: StrategySpec, expectation: Expectation, ask: Ask, probes: int
) -> Alternative:
    """Choose among the probe's samples and search no further: free, since they are paid for."""
    name: StrategyName = "majority" if like.name == "majority" else "best_of_n_weighted"
    return _on_small(market, policy_name, StrategySpec(name, probes), expectation, _NOTHING, ask)


def probe_price(
    market: Market, policy_name: str, mean_tokens: float | None, ask: Ask, samples: int
) -> ProbePrice:
    """Sampling the small model ``samples`` times in one batch, and judging every sample."""
    counter = market.counters[policy_name]
    size = _size(counter.small, ask, mean_tokens)
    return ProbePrice(counter, _parallel(samples, size), size.completion)


def _worst_direct_usd(market: Market, model_name: str, ask: Ask) -> Decimal | None:
    """Of the model, or of whichever of its fallbacks answers in its place: one of them is paid."""
    costs = [
        _worst_usd(_direct_load(market, name, None, ask), _price(market, name, ask))
        for name in (model_name, *fallbacks_of(market.config.models[model_name]))
    ]
    known = [cost for cost in costs if cost is not None]
    return max(known) if len(known) == len(costs) else None


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


def _direct_load(market: Market, model_name: str, mean_tokens: float | None, ask: Ask) -> Workload:
    return _direct(_size(market.config.models[model_name], ask, mean_tokens), ask.answers)


def _search_load(
    counter: Counter, spec: StrategySpec, mean_tokens: float | None, ask: Ask, probes: int
) -> Workload:
    if probes >= spec.samples and spec.name not in BY_STEPS | BY_CHAINS:
        return _NOTHING  # every sample is there
    search = _search(spec, probes, counter.thinks_first, counter.judged_together)
    return _workload(spec.name, search, _size(counter.small, ask, mean_tokens))


@lru_cache(maxsize=4096)
def _search(spec: StrategySpec, probes: int, thinks_first: bool, judged_together: bool) -> Search:
    return Search(
        spec.samples,
        probes,
        spec.beam_width,
        spec.max_rounds,
        spec.lookahead_steps,
        spec.chain_length,
        spec.stopping.window,
        thinks_first=thinks_first,
        judged_together=judged_together,
    )


def _on_small(
    market: Market,
    policy_name: str,
    spec: StrategySpec,
    expectation: Expectation,
    load: Workload,
    ask: Ask,
) -> Alternative:
    counter = market.counters[policy_name]
    small, price, judges = counter.small, counter.price, counter.judges
    completion = _size(small, ask, expectation.completion_tokens).completion
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
        expected_latency_s=0.0 if load.token_cap == 0 else _latency_s(small, spec, completion),
    )


def _worst_usd(load: Workload, model: Price, judges: Sequence[Judge] = ()) -> Decimal | None:
    return None if load.worst is None else load.worst.most_usd(model, judges)


def assumed_tokens(model: Model, ask: Ask) -> int:
    """How long an answer is expected to be where nobody measured it."""
    return _size(model, ask, None).completion


def _size(model: Model, ask: Ask, mean_tokens: float | None) -> Size:
    return _sizes(ask.prompt, model.completion_limit(ask.max_tokens), model.context_tokens, mean_tokens)


@lru_cache(maxsize=4096)
def _sizes(prompt: PromptSize, limit: int | None, context: int | None, mean_tokens: float | None) -> Size:
    if mean_tokens is not None:
        completion = ceil(mean_tokens)
    elif limit is not None:
        completion = ceil(limit * ASSUMED_COMPLETION_SHARE)
    else:
        completion = ASSUMED_COMPLETION_TOKENS
    bounds = [bound for bound in (prompt.at_most, context) if bound is not None]
    return Size(
        prompt=prompt.expected,
        prompt_at_most=min(bounds, default=None),
        completion=completion if limit is None else min(completion, limit),
        completion_at_most=limit,
        context=context,
    )
