"""From the spool to the journal, in a thread: a database that is slow or away stops nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial

from gateway.ledger.journal import Journal, Numbered
from gateway.ledger.spool import Spool

log = logging.getLogger(__name__)

GATHER_S = 0.05
MANY = 10
GATHER_MANY_S = 0.2
"""Where many come, more are waited for: a transaction of 20 entries takes as long as one of 100."""
RETRY_S = 1.0
BEAT_S = 2.0
ALIVE_S = 10.0
"""A gateway that was not heard of for so long is gone."""
MOST_AT_ONCE = 500
SHORTEN_BYTES = 4_000_000


class Writer:
    """``open_records`` are those of the reservations that are open, which a shortened file keeps."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        gateway_id: str,
        executor: Executor,
        open_records: Callable[[], Iterable[str]],
    ) -> None:
        self.journaled = 0
        self.hold: int | None = None
        """Entries with higher numbers wait: what was announced for a rebuild stays true until it is done."""
        self.is_up = True
        self._journal, self._spool, self._gateway_id = journal, spool, gateway_id
        self._executor, self._open_records = executor, open_records
        self._offset = 0
        self._wake = asyncio.Event()
        self._up_since_s: float | None = None

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._write(), name="gradus-journal"),
            asyncio.create_task(self._beat(), name="gradus-heartbeat"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        self._wake.set()

    @property
    def backlog(self) -> int:
        """Entries that are settled and not in the journal."""
        return self._spool.number - self.journaled

    @property
    def up_s(self) -> float:
        """How long the journal has been heard without a break."""
        return 0.0 if self._up_since_s is None else asyncio.get_running_loop().time() - self._up_since_s

    async def beat(self) -> bool:
        """Say that this gateway lives; whether the journal heard it."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            await loop.run_in_executor(self._executor, self._journal.beat, self._gateway_id)
        except Exception as error:
            self._heard(error)
            self._up_since_s = None
            return False
        self._heard(None)
        if self._up_since_s is None:
            self._up_since_s = began_s
        return True

    async def unjournaled(self) -> list[Numbered]:
        """What is settled and not in the journal, up to now; :attr:`hold` must keep the file as it is."""
        read = partial(self._spool.read, self._offset, self._spool.size, self.backlog)
        found, _ = await asyncio.get_running_loop().run_in_executor(self._executor, read)
        return found

    async def _beat(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_S)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GATHER_S)
            if self.backlog >= MANY:
                await asyncio.sleep(GATHER_MANY_S)
            try:
                while await self._move():
                    pass
                self._heard(None)
            except Exception as error:
                self._heard(error)
                self._wake.set()
                await asyncio.sleep(RETRY_S)

    async def _move(self) -> bool:
        """Move some; whether there may be enough for another round at once."""
        most = MOST_AT_ONCE if self.hold is None else min(MOST_AT_ONCE, self.hold - self.journaled)
        start, end = self._offset, self._spool.size
        if most <= 0 or start == end:
            return False
        loop = asyncio.get_running_loop()
        number, self._offset = await loop.run_in_executor(self._executor, self._append, start, end, most)
        self.journaled = max(self.journaled, number)
        if self.backlog:
            self._wake.set()
        if self._offset > SHORTEN_BYTES and self.hold is None:
            self._spool.shorten(self._offset, self._open_records())
            self._offset = 0
        return self.backlog >= MOST_AT_ONCE

    def _append(self, start: int, end: int, most: int) -> tuple[int, int]:
        entries, offset = self._spool.read(start, end, most)
        if entries:
            self._journal.append(self._gateway_id, entries)
        return (entries[-1].number if entries else 0), offset

    def _heard(self, error: Exception | None) -> None:
        if error is not None and self.is_up:
            log.warning("the journal cannot be written (%r); entries wait in %s", error, self._spool.path)
        elif error is None and not self.is_up:
            log.warning("the journal can be written again")
        self.is_up = error is None
