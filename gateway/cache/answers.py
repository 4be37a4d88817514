"""Answers kept in Redis, and equal requests answered once: what a request goes through on its way.

    with await cache.visit(ticket, deadline_s) as visit:
        if visit.entry is not None:          # "hit", or "shared" with a request that ran already
            return ...
        reply = ...                          # "miss" or "bypass": do the work
        visit.keep(reply, completion)        # or not: an error, a search that was broken off

Whoever leaves without ``keep`` by an exception (an error, a client that went away) hands over to the next
that waits; one that leaves without, and without an exception, had nothing that could be shared: those that
wait go alone. A leader that dies is replaced when its lease ends. Without Redis nothing is looked up or kept,
and nothing fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any, Final

from gateway.cache.counters import Counters, Status
from gateway.cache.entries import KeptAnswer, entry_of, may_be_kept, pack, unpack
from gateway.cache.flights import MOST_LEADERS, Flight, Flights
from gateway.cache.shelf import ALONE, Board, RedisAway, Shelf
from gateway.cache.tickets import Ticket, Tickets
from gateway.cache.visits import Visit
from gateway.errors import DeadlineExceeded, NotCached, QueueUnavailable
from gateway.telemetry.metrics import stage
from router.config import Config

_LEASE_MS: Final = 3000
_FIRST_LOOK_S: Final = 0.01
_LAST_LOOK_S: Final = 0.1
"""How often one looks for what another process answers: soon at first, then less often."""


class AnswerCache:
    """Between :meth:`start` and :meth:`stop`, in one event loop."""

    def __init__(self, config: Config) -> None:
        self.counters = Counters()
        self._config, self._cache = config, config.cache
        self.max_entry_bytes = config.cache.max_entry_bytes
        self._flights = Flights()
        self._background: set[asyncio.Future[Any]] = set()
        self._leading: dict[str, str] = {}
        """Keys of the requests that this process leads, by token."""

    async def start(self) -> None:
        """Reads the files that the configuration names, in a thread. Redis need not be there yet."""
        self.tickets = await asyncio.to_thread(Tickets, self._config)
        self._shelf = Shelf(self._config.server.redis_url, self.counters)
        self._renewing = asyncio.create_task(self._renew(), name="gradus-leases")

    async def stop(self) -> None:
        self._renewing.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._shelf.close()

    async def visit(self, ticket: Ticket, deadline_s: float) -> Visit:
        """To be gone through in a ``with`` block, at once: others may wait for what comes of it.

        ``deadline_s`` is on the event loop's clock. Raises :class:`DeadlineExceeded` after waiting.
        """
        with stage("cache"):
            visit = await self._enter(ticket, deadline_s)
        self.counters.saw(visit.status)
        if visit.token:
            self._leading[visit.token] = ticket.key
        if visit.entry is None and ticket.key:
            visit.ends = partial(self._end, ticket)
        return visit

    def let_go(self, ticket: Ticket, visit: Visit) -> None:
        """Let those that wait go alone: this answer takes as long as its client takes to read it."""
        if visit.token:
            self._in_background(self._shelf.leave(ticket.key, visit.token, alone=True))
            del self._leading[visit.token]
            visit.token = ""
        if visit.flight is not None:
            visit.flight.alone = True
            self._flights.leave(ticket.key, visit.flight)
            visit.flight = None

    async def candidate_scope(self, ticket: Ticket, visit: Visit) -> str | None:
        """Who shares the samples of this request's searches (:attr:`router.types.Job.cache_scope`).

        A name that a purge changes. ``None``: nobody, or Redis is away.
        """
        if not ticket.candidates:
            return None
        if visit.generations is None:
            try:
                visit.generations = (await self._shelf.board("", ticket.spaces)).generations
            except RedisAway:
                return None
        said = "\n".join((*ticket.spaces, *visit.generations))
        return sha256(said.encode()).hexdigest()

    async def purge(self, spaces: Iterable[str]) -> None:
        """Forget what these namespaces hold (:mod:`gateway.cache.tickets`), candidates too, in every process.

        Raises :class:`gateway.errors.QueueUnavailable`.
        """
        try:
            for space in spaces:
                await self._shelf.purge(space)
        except RedisAway as error:
            raise QueueUnavailable(f"Redis cannot be reached, so nothing was forgotten: {error}.") from error

    async def _enter(self, ticket: Ticket, deadline_s: float) -> Visit:
        if ticket.control.only:
            return await self._only(ticket)
        if not ticket.key:
            return Visit("bypass")
        try:
            if not ticket.control.reads:  # a new answer is wanted, and kept
                board = await self._shelf.board(ticket.key, ticket.spaces)
                return Visit("miss", generations=board.generations)
            return await self._board(ticket, deadline_s)
        except RedisAway:
            return Visit("bypass")
        except TimeoutError:
            raise DeadlineExceeded(
                "The deadline came while the request waited for an equal one to be answered."
            ) from None

    async def _only(self, ticket: Ticket) -> Visit:
        visit = None
        if ticket.key and ticket.control.reads:
            with suppress(RedisAway):
                visit = self._found(ticket, await self._shelf.board(ticket.key, ticket.spaces))
        if visit is None:
            raise NotCached
        return visit

    async def _board(self, ticket: Ticket, deadline_s: float) -> Visit:
        """Raises :class:`TimeoutError` where another's answer is waited for until the deadline."""
        generations = None
        if ticket.key in self._flights.under_way:  # since before a purge, perhaps
            generations = (await self._shelf.board("", ticket.spaces)).generations
        flight = await self._flights.board(ticket.key, deadline_s, generations)
        token = self._shelf.fresh_name()
        leads = False
        try:
            visit = self._shared(ticket, flight)
            if visit is None:
                visit = await self._lead(ticket, flight, token, deadline_s)
                if visit.entry is not None:
                    flight.entry, flight.found = visit.entry, visit.status == "hit"
                leads = bool(visit.token)
                flight.leaders += leads
                flight.alone = not leads and visit.entry is None
            if leads:
                visit.flight = flight
            return visit
        except RedisAway:
            flight.alone = True
            raise
        except BaseException:  # it may lead by now, and nobody heard of it
            self._in_background(self._shelf.leave(ticket.key, token, alone=False))
            raise
        finally:
            if not leads:
                self._flights.leave(ticket.key, flight)

    def _shared(self, ticket: Ticket, flight: Flight) -> Visit | None:
        """What came of the flight while this one waited; ``None``: it is to lead it now."""
        if flight.entry is not None:
            age_s = max(0.0, time.time() - flight.entry.kept_unix_s)
            if ticket.control.allows(age_s):
                return Visit("hit" if flight.found else "shared", flight.entry, age_s)
            return Visit("miss", generations=flight.entry.generations)
        return Visit("miss") if flight.alone or flight.leaders >= MOST_LEADERS else None

    async def _lead(self, ticket: Ticket, flight: Flight, token: str, deadline_s: float) -> Visit:
        """Wait until the answer is there, or nobody in any process is at it: then this one leads."""
        wait_s, waited, outdated = _FIRST_LOOK_S, False, False
        while True:
            board = await self._shelf.board(ticket.key, ticket.spaces, token, _LEASE_MS, always=outdated)
            flight.generations = board.generations
            visit = self._found(ticket, board, "shared" if waited else "hit")
            leads = board.leader == token.encode()
            if visit is not None:
                if leads:
                    self._in_background(self._shelf.leave(ticket.key, token, alone=False))
                return visit
            if leads:
                return Visit("miss", generations=board.generations, token=token)
            if board.leader == ALONE:
                return Visit("miss", generations=board.generations)
            if board.packed is not None and not outdated:
                outdated = True
                continue
            waited = True
            left_s = deadline_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise TimeoutError
            await asyncio.sleep(min(wait_s, left_s))
            wait_s = min(2 * wait_s, _LAST_LOOK_S)

    def _found(self, ticket: Ticket, board: Board, status: Status = "hit") -> Visit | None:
        """The answer that lies there, if it can be read, was not purged, and is new enough."""
        entry = None if board.packed is None else unpack(board.packed)
        if board.packed is None or entry is None or entry.generations != board.generations:
            return None
        age_s = max(0.0, time.time() - entry.kept_unix_s)
        if not ticket.control.allows(age_s):
            return None
        self.counters.bytes_read += len(board.packed)
        return Visit(status, entry, age_s, generations=board.generations)

    def _end(self, ticket: Ticket, visit: Visit, failed: bool) -> None:
        """Keep what is to be kept, and let those go that wait."""
        self._leading.pop(visit.token, None)
        if visit.generations is None and visit.flight is None:
            return
        kept = self._kept(visit) if visit.reply is not None and not failed else None
        if kept is not None:
            self._put(ticket.key, visit.token, kept)
        elif visit.token:
            self._in_background(self._shelf.leave(ticket.key, visit.token, alone=not failed))
        if visit.flight is not None:
            visit.flight.entry, visit.flight.alone = kept, kept is None and not failed
            self._flights.leave(ticket.key, visit.flight)

    def _kept(self, visit: Visit) -> KeptAnswer | None:
        if visit.reply is None or visit.generations is None:
            return None
        entry = entry_of(visit.reply, visit.completion, time.time(), visit.generations)
        if may_be_kept(entry, self._cache.min_confidence):
            return entry
        self.counters.refused += 1
        return None

    def _put(self, key: str, token: str, entry: KeptAnswer) -> None:
        packed = pack(entry)
        if len(packed) > self._cache.max_entry_bytes:
            self.counters.lost += 1
            if token:
                self._in_background(self._shelf.leave(key, token, alone=True))
            return
        try:
            kept = self._shelf.keep(key, packed, token, self._cache.ttl_s, self._cache.max_bytes)
        except RedisAway:
            self.counters.lost += 1
        else:
            self._background.add(kept)
            kept.add_done_callback(partial(self._was_put, len(packed)))

    def _was_put(self, size: int, answer: asyncio.Future[Any]) -> None:
        self._background.discard(answer)
        self.counters.put(size, kept=self._shelf.was_kept(answer))

    async def _renew(self) -> None:
        """One for all: most are answered before their lease has to be."""
        while True:
            await asyncio.sleep(_LEASE_MS / 3000)
            renewed = [self._shelf.renew(key, token, _LEASE_MS) for token, key in self._leading.items()]
            await asyncio.gather(*renewed, return_exceptions=True)  # Redis may be away

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with suppress(RedisAway):  # a lease ends by itself
                await work

        task = asyncio.create_task(quietly())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
