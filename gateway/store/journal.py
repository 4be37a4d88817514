"""The journal in the database: entries are written once, and what they come to is kept beside them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Table, case, delete, func, literal, or_, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, StatementError
from sqlalchemy.orm import Session

from cost_model.budget import MAX_REQUEST_PICODOLLARS, picodollars, usd, windows
from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.ledger.journal import Numbered, Presence, Standing
from gateway.ledger.spool import scopes_of
from gateway.store.columns import Utc
from gateway.store.database import Database
from gateway.store.errors import DatabaseUnavailable
from gateway.store.models import EntryRow, GatewayRow, LineRow, SpentRow

UNSTORABLE: Final = "it could not be stored as it was; the gateway's log has it"
_MOST: Final = 10**15
"""More tokens nobody used: a server that says so must not break the sums of others."""
_MILLION: Final = picodollars(Decimal(10**6))
_AT_ONCE: Final = {"insertmanyvalues_page_size": 25}
"""Rows. Each number of them is a statement that SQLite keeps, compiled: one of 400 rows takes a megabyte."""
_UNWRITABLE: Final = (ValueError, TypeError, ArithmeticError, StatementError, DatabaseUnavailable)

log = logging.getLogger(__name__)


class StoredJournal:
    """What the ledger asks of a database (:class:`gateway.ledger.journal.Journal`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, gateway_id: str, entries: Sequence[Numbered]) -> None:
        """One that cannot be stored as it is holds up no other: it is stored as what it was billed."""
        try:
            self._append(gateway_id, entries)
        except _UNWRITABLE as error:
            if not _is_an_entrys(error):
                raise
            for each in entries:
                self._append_alone(gateway_id, each)

    def _append_alone(self, gateway_id: str, numbered: Numbered) -> None:
        try:
            self._append(gateway_id, [numbered])
        except _UNWRITABLE as error:
            if not _is_an_entrys(error):
                raise
            log.error("an entry of the journal is stored without its lines (%r): %r", error, numbered.entry)
            self._append(gateway_id, [Numbered(numbered.number, _bare(numbered.entry))])

    def _append(self, gateway_id: str, entries: Sequence[Numbered]) -> None:
        into = _insert(self._database, GatewayRow)
        highest = max((each.number for each in entries), default=0)
        row = {"id": gateway_id, "seen_at": None, "journaled": highest}
        at_least = case((GatewayRow.journaled > highest, GatewayRow.journaled), else_=highest)
        known = into.values(row).on_conflict_do_update(index_elements=["id"], set_={"journaled": at_least})
        with self._database.write() as session:
            session.execute(known)
            _append(self._database, session, [each.entry for each in entries])

    def standing(self, since: datetime) -> Standing:
        of_then = windows(since)
        asked = select(SpentRow).where(or_(SpentRow.window.in_(of_then), SpentRow.window > of_then[-1]))
        with self._database.read() as session:
            spent = {(row.scope, row.window): picodollars(row.total_usd) for row in session.scalars(asked)}
            now = session.scalars(select(_now(self._database))).one()
            gateways = {
                row.id: Presence(
                    None if row.seen_at is None else max((now - row.seen_at).total_seconds(), 0.0),
                    row.journaled,
                )
                for row in session.scalars(select(GatewayRow))
            }
        return Standing(spent, gateways)

    def beat(self, gateway_id: str) -> None:
        now = _now(self._database)
        into = _insert(self._database, GatewayRow).values(id=gateway_id, seen_at=now, journaled=0)
        with self._database.write() as session:
            session.execute(into.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))

    def forget(self, gateway_id: str) -> None:
        with self._database.write() as session:
            session.execute(delete(GatewayRow).where(GatewayRow.id == gateway_id))


def spent_by(database: Database, scope: str, at: datetime) -> dict[str, Decimal]:
    """USD of one scope in the windows of that moment; what is missing is 0."""
    asked = select(SpentRow).where(SpentRow.scope == scope, SpentRow.window.in_(windows(at)))
    with database.read() as session:
        return {row.window: row.total_usd for row in session.scalars(asked)}


