"""Who asks, and what they may: keys, teams, and the limits of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key, a team or everybody together may use; ``None`` is no limit.

    Days and months are those of the calendar, in UTC. ``tokens_per_minute`` counts prompt and completion
    tokens, of every model that a request made work.
    """

    usd_total: Decimal | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent_requests: int | None = None

    @property
    def caps_money(self) -> bool:
        return not (self.usd_total is self.usd_per_day is self.usd_per_month is None)


@dataclass(frozen=True, slots=True)
class Team:
    """Keys that share a budget."""

    id: str
    name: str
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Key:
    """A virtual key, without its secret: ``hint`` is the part of it that may be shown.

    ``models`` and ``policies`` are what it may ask for, ``None``: anything. ``without_redis`` is what becomes
    of its requests while its budget cannot be looked up: they are refused, or a gateway lets it spend up to
    ``lease_usd`` by itself.
    """

    id: str
    name: str
    hint: str
    team: Team | None = None
    limits: Limits = Limits()
    models: tuple[str, ...] | None = None
    policies: tuple[str, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    without_redis: Literal["refuse", "lease"] = "refuse"
    lease_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Account:
    """Who a request is billed to: a key and its team, and everybody together. Without keys: everybody.

    ``scopes`` is every limit that a request is held to, by the name that its counters go by; ``caps_money``
    and ``counts_tokens`` say whether one of them does.
    """

    key: Key | None
    everybody: Limits = Limits()
    scopes: tuple[tuple[str, Limits], ...] = field(init=False, repr=False, compare=False)
    caps_money: bool = field(init=False, repr=False, compare=False)
    counts_tokens: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = [("all", self.everybody)]
        if self.key is not None:
            found.append((f"key:{self.key.id}", self.key.limits))
            if self.key.team is not None:
                found.append((f"team:{self.key.team.id}", self.key.team.limits))
        limits = [each for _, each in found]
        object.__setattr__(self, "scopes", tuple(found))
        object.__setattr__(self, "caps_money", any(each.caps_money for each in limits))
        object.__setattr__(self, "counts_tokens", any(each.tokens_per_minute is not None for each in limits))
