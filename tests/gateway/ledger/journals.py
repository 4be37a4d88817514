"""A journal for tests: one SQLite file, which several processes may share, and which can be made to fail."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from cost_model.budget import picodollars, windows
from gateway.ledger.journal import Numbered, Presence, Standing
from gateway.ledger.spool import scopes_of

_SCHEMA = """
create table if not exists entries (id text primary key, billed integer not null, status text not null);
create table if not exists counts (id text not null, scope text not null, window text not null);
create table if not exists gateways (id text primary key, beat_at real, journaled integer not null default 0);
"""


class SqliteJournal:
    """Fails while ``away`` is set, in this process."""

    def __init__(self, path: Path) -> None:
        self.away = threading.Event()
        self._path = path
        with closing(self._connect()) as database:
            database.executescript(_SCHEMA)

    def append(self, gateway_id: str, entries: Sequence[Numbered]) -> None:
        with closing(self._connect()) as database, database:
            for each in entries:
                entry = each.entry
                row = (entry.id, picodollars(entry.billed_usd), entry.status)
                written = database.execute("insert or ignore into entries values (?, ?, ?)", row)
                if written.rowcount:
                    names = [
                        (entry.id, scope, window)
                        for scope in scopes_of(entry.key_id, entry.team_id)
                        for window in windows(entry.at)
                    ]
                    database.executemany("insert into counts values (?, ?, ?)", names)
            database.execute(
                "insert into gateways values (?, null, ?) on conflict (id) do update "
                "set journaled = max(journaled, excluded.journaled)",
                (gateway_id, max((each.number for each in entries), default=0)),
            )

    def standing(self, since: datetime) -> Standing:
        with closing(self._connect()) as database, database:
            database.execute("begin")
            sums = database.execute(
                "select scope, window, sum(billed) from counts join entries using (id) group by scope, window"
            ).fetchall()
            now_s = time.time()
            gateways = database.execute(
                "select id, ? - beat_at, journaled from gateways", (now_s,)
            ).fetchall()
        return Standing(
            {
                (scope, window): spent
                for scope, window, spent in sums
                if window in windows(since) or window > windows(since)[-1]
            },
            {id: Presence(age_s, journaled) for id, age_s, journaled in gateways},
        )

    def beat(self, gateway_id: str) -> None:
        with closing(self._connect()) as database, database:
            database.execute(
                "insert into gateways values (?, ?, 0) on conflict (id) do update "
                "set beat_at = excluded.beat_at",
                (gateway_id, time.time()),
            )

    def forget(self, gateway_id: str) -> None:
        with closing(self._connect()) as database, database:
            database.execute("delete from gateways where id = ?", (gateway_id,))

    def entries(self) -> dict[str, tuple[int, str]]:
        """Picodollars and status of every entry, by id."""
        with closing(self._connect()) as database:
            rows = database.execute("select id, billed, status from entries").fetchall()
        return {id: (billed, status) for id, billed, status in rows}

    def _connect(self) -> sqlite3.Connection:
        if self.away.is_set():
            raise ConnectionError("the journal is away")
        database = sqlite3.connect(self._path, timeout=10)
        database.execute("pragma synchronous = off")
        return database
