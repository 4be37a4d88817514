"""US dollars a token, exact and never guessed: an unknown price is ``None``, and so is what it enters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from typing import Any

# A throughput divides into endless digits. Rounded to a femtodollar a token, sums and products stay exact
# (and short) in the 28 digits that decimals carry.
_PRECISION = Decimal("1e-15")
_MILLION = Decimal(1_000_000)
_ABSURD_USD = Decimal(1_000_000)
_SECONDS_PER_HOUR = Decimal(3600)


# Keys of litellm's price map: what tokens cost, in the order of Price's fields; what ends such a key where it
# holds for longer prompts; what every request costs, and what tools cost that a request may ask for.
_TOKEN_PRICES = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "output_cost_per_reasoning_token",
    "cache_creation_input_token_cost",
)
_TIER = re.compile(rf"({'|'.join(_TOKEN_PRICES)})(?P<suffix>_above_(?P<length>\d+)(?P<thousands>k?)_tokens)")
_REQUEST_FEES = frozenset({"input_cost_per_request", "output_cost_per_request", "input_cost_per_query"})
_TOOL_FEES = frozenset({"search_context_cost_per_query", "google_maps_grounding_cost_per_query"})


Tokens = int | Decimal
"""A count of tokens; a :class:`~decimal.Decimal` where it is a mean over many answers."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one token costs in USD, read (prompt) or generated (completion). ``None`` is unknown, 0 is free.

    Prompt tokens that the engine still held or wrote to its cache, and completion tokens that were thinking,
    may have prices of their own. Without one they cost what prompt and completion cost, as litellm bills them
    too: of cached tokens that is a bound, since reading from a cache is sold as a discount. ``tiers`` are the
    prices of longer prompts, by ascending length.

    Raises :class:`ValueError` for a price that is negative, absurd or not finite, or tiers out of order.
    """

    usd_per_prompt_token: Decimal | None
    usd_per_completion_token: Decimal | None
    usd_per_cached_prompt_token: Decimal | None = None
    usd_per_reasoning_token: Decimal | None = None
    usd_per_cache_write_token: Decimal | None = None
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        for usd in (
            self.usd_per_prompt_token,
            self.usd_per_completion_token,
            self.usd_per_cached_prompt_token,
            self.usd_per_reasoning_token,
            self.usd_per_cache_write_token,
        ):
            if usd is not None and not (usd.is_finite() and 0 <= usd < _ABSURD_USD):
                raise ValueError(
                    f"a price is a finite number of USD, 0 or more and below {_ABSURD_USD:,}; not {usd}"
                )
        lengths = [tier.above_prompt_tokens for tier in self.tiers]
        if lengths != sorted(set(lengths)):
            raise ValueError(f"tiers are of ascending lengths of the prompt, not {lengths}")

    def cost_usd(
        self,
        prompt_tokens: Tokens,
        completion_tokens: Tokens = 0,
        cached_prompt_tokens: Tokens = 0,
        reasoning_tokens: Tokens = 0,
        *,
        cache_write_tokens: Tokens = 0,
        calls: int = 1,
    ) -> Decimal | None:
        """``None`` when a price that is needed is unknown; tokens there are none of need no price.

        Cached tokens are some of the prompt's, those that were written to a cache are others of it; reasoning
        tokens are some of the completion's. A whole request has the prices of the tier that its prompt
        reaches; of several ``calls`` in one count, that is the tier that their mean prompt reaches.
        """
        price = self
        if self.tiers:
            price = [self, *self._reached(Decimal(prompt_tokens) / max(calls, 1))][-1]
        # As it always is before anything is spent.
        if not (cached_prompt_tokens or reasoning_tokens or cache_write_tokens):
            return add_usd(
                _product(prompt_tokens, price.usd_per_prompt_token),
                _product(completion_tokens, price.usd_per_completion_token),
            )
        cached = min(cached_prompt_tokens, prompt_tokens)
        kept = min(cache_write_tokens, prompt_tokens - cached)
        thought = min(reasoning_tokens, completion_tokens)
        return add_usd(
            _product(prompt_tokens - cached - kept, price.usd_per_prompt_token),
            _product(cached, _first(price.usd_per_cached_prompt_token, price.usd_per_prompt_token)),
            _product(kept, _first(price.usd_per_cache_write_token, price.usd_per_prompt_token)),
            _product(completion_tokens - thought, price.usd_per_completion_token),
            _product(thought, _first(price.usd_per_reasoning_token, price.usd_per_completion_token)),
        )

    def most_usd(self, prompt_tokens: int, completion_tokens: int = 0) -> Decimal | None:
        """The most that up to so many tokens cost: all cached, all written to a cache, or none; all or no
        thinking; in any tier.

        ``None`` when a price that is needed is unknown.
        """
        read = _dearest(self.usd_per_prompt_token, self.usd_per_cached_prompt_token)
        read = _dearest(read, self.usd_per_cache_write_token)
        written = _dearest(self.usd_per_completion_token, self.usd_per_reasoning_token)
        most = add_usd(_product(prompt_tokens, read), _product(completion_tokens, written))
        if not self.tiers:
            return most
        longer = [price.most_usd(prompt_tokens, completion_tokens) for price in self._reached(prompt_tokens)]
        known = [cost for cost in (most, *longer) if cost is not None]
        return max(known) if len(known) > len(longer) else None

    def _reached(self, prompt_tokens: Tokens) -> list[Price]:
        return [tier.price for tier in self.tiers if prompt_tokens > tier.above_prompt_tokens]


@dataclass(frozen=True, slots=True)
class Tier:
    """Other prices for every token of a request whose prompt is longer than so many tokens."""

    above_prompt_tokens: int
    price: Price


UNKNOWN = Price(None, None)
FREE = Price(Decimal(0), Decimal(0))


def per_million(
    prompt_usd: Decimal | None,
    completion_usd: Decimal | None,
    cached_prompt_usd: Decimal | None = None,
    reasoning_usd: Decimal | None = None,
    cache_write_usd: Decimal | None = None,
) -> Price:
    """From prices as providers list them: USD a million tokens."""
    listed = (prompt_usd, completion_usd, cached_prompt_usd, reasoning_usd, cache_write_usd)
    read, written, cached, thought, kept = (None if usd is None else usd / _MILLION for usd in listed)
    return Price(read, written, cached, thought, kept)


def per_machine_hour(
    usd_per_hour: Decimal, prompt_tokens_per_second: Decimal, completion_tokens_per_second: Decimal
) -> Price:
    """From what an hour of the machine costs and how many tokens a second it was measured to do.

    Raises :class:`ValueError` where that is too much a token to reckon with.
    """
    try:
        usd_per_second = usd_per_hour / _SECONDS_PER_HOUR
        read, written = (
            (usd_per_second / tokens_per_second).quantize(_PRECISION, ROUND_HALF_EVEN)
            for tokens_per_second in (prompt_tokens_per_second, completion_tokens_per_second)
        )
    except DecimalException:
        raise ValueError(
            f"${usd_per_hour} an hour, at {prompt_tokens_per_second} tokens a second read and "
            f"{completion_tokens_per_second} generated, is no price that can be reckoned with"
        ) from None
    return Price(read, written)


def from_price_map(price_map: Mapping[str, Mapping[str, Any]], model: str) -> Price:
    """Look ``model`` up in a price map of litellm's form; :data:`UNKNOWN` where it has no entry.

    A name with a provider ("openai/gpt-4o-mini") is looked up as it is, then without the provider, if the
    entry is that provider's: others sell models of the same name for other prices. It is unknown as well
    where tokens are not all that is paid for. Floats of the map are taken by their shortest decimal notation,
    the digits somebody once typed.
    """
    provider, _, bare = model.partition("/")
    entry = price_map.get(model)
    if entry is None:
        entry = price_map.get(bare, {})
        owner = str(entry.get("litellm_provider")).partition("-")[0]  # of "vertex_ai-language-models"
        if owner != provider:
            return UNKNOWN
    if _has_other_fees(entry):
        return UNKNOWN
    if ranges := [each for each in entry.get("tiered_pricing", ()) if "range" in each]:
        first, *longer = sorted(ranges, key=lambda listed: int(listed["range"][0]))
        tiers = tuple(Tier(int(listed["range"][0]), _price(listed)) for listed in longer)
        return replace(_price(first), tiers=tiers)
    return replace(_price(entry), tiers=_tiers(entry, _price(entry)))


def _price(listed: Mapping[str, Any]) -> Price:
    read, written, cached, thought, kept = (_usd(listed.get(name)) for name in _TOKEN_PRICES)
    return _no_gift(Price(read, written, cached, thought, kept))


def _no_gift(price: Price) -> Price:
    """Nobody takes less for tokens that are written to a cache: the map says 0 where they cost no more."""
    read, kept = price.usd_per_prompt_token, price.usd_per_cache_write_token
    is_gift = read is not None and kept is not None and kept < read
    return replace(price, usd_per_cache_write_token=None) if is_gift else price


def _tiers(entry: Mapping[str, Any], price: Price) -> tuple[Tier, ...]:
    """Of keys such as ``input_cost_per_token_above_200k_tokens``; what a tier does not list is as before."""
    lengths: dict[int, str] = {}
    for name in entry:
        if found := _TIER.fullmatch(name):
            lengths[int(found["length"]) * (1000 if found["thousands"] else 1)] = found["suffix"]
    tiers: list[Tier] = []
    for length in sorted(lengths):
        listed = _price({name: entry.get(name + lengths[length]) for name in _TOKEN_PRICES})
        merged = Price(
            _first(listed.usd_per_prompt_token, price.usd_per_prompt_token),
            _first(listed.usd_per_completion_token, price.usd_per_completion_token),
            _first(listed.usd_per_cached_prompt_token, price.usd_per_cached_prompt_token),
            _first(listed.usd_per_reasoning_token, price.usd_per_reasoning_token),
            _first(listed.usd_per_cache_write_token, price.usd_per_cache_write_token),
        )
        price = _no_gift(merged)
        # xAI's higher prices begin at the length, all others' above it.
        tiers.append(Tier(length - (entry.get("litellm_provider") == "xai"), price))
    return tuple(tiers)


def _has_other_fees(entry: Mapping[str, Any]) -> bool:
    """Whether each request or picture costs something, or tokens are free because something else is sold."""
    if entry.get("mode") == "image_generation":
        return True
    fees = {name for name, fee in entry.items() if "cost" in name and _is_fee(fee)}
    if fees & _REQUEST_FEES or ("search_context_cost_per_query" in fees and _searches_always(entry)):
        return True
    free = [entry.get(f"{side}_cost_per_token") == 0 for side in ("input", "output")]
    return all(free) and bool(fees - _TOOL_FEES)


def _is_fee(fee: object) -> bool:
    if isinstance(fee, Mapping):
        return any(map(_is_fee, fee.values()))
    return isinstance(fee, int | float) and fee != 0


def _searches_always(entry: Mapping[str, Any]) -> bool:
    return entry.get("litellm_provider") == "perplexity"


def add_usd(*amounts: Decimal | None) -> Decimal | None:
    """Their sum; ``None`` as soon as one is unknown."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _first(usd: Decimal | None, otherwise: Decimal | None) -> Decimal | None:
    return otherwise if usd is None else usd


def _dearest(usd: Decimal | None, special_usd: Decimal | None) -> Decimal | None:
    """``None`` where the usual price is unknown: a special one bounds nothing."""
    return usd if usd is None or special_usd is None else max(usd, special_usd)


def _product(tokens: Tokens, usd: Decimal | None) -> Decimal | None:
    if tokens < 0:
        raise ValueError(f"tokens are counted from 0 up, not {tokens}")
    if tokens == 0:
        return Decimal(0)
    return None if usd is None else tokens * usd


def _usd(value: object) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except DecimalException:
        raise ValueError(f"a price is a number of USD, not {value!r}") from None
