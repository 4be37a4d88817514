"""What keeps a query from a model: features, the length of its context, the policy's cap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NoReturn

from router.config import LiteLLMModel, Model
from router.errors import CapExceeded, PromptTooLong
from router.market import Market
from router.types import Alternative, Query
from router.words import listed, usd
from router.workloads import Ask

REQUIRED_TOOLS: Final = "required tools"
"""Of :attr:`router.types.Query.needs`: the answer must be tool calls. Where it may be text too: "tools"."""
NEEDS_MET: Final[Mapping[str, frozenset[str]]] = {
    "json": frozenset(["response_format"]),
    "tools": frozenset([REQUIRED_TOOLS]),
}
"""What a small model that honours a feature can be searched for, of :attr:`router.types.Query.needs`."""


def unmet_needs(query: Query, model: Model) -> tuple[str, ...]:
    """What the query needs and a worker that runs the model cannot honour."""
    if not query.needs:
        return ()
    honours = () if isinstance(model, LiteLLMModel) else model.honours
    met = {need for feature in honours for need in NEEDS_MET[feature]}
    return tuple(need for need in query.needs if need not in met)


def readers_of(market: Market, models: Sequence[str], ask: Ask) -> list[str]:
    """Those whose context the prompt seems to fit, with room for an answer; else those that it just may fit.

    Only an estimate: a model that counts exactly refuses what it cannot read.
    """
    contexts = {name: market.config.models[name].context_tokens for name in models}
    for tokens in (ask.prompt.expected, ask.prompt.at_least):
        readers = [name for name, context in contexts.items() if context is None or tokens < context]
        if readers:
            return readers
    return []


def too_long(market: Market, ask: Ask, models: Iterable[str]) -> NoReturn:
    contexts = {name: market.config.models[name].context_tokens or 0 for name in models}
    longest = max(contexts, key=lambda name: contexts[name])
    raise PromptTooLong(
        f"the prompt has {ask.prompt.at_least} tokens or more, but the longest context is that of {longest}, "
        f"{contexts[longest]} tokens; shorten the prompt",
        prompt_tokens=ask.prompt.at_least,
        context_tokens=contexts[longest],
    )


def over_cap(
    policy_name: str, cap_usd: Decimal | None, ways: Sequence[Alternative], fees: Sequence[str] = ()
) -> NoReturn:
    """``fees`` are fields of the query that have no price here (:mod:`router.fees`)."""
    assert cap_usd is not None, "without a cap everything is allowed"
    known = [way.worst_case_cost_usd for way in ways if way.worst_case_cost_usd is not None]
    least = min(known, default=None)
    digits = next((each for each in range(2, 29) if usd(least, each) != usd(cap_usd, each)), 2)
    names = ", ".join(dict.fromkeys(way.model for way in ways))
    if least is not None:
        what = f"the cheapest way to answer may cost {usd(least, digits)}: shorten the prompt or max_tokens"
    elif fees:
        what = f"nobody knows what {names} may cost with {listed(fees)}: leave that out"
    else:
        what = f"nobody knows what {names} may cost: give a price and max_tokens"
    raise CapExceeded(
        f"policy {policy_name!r} allows {usd(cap_usd, digits)} a request, but {what}, or raise max_cost_usd",
        worst_case_cost_usd=least,
        max_cost_usd=cap_usd,
        fees=() if least is not None else tuple(fees),
    )


def allowed(worst_case_usd: Decimal | None, cap_usd: Decimal | None) -> bool:
    return cap_usd is None or (worst_case_usd is not None and worst_case_usd <= cap_usd)