def append(database: Database, entries: Iterable[Entry]) -> int:
    """Write down those that are not known by their id yet, all or none; how many these were.

    Raises :class:`gateway.store.errors.DatabaseUnavailable`.
    """
    with database.write() as session:
        return _append(database, session, entries)


def _is_an_entrys(error: Exception) -> bool:
    """Whether what was to be written is at fault, and not the database, which later may take it."""
    return not isinstance(error, DatabaseUnavailable) or isinstance(error.__cause__, DataError)


def _bare(entry: Entry) -> Entry:
    """What its budgets are charged, and whose they are: as much as any database takes."""
    most = usd(MAX_REQUEST_PICODOLLARS)
    return Entry(
        id=entry.id,
        at=entry.at,
        status="lost",
        billed_usd=max(-most, min(entry.billed_usd, most)),
        estimated=True,
        key_id=entry.key_id,
        team_id=entry.team_id,
        error=UNSTORABLE,
    )


def _append(database: Database, session: Session, entries: Iterable[Entry]) -> int:
    by_id = {each.id: each for each in entries}
    if not by_id:
        return 0
    # In one order, so that two gateways never wait for each other.
    rows = [_entry_row(by_id[name]) for name in sorted(by_id)]
    into = _insert(database, EntryRow).on_conflict_do_nothing().returning(EntryRow.id)
    new = [by_id[name] for name in session.scalars(into, rows, execution_options=_AT_ONCE)]
    lines = [row for each in new for row in _line_rows(each)]
    if lines:
        session.execute(_insert(database, LineRow), lines)
    _add_up(database, session, new)
    return len(new)


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


def _now(database: Database) -> ColumnElement[datetime]:
    """By the database's clock, which is one for all gateways; SQLite's is this machine's."""
    if database.is_sqlite:
        return literal(datetime.now(UTC), Utc)
    return type_coerce(func.clock_timestamp(), Utc)


def _insert(database: Database, row: type[Any]) -> Any:
    """Both databases know ON CONFLICT, each in a dialect that SQLAlchemy keeps apart."""
    table: Table = row.__table__
    return sqlite.insert(table) if database.is_sqlite else postgresql.insert(table)


def _add_up(database: Database, session: Session, entries: Sequence[Entry]) -> None:
    # Many entries are of few keys and days.
    billed: dict[tuple[str | None, str | None, tuple[str, ...]], int] = defaultdict(int)
    for each in entries:
        billed[each.key_id, each.team_id, windows(each.at)] += picodollars(each.billed_usd)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for (key_id, team_id, names), amount in billed.items():
        for scope in scopes_of(key_id, team_id):
            for window in names:
                sums[scope, window] += amount
    if not sums:
        return
    into = _insert(database, SpentRow)
    rest = type_coerce(SpentRow.usd, BigInteger) + type_coerce(into.excluded.usd, BigInteger)
    more = into.on_conflict_do_update(
        index_elements=list(SpentRow.__table__.primary_key),
        set_={
            "millions": SpentRow.millions + into.excluded.millions + rest // _MILLION,
            "usd": rest % _MILLION,
        },
    )
    rows = []
    for (scope, window), amount in sorted(sums.items()):
        millions, beyond = divmod(amount, _MILLION)
        rows.append({"scope": scope, "time_window": window, "millions": millions, "usd": usd(beyond)})
    session.execute(more, rows)


def _entry_row(entry: Entry) -> dict[str, Any]:
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


def _line_rows(entry: Entry) -> Iterator[dict[str, Any]]:
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
            "estimated": line.cost_usd is None,
        }


def _tokens(line: Usage) -> Mapping[str, int]:
    counts = {
        "calls": line.calls,
        "prompt_tokens": line.prompt_tokens,
        "completion_tokens": line.completion_tokens,
        "cached_prompt_tokens": line.cached_prompt_tokens,
        "reasoning_tokens": line.reasoning_tokens,
    }
    return {name: max(-_MOST, min(count, _MOST)) for name, count in counts.items()}


def _text(value: str | None) -> str | None:
    """Without what no database takes; a server's words must not keep an entry out of the journal."""
    return None if value is None else value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
