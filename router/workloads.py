"""How much the ways of a policy read and generate: what prices, exact or to weigh by, rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

from cost_model.estimate import Judge, Size, Workload
from cost_model.prices import Price
from cost_model.searches import Search, workload
from router.config import Model, SearchedModel
from router.fees import fees_of
from router.prompts import PromptSize, prompt_size
from router.strategy import BY_CHAINS, BY_STEPS
from router.types import Query, StrategySpec

ASSUMED_COMPLETION_SHARE: Final = 0.5
"""Expected length of a completion as a share of its limit, where nothing was measured."""
ASSUMED_COMPLETION_TOKENS: Final = 400
"""The same where there is no limit either."""

_GROWN: Final = BY_STEPS | BY_CHAINS
_workload = lru_cache(maxsize=65_536)(workload)
"""What a search takes is asked again and again, for the same sizes."""
NOTHING: Final = Workload.nothing()


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
class Counter:
    """What the costs of one policy's ways and probes rest on, whatever is asked.

    ``models`` and their ``prices`` are all that are configured, by name; ``price`` is that of the ``small``
    one. ``judges`` are what judging a turn takes: of an ensemble, one for each member that reads.
    """

    models: Mapping[str, Model]
    prices: Mapping[str, Price]
    small: SearchedModel
    price: Price
    judges: tuple[Judge, ...]
    judged_together: bool
    thinks_first: bool


def search_load(counter: Counter, spec: StrategySpec, size: Size, probes: int) -> Workload:
    """A search on the small model, beyond the ``probes`` samples that it starts from."""
    if is_complete(spec, probes):
        return NOTHING
    return _workload(spec.name, search_of(counter, spec, probes), size)


def is_complete(spec: StrategySpec, probes: int) -> bool:
    """Whether every sample that the search chooses among is there."""
    return probes >= spec.samples and spec.name not in _GROWN


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


def search_of(counter: Counter, spec: StrategySpec, probes: int) -> Search:
    """How far the search may go, as costs see it."""
    return _search(spec, probes, counter.thinks_first, counter.judged_together)


def size_of(model: Model, ask: Ask, mean_tokens: float | None) -> Size:
    """How long texts are; ``mean_tokens`` is the mean of one completion, ``None`` where nobody knows."""
    limit, context = model.completion_limit(ask.max_tokens), model.context_tokens
    completion = assumed_tokens(limit) if mean_tokens is None else ceil(mean_tokens)
    bounds = [bound for bound in (ask.prompt.at_most, context) if bound is not None]
    return Size(
        prompt=ask.prompt.expected,
        prompt_at_most=min(bounds, default=None),
        completion=completion if limit is None else min(completion, limit),
        completion_at_most=limit,
        context=context,
    )


def assumed_tokens(limit: int | None) -> int:
    """How long an answer is expected to be where nobody measured it, by how long it may be."""
    return ASSUMED_COMPLETION_TOKENS if limit is None else ceil(limit * ASSUMED_COMPLETION_SHARE)
