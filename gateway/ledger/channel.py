"""The one connection on which a gateway process tells Redis what it reserves and settles.

One batch is under way at a time; what comes meanwhile makes the next. So everything arrives in its order, the
busier the process the larger its batches, and what a lost connection leaves unanswered is simply sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from redis.exceptions import RedisError

from gateway.errors import LedgerUnavailable
from gateway.ledger.connection import ROOT, Connection
from gateway.ledger.operations import Orphans, Tell, cancelling
from gateway.ledger.spool import decode
from gateway.ledger.terms import Reservation

log = logging.getLogger(__name__)

RECONNECT_INTERVAL_S = 0.2
CANCEL_AGAIN_S = 0.1
MOST_IN_BATCH = 200  # a script stops all others: these take Redis about 5 ms
MOST_QUEUED = 50_000
SILENCE_S = 0.5  # then Redis is asked whether the counters are still those we know
LINGER_S = 0.002  # what nobody waits for goes with what somebody does, if that comes soon

State = Literal["ready", "rebuilding", "redis down"]
Answer = Sequence[bytes | int] | int


class Lost(Exception):
    """The counters are gone, or do not know us: they have to be joined or built anew."""

    def __init__(self, why: str, *, unusable: bool) -> None:
        super().__init__(why)
        self.unusable = unusable


@dataclass(eq=False, slots=True)
class Ask:
    """Somebody waits for it. ``granted`` is called the moment that Redis says yes."""

    op: bytes
    reservation: Reservation
    answer: asyncio.Future[Answer]
    asked_s: float
    sent: bool = False


class Channel:
    """``join(channel, unusable)`` makes this gateway part of a generation of counters, and returns its name;
    not of the one that is ``unusable``. ``open`` has the ids of the reservations that requests run on.

    ``granted`` is called with all reservations that Redis granted, before who asked hears of it. An answer is
    waited for at most ``patience_s``.
    """

    def __init__(
        self,
        redis_url: str,
        gateway_id: str,
        join: Callable[[Channel, str], Awaitable[str]],
        open: Container[str],
        granted: Callable[[Sequence[Reservation]], None],
        *,
        patience_s: float,
    ) -> None:
        self.gateway_id = gateway_id
        self.state: State = "rebuilding"
        self.overflowed = False
        self.redis = Connection(redis_url)
        self.generation = ""
        self._heard_s = 0.0
        self._failures = 0
        self._join, self._open, self._granted, self._patience_s = join, open, granted, patience_s
        self._queue: deque[Ask | Tell | Orphans] = deque()
        self._wake = asyncio.Event()
        self._lingers = False

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._runs = asyncio.create_task(self._run(), name="gradus-ledger")
        self._gives_up = asyncio.create_task(self._give_up(), name="gradus-ledger-patience")

    async def stop(self) -> None:
        for task in (self._runs, self._gives_up):
            while not task.done():  # Python 3.11's asyncio.wait_for, in redis-py, may swallow it
                task.cancel()
                await asyncio.wait([task], timeout=CANCEL_AGAIN_S)
        for waiting in self._queue:
            if isinstance(waiting, Ask) and not waiting.answer.done():
                waiting.answer.set_exception(LedgerUnavailable("The gateway is shutting down."))
        await self.redis.close()

    @property
    def queued(self) -> int:
        return len(self._queue)

    def ask(self, op: bytes, reservation: Reservation) -> asyncio.Future[Answer]:
        """Resolves to 1 or to what refuses.

        Raises :class:`LedgerUnavailable` when that takes too long, :class:`OSError` where ``granted`` does.
        """
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._queue.append(Ask(op, reservation, answer, self._loop.time()))
        self._wake.set()
        return answer

    def tell(self, op: bytes, number: int = 0, still: Callable[[], bool] | None = None) -> None:
        if len(self._queue) >= MOST_QUEUED:
            self.overflowed = True  # Redis has been away for long: its counters are built anew
        if self.overflowed:
            return
        self._queue.append(Tell(op, number, still))
        if not self._lingers and not self._wake.is_set():
            self._lingers = True
            self._loop.call_later(LINGER_S, self._wake_up)

    def tell_for(self, gateway_id: str, ops: Sequence[Tell], number: int) -> asyncio.Future[bool]:
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._queue.append(Orphans(gateway_id, ops, number, answer))
        self._wake.set()
        return answer

    def _wake_up(self) -> None:
        self._lingers = False
        self._wake.set()

    def asked(self) -> set[str]:
        """Ids of what is asked and not answered."""
        return {each.reservation.id for each in self._queue if isinstance(each, Ask)}

    async def _run(self) -> None:
        unusable = ""
        while True:
            try:
                await self.redis.connect()
                while True:
                    self.generation = await self._join(self, unusable)
                    try:
                        if self._failures:  # one that is full, or a replica, answers and takes nothing
                            await self._send(self.gateway_id, [], [])
                        (log.info if self.state == "ready" else log.warning)("the ledger is ready")
                        self.state, unusable = "ready", ""
                        await self._pump()
                    except Lost as lost:
                        log.warning("the ledger's counters %s; building them anew", lost)
                        self.state = "rebuilding"
                        if lost.unusable:
                            unusable = self.generation
                            await asyncio.sleep(RECONNECT_INTERVAL_S)
            except (RedisError, OSError, TimeoutError) as error:
                if not self._failures:
                    log.warning("the ledger lost Redis (%s: %s); trying again", type(error).__name__, error)
                # Once may be a blip, for which requests wait.
                self.state = "redis down" if self._failures else "rebuilding"
                self._failures += 1
            except Exception:
                log.exception("the ledger's channel failed; it begins again")
                self.state = "redis down"
            finally:
                await self.redis.disconnect()
            await asyncio.sleep(RECONNECT_INTERVAL_S)

    async def _pump(self) -> None:
        """Send batch after batch. Raises :class:`Lost`, or what redis-py raises; the queue keeps all then."""
        while True:
            if self.overflowed:
                raise Lost("miss what could not be told in time", unusable=True)
            if not self._queue and self._loop.time() - self._heard_s < SILENCE_S:
                self._wake.clear()
                await self._wake.wait()
            elif self._queue and isinstance(self._queue[0], Orphans):
                await self._send_orphans(self._queue[0])
            else:
                await self._send_batch()

    async def _send_batch(self) -> None:
        batch: list[Ask | Tell] = []
        for each in self._queue:
            if isinstance(each, Orphans) or len(batch) == MOST_IN_BATCH:
                break
            batch.append(each)
        ops: list[bytes] = []
        asks: list[Ask] = []
        for each in batch:
            if isinstance(each, Tell):
                if each.still is None or each.still():
                    ops.append(each.op)
            elif not each.answer.done():
                each.sent = True
                ops.append(each.op)
                asks.append(each)
            elif each.sent and self._is_unused(each.reservation.id):  # it may have arrived
                ops.append(each.reservation.terms.cancelling(each.reservation))
        answers = await self._send(
            self.gateway_id, ops, [each.number for each in batch if isinstance(each, Tell)]
        )
        for _ in batch:
            self._queue.popleft()
        self._deliver(asks, answers)

    async def _send(self, gateway_id: str, ops: Sequence[bytes], numbers: Sequence[int]) -> list[Any]:
        settled = [number for number in numbers if number]
        first, last = (settled[0], settled[-1]) if settled else (0, 0)
        answer = await self.redis.script(
            "batch", self.generation, gateway_id, first, last, b"[%b]" % b",".join(ops)
        )
        self._heard_s, self._failures = self._loop.time(), 0
        if answer == b"lost":
            raise Lost("are gone", unusable=False)
        if answer == b"dropped":
            raise Lost("miss what was counted: Redis drops keys", unusable=True)
        if answer == b"early":
            raise Lost("are of later days: a clock was put back", unusable=True)
        if answer == b"unknown":
            raise Lost(f"do not know how far {gateway_id} had come", unusable=True)
        return list(answer)

    async def _send_orphans(self, orphans: Orphans) -> None:
        known = False
        try:
            for start in range(0, len(orphans.ops), MOST_IN_BATCH):
                some = orphans.ops[start : start + MOST_IN_BATCH]
                numbers = [each.number for each in some]
                await self._send(orphans.gateway_id, [each.op for each in some], numbers)
            if orphans.number:  # its file may have been shortened: the next is understood if none is missing
                await self._send(orphans.gateway_id, [], [orphans.number + 1])
            # Granted, but it died before it knew: nothing was spent.
            left = await self.redis.call("HGETALL", f"{ROOT}:{self.generation}:open:{orphans.gateway_id}")
            if left:
                held = [decode(text) for text in left[1::2]]
                await self._send(orphans.gateway_id, [cancelling(each, each.where) for each in held], [])
            await self.redis.script("generation", "leave", self.generation, orphans.gateway_id)
            known = True
        except Lost as lost:
            if not lost.unusable:
                raise
        self._queue.popleft()
        if not orphans.answer.done():
            orphans.answer.set_result(known)
        if not known:
            raise Lost(f"do not know how far {orphans.gateway_id} had come", unusable=True)
        if orphans.gateway_id == self.gateway_id:  # that was the last word
            await self._loop.create_future()

    def _deliver(self, asks: Sequence[Ask], answers: Sequence[Any]) -> None:
        granted: list[Ask] = []
        for ask, answer in zip(asks, answers, strict=True):
            if answer != 1:
                if not ask.answer.done():
                    ask.answer.set_result(answer)
            elif ask.answer.done():
                cancelled = ask.reservation.terms.cancelling(ask.reservation)
                self.tell(cancelled, still=partial(self._is_unused, ask.reservation.id))
            else:
                granted.append(ask)
        if not granted:
            return
        try:
            self._granted([ask.reservation for ask in granted])
        except OSError as error:
            for ask in granted:
                ask.answer.set_exception(error)
                self.tell(ask.reservation.terms.cancelling(ask.reservation))
            return
        for ask in granted:
            ask.answer.set_result(1)

    def _is_unused(self, id: str) -> bool:
        """Unless its request went on without an answer: then what was granted after all is what it holds."""
        return id not in self._open

    async def _give_up(self) -> None:
        """Refuse what is not answered in time; and have who asks nothing hear of a rebuild all the same."""
        while True:
            await asyncio.sleep(SILENCE_S / 2)
            self._wake.set()
            late_s = self._loop.time() - (0 if self.state == "redis down" else self._patience_s)
            for each in self._queue:
                if isinstance(each, Ask) and each.asked_s < late_s and not each.answer.done():
                    each.answer.set_exception(unavailable(self.state))


def unavailable(state: State) -> LedgerUnavailable:
    why = {
        "redis down": "Redis cannot be reached",
        "rebuilding": "they are being counted anew",
        "ready": "Redis does not answer in time",
    }[state]
    return LedgerUnavailable(
        f"This key has a budget or limits, and what is left of them is not known now: {why}."
    )
