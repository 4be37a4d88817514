"""What the journal's tables have of an entry, and how it gets there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, case, literal_column, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

from cost_model.budget import picodollars, usd, windows
from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.ledger.spool import scopes_of
from gateway.store.many import Many, compiled
from gateway.store.models import EntryRow, GatewayRow, LineRow, SpentRow

_MOST: Final = 10**15
"""More tokens nobody used: a server that says so must not break the sums of others."""
_MILLION: Final = picodollars(Decimal(10**6))


@dataclass(frozen=True, slots=True)
class Statements:
    """What is written of entries, into these tables; ``gateways``: how far each has come."""

    gateways: Many
    entries: Many
    lines: Many
    spent: Many


@cache
def statements(*, is_sqlite: bool) -> Statements:
    gateways, spent = (insert_into(row, is_sqlite=is_sqlite) for row in (GatewayRow, SpentRow))
    journaled = case(
        (GatewayRow.journaled > gateways.excluded.journaled, GatewayRow.journaled),
        else_=gateways.excluded.journaled,
    )
    million = literal_column(str(_MILLION), BigInteger)
    rest = type_coerce(SpentRow.usd, BigInteger) + type_coerce(spent.excluded.usd, BigInteger)
    millions = SpentRow.millions + spent.excluded.millions + rest // million
    return Statements(
        compiled(gateways.on_conflict_do_update(index_elements=["id"], set_={"journaled": journaled})),
        compiled(insert_into(EntryRow, is_sqlite=is_sqlite).on_conflict_do_nothing()),
        compiled(insert_into(LineRow, is_sqlite=is_sqlite)),
        compiled(
            spent.on_conflict_do_update(
                index_elements=list(SpentRow.__table__.primary_key),
                set_={"millions": millions, "usd": rest % million},
            )
        ),
    )


def insert_into(row: type[Any], *, is_sqlite: bool) -> Any:
    """Both databases know ON CONFLICT, each in a dialect that SQLAlchemy keeps apart."""
    return (sqlite.insert if is_sqlite else postgresql.insert)(row.__table__)


def shares(entry: Entry) -> list[Decimal]:
    """What each of its lines is billed. They add up to the bill exactly, so they are rounded together.

    What is billed of unknown costs goes to the first line whose cost is unknown.
    """
    amounts: list[int] = []
    cost, booked = Decimal(0), 0
    for line in entry.lines:
        cost += line.cost_usd or 0
        amounts.append(picodollars(cost) - booked)
        booked += amounts[-1]
    if amounts:
        unknown = [index for index, line in enumerate(entry.lines) if line.cost_usd is None]
        amounts[unknown[0] if unknown else -1] += picodollars(entry.billed_usd) - booked
    return [usd(amount) for amount in amounts]


def sums_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What they add to what is spent, in one order."""
    # Many entries are of few keys and days.
    billed: dict[tuple[str | None, str | None, tuple[str, ...]], int] = defaultdict(int)
    for each in entries:
        billed[each.key_id, each.team_id, windows(each.at)] += picodollars(each.billed_usd)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for (key_id, team_id, names), amount in billed.items():
        for scope in scopes_of(key_id, team_id):
            for window in names:
                sums[scope, window] += amount
    rows = []
    for (scope, window), amount in sorted(sums.items()):
        millions, beyond = divmod(amount, _MILLION)
        rows.append({"scope": scope, "time_window": window, "millions": millions, "usd": usd(beyond)})
    return rows


def entry_row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "day": entry.at.astimezone(UTC).date(),
        "status": entry.status,
        "billed_usd": entry.billed_usd,
        "estimated": entry.estimated,
        "key_id": entry.key_id,
        "team_id": entry.team_id,
        "asked": _text(entry.asked),
        "policy": _text(entry.policy),
        "route": _text(entry.route),
        "answered": _text(entry.answered),
        "strategy": _text(entry.strategy),
        "cached": entry.cached,
        "error": _text(entry.error),
        "seconds": entry.seconds,
        "upstream_id": _text(entry.upstream_id),
        "tags": {_text(name): _text(value) for name, value in entry.tags.items()},
    }


def line_rows(entry: Entry) -> Iterator[dict[str, Any]]:
    # Where an entry of known costs is estimated, nobody knows which of its lines is.
    any_is = entry.estimated and all(line.cost_usd is not None for line in entry.lines)
    for position, (line, share) in enumerate(zip(entry.lines, shares(entry), strict=True)):
        yield {
            "entry_id": entry.id,
            "position": position,
            "purpose": line.purpose,
            "model": _text(line.model),
            **_tokens(line),
            "seconds": line.seconds,
            "flops": line.flops,
            "billed_usd": share,
            "estimated": any_is or line.cost_usd is None,
        }


def _tokens(line: Usage) -> Mapping[str, int]:
    counts = {
        "calls": line.calls,
        "prompt_tokens": line.prompt_tokens,
        "completion_tokens": line.completion_tokens,
        "cached_prompt_tokens": line.cached_prompt_tokens,
        "reasoning_tokens": line.reasoning_tokens,
    }
    if max(counts.values()) > _MOST or min(counts.values()) < -_MOST:
        return {name: max(-_MOST, min(count, _MOST)) for name, count in counts.items()}
    return counts


def _text(value: str | None) -> str | None:
    """Without what no database takes; a server's words must not keep an entry out of the journal."""
    if value is None or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
