"""What was used, and what it came to: the journal added up by key, model, day and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, case, distinct, func, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from gateway.store.columns import Usd, summed, together
from gateway.store.database import REPORT_PATIENCE_S, Database
from gateway.store.models import EntryRow, KeyRow, LineRow, TeamRow

Dimension = Literal["key", "team", "model", "policy", "route", "purpose", "day"]

_COLUMNS: Final[Mapping[Dimension, InstrumentedAttribute[Any]]] = {
    "key": EntryRow.key_id,
    "team": EntryRow.team_id,
    "model": LineRow.model,
    "policy": EntryRow.policy,
    "route": EntryRow.route,
    "purpose": LineRow.purpose,
    "day": EntryRow.day,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which days (UTC, both ends included), of whose keys; ``None`` is all."""

    since: date | None = None
    until: date | None = None
    key_id: str | None = None
    team_id: str | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What a group came to.

    ``requests`` are those that have a part in it; one that used two models has a part in both. ``usd`` is
    what was billed, ``estimated_usd`` the part of it whose true cost nobody knows.
    """

    group: Mapping[Dimension, str | date | None]
    requests: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int
    reasoning_tokens: int
    usd: Decimal
    estimated_usd: Decimal


def used(database: Database, by: Sequence[Dimension], wanted: Wanted) -> list[Used]:
    """A row for every group that there is: by day, and within a day by what it came to."""
    columns = [_COLUMNS[name] for name in by]
    billed: ColumnElement[Any] = func.coalesce(LineRow.billed_usd, EntryRow.billed_usd, type_=Usd)
    estimated = func.coalesce(LineRow.estimated, EntryRow.estimated)
    asked = (
        select(
            *columns,
            # A correction is not a request.
            func.count(distinct(case((EntryRow.status != "adjusted", EntryRow.id)))),
            *(func.coalesce(func.sum(column), 0) for column in _COUNTS),
            *summed(billed),
            *summed(case((estimated, billed))),
        )
        .outerjoin_from(EntryRow, LineRow, LineRow.entry_id == EntryRow.id)
        .where(*_conditions(wanted))
        .group_by(*columns)
        .order_by(*columns)
    )
    with database.read(REPORT_PATIENCE_S) as session:
        rows = session.execute(asked).all()
    found = [_used(by, tuple(row)) for row in rows]
    return sorted(found, key=lambda each: (each.group.get("day") or date.min, -each.usd))


def _used(by: Sequence[Dimension], row: tuple[Any, ...]) -> Used:
    group, counts, usd, estimated_usd = row[: len(by)], row[len(by) : -4], row[-4:-2], row[-2:]
    # PostgreSQL adds whole numbers up to decimals.
    requests, calls, prompt, completion, cached, reasoning = (int(count) for count in counts)
    named = dict(zip(by, group, strict=True))
    billed, estimated = together(*usd), together(*estimated_usd)
    return Used(named, requests, calls, prompt, completion, cached, reasoning, billed, estimated)


_COUNTS: Final = (
    LineRow.calls,
    LineRow.prompt_tokens,
    LineRow.completion_tokens,
    LineRow.cached_prompt_tokens,
    LineRow.reasoning_tokens,
)


def names(database: Database) -> Mapping[str, str]:
    """What keys and teams are called, by their ids."""
    asked = union_all(select(KeyRow.id, KeyRow.name), select(TeamRow.id, TeamRow.name))
    with database.read() as session:
        return {row[0]: row[1] for row in session.execute(asked)}


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(EntryRow.day >= wanted.since)
    if wanted.until is not None:
        conditions.append(EntryRow.day <= wanted.until)
    if wanted.key_id is not None:
        conditions.append(EntryRow.key_id == wanted.key_id)
    if wanted.team_id is not None:
        conditions.append(EntryRow.team_id == wanted.team_id)
    return conditions
