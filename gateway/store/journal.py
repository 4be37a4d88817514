"""The journal in the database: entries are written once, and what they come to is kept beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, type_coerce
from sqlalchemy.exc import DataError, StatementError

from cost_model.budget import MAX_REQUEST_PICODOLLARS, picodollars, usd, windows
from gateway.entries import Entry
from gateway.ledger.journal import Numbered, Presence, Standing
from gateway.store.columns import Utc
from gateway.store.database import Database
from gateway.store.errors import DatabaseUnavailable
from gateway.store.models import GatewayRow, SpentRow
from gateway.store.rows import entry_row, insert_into, line_rows, statements, sums_of

UNSTORABLE: Final = "it could not be stored as it was; the gateway's log has it"
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
        highest = max((each.number for each in entries), default=0)
        gateway = {"id": gateway_id, "seen_at": None, "journaled": highest}
        append(self._database, [each.entry for each in entries], gateway)

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
        into = insert_into(GatewayRow, is_sqlite=self._database.is_sqlite).values(
            id=gateway_id, seen_at=now, journaled=0
        )
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


def append(database: Database, entries: Iterable[Entry], gateway: Mapping[str, Any] | None = None) -> int:
    """Write down those that are not known by their id yet, all or none; how many these were.

    Raises :class:`gateway.store.errors.DatabaseUnavailable`, and what a column's type raises of a value.
    """
    by_id = {each.id: each for each in entries}
    # In one order, so that two gateways never wait for each other.
    ordered = [by_id[name] for name in sorted(by_id)]
    try:
        return _append(database, ordered, gateway, one_by_one=False)
    except _Known:
        return _append(database, ordered, gateway, one_by_one=True)


class _Known(Exception):
    """Some of the entries are there already, as after a crash: the transaction begins anew, one by one."""


def _append(
    database: Database, entries: Sequence[Entry], gateway: Mapping[str, Any] | None, *, one_by_one: bool
) -> int:
    to = statements(is_sqlite=database.is_sqlite)
    rows = [entry_row(each) for each in entries]
    with database.write() as session:
        connection = session.connection()
        if gateway is not None:
            to.gateways.write(connection, [gateway])
        new = entries
        if one_by_one:
            written = [to.entries.write(connection, [row]) for row in rows]
            new = [each for each, is_new in zip(entries, written, strict=True) if is_new]
        elif to.entries.write(connection, rows) < len(rows):
            raise _Known
        to.lines.write(connection, [row for each in new for row in line_rows(each)])
        to.spent.write(connection, sums_of(new))
    return len(new)


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


def _now(database: Database) -> ColumnElement[datetime]:
    """By the database's clock, which is one for all gateways; SQLite's is this machine's."""
    if database.is_sqlite:
        return literal(datetime.now(UTC), Utc)
    return type_coerce(func.clock_timestamp(), Utc)
