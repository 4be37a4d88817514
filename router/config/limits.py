"""What may be used: of everybody together in a configuration, of a key or a team in the admin interface."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from router.config.fields import Count, Section, Usd

Budget = Annotated[Usd, Field(le=9_000_000)]
"""Counters are picodollars in 64 bits, which end at 9.2 million USD."""


class Limits(Section):
    """What is not given is not limited. Days and months are those of the calendar, in UTC."""

    usd_total: Budget | None = None
    usd_per_day: Budget | None = None
    usd_per_month: Budget | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    max_concurrent_requests: Count | None = None
