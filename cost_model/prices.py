"""US dollars a token, exact and never guessed: an unknown price is ``None``, and so is what it enters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

# A throughput divides into endless digits. Rounded to a femtodollar a token, sums and products stay exact
# (and short) in the 28 digits that decimals carry.
_PRECISION = Decimal("1e-15")
_MILLION = Decimal(1_000_000)
_SECONDS_PER_HOUR = Decimal(3600)


# Keys of litellm's price map: what every request costs, and what tools cost that a request may ask for.
_REQUEST_FEES = frozenset({"input_cost_per_request", "output_cost_per_request", "input_cost_per_query"})
_TOOL_FEES = frozenset({"search_context_cost_per_query", "google_maps_grounding_cost_per_query"})


@dataclass(frozen=True, slots=True)
class Price:
    """What one token costs in USD, read (prompt) or generated (completion). ``None`` is unknown, 0 is free.

    Raises :class:`ValueError` for a price that is negative or not finite.
    """

    usd_per_prompt_token: Decimal | None
    usd_per_completion_token: Decimal | None

    def __post_init__(self) -> None:
        for usd in (self.usd_per_prompt_token, self.usd_per_completion_token):
            if usd is not None and not (usd.is_finite() and usd >= 0):
                raise ValueError(f"a price is a finite number of USD, 0 or more; not {usd}")

    def cost_usd(self, prompt_tokens: int, completion_tokens: int = 0) -> Decimal | None:
        """``None`` when a price that is needed is unknown; tokens there are none of need no price."""
        read = _product(prompt_tokens, self.usd_per_prompt_token)
        written = _product(completion_tokens, self.usd_per_completion_token)
        return None if read is None or written is None else read + written


UNKNOWN = Price(None, None)
FREE = Price(Decimal(0), Decimal(0))


def per_million(prompt_usd: Decimal | None, completion_usd: Decimal | None) -> Price:
    """From prices as providers list them: USD a million tokens."""
    return Price(
        None if prompt_usd is None else prompt_usd / _MILLION,
        None if completion_usd is None else completion_usd / _MILLION,
    )


def per_machine_hour(
    usd_per_hour: Decimal, prompt_tokens_per_second: Decimal, completion_tokens_per_second: Decimal
) -> Price:
    """From what an hour of the machine costs and how many tokens a second it was measured to do."""
    usd_per_second = usd_per_hour / _SECONDS_PER_HOUR
    return Price(
        (usd_per_second / prompt_tokens_per_second).quantize(_PRECISION, ROUND_HALF_EVEN),
        (usd_per_second / completion_tokens_per_second).quantize(_PRECISION, ROUND_HALF_EVEN),
    )


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
    return Price(_usd(entry.get("input_cost_per_token")), _usd(entry.get("output_cost_per_token")))


def _has_other_fees(entry: Mapping[str, Any]) -> bool:
    """Whether each request costs something, or tokens are free only because something else is sold."""
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


def _product(tokens: int, usd: Decimal | None) -> Decimal | None:
    if tokens < 0:
        raise ValueError(f"tokens are counted from 0 up, not {tokens}")
    if tokens == 0:
        return Decimal(0)
    return None if usd is None else tokens * usd


def _usd(value: object) -> Decimal | None:
    return None if value is None or isinstance(value, bool) else Decimal(str(value))
