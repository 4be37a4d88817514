"""What may be used: of everybody together in a configuration, of a key or a team in the admin interface."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from router.config.fields import Section, Usd

_PLACES = 12


def _countable(usd: Decimal) -> Decimal:
    exponent = usd.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_PLACES:
        raise ValueError(f"must have at most {_PLACES} decimal places: USD are counted in picodollars")
    return usd


Budget = Annotated[Usd, Field(le=9_000_000), AfterValidator(_countable)]
"""Counters are picodollars in 64 bits, which end at 9.2 million USD."""
Limit = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000_000)]


class Limits(Section):
    """What is not given is not limited. Days and months are those of the calendar, in UTC."""

    usd_total: Budget | None = None
    usd_per_day: Budget | None = None
    usd_per_month: Budget | None = None
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    max_concurrent_requests: Limit | None = None
