"""The journal: what each request came to. Entries are written once; corrections are entries too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from cost_model.usage import Usage

Status = Literal["answered", "failed", "cancelled", "lost", "adjusted"]
"""``lost``: its gateway died before it could tell; it is billed what was reserved. ``adjusted``: a correction
by `gradus usage reconcile`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as it is billed.

    ``billed_usd`` is what its budgets are charged: the sum of ``lines`` where every cost is known; else what
    was reserved, if anything was (:func:`gateway.settling.most_likely_usd`). ``estimated``: that may not be
    the true cost, because it is unknown, tokens were counted here, or a job was sent twice. ``asked`` is the
    request's ``model``, ``answered`` the model that answered. ``cached`` is a reply out of the cache, which
    costs nothing.
    """

    id: str
    at: datetime
    status: Status
    billed_usd: Decimal
    lines: tuple[Usage, ...] = ()
    estimated: bool = False
    key_id: str | None = None
    team_id: str | None = None
    asked: str | None = None
    policy: str | None = None
    route: str | None = None
    answered: str | None = None
    strategy: str | None = None
    cached: bool = False
    error: str | None = None
    seconds: float = 0.0
    upstream_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
