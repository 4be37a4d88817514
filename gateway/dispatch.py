"""Jobs to workers, and their events back: one Celery sender and one event reader a gateway process.

Every gateway process reads its own Redis Stream, and only the reader task touches it: it hands each event to
the request that waits for it. There is no Celery result backend. Workers beat once a second for each running
job; silence and an expired lease together mean that the worker is gone, and the job is sent once more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.errors import DeadlineExceeded, QueueUnavailable, WorkerLost
from gateway.sender import CONNECT_TIMEOUT_S, Sender
from router import wire
from router.errors import WireInvalid
from router.types import Failure, Job, Outcome
from router.wire import Event

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 5.0
RECONNECT_INTERVAL_S = 0.2
BLOCK_S = 5.0
READ_AT_ONCE = 1000  # events
STREAM_TTL_S = 3600  # so that the stream of a gateway that was killed goes away
TRIM_INTERVAL_S = 10.0

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Reconnected:
    """Put to every waiting job when Redis is back: what was queued in it may be gone."""


@dataclass(slots=True)
class _Waiting:
    """A job that a request waits for."""

    job: Job
    inbox: asyncio.Queue[Event | _Reconnected] = field(default_factory=asyncio.Queue)
    started: bool = False
    said_text: bool = False
    sent: int = 0


class Dispatcher:
    """Sends jobs and waits for their outcomes; between :meth:`start` and :meth:`stop`, in one event loop."""

    def __init__(self, redis_url: str, gateway_id: str, *, lost_after_s: float = wire.LOST_AFTER_S) -> None:
        self.reply_to = wire.events_key(gateway_id)
        self._redis_url = redis_url
        self._lost_after_s = lost_after_s
        self._waiting: dict[str, _Waiting] = {}
        self._connected = False
        self._was_lost = False
        self._trim_at_s = 0.0
        self._can_trim = True
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start reading. Redis need not be there yet: the reader keeps trying."""
        self._sender = Sender(self._redis_url)
        self._redis = self._connect(CONNECT_TIMEOUT_S)
        # Its own connection, because its reads block; the timeout notices a host that vanished.
        self._reading = self._connect(2 * BLOCK_S)
        self._reader = asyncio.create_task(self._read(), name="gradus-event-reader")

    @property
    def reads(self) -> bool:
        """Whether the reader lives: a Redis that is away does not end it, a fault of its own does."""
        return not self._reader.done()

    def _connect(self, timeout_s: float) -> Redis:
        return Redis.from_url(
            self._redis_url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=timeout_s, protocol=2
        )

    async def stop(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, *self._background, return_exceptions=True)
        try:
            await self._redis.delete(self.reply_to)
        except (RedisError, OSError):
            log.info("Redis is gone already; the event stream %s expires by itself", self.reply_to)
        await self._reading.aclose()
        await self._redis.aclose()
        await self._sender.close()

    async def run(
        self, job: Job, deadline_s: float, on_sent: Callable[[], None], on_event: OnEvent
    ) -> Outcome:
        """Send the job and wait for its outcome, answered or not; ``on_event`` hears everything before it.

        ``deadline_s`` is on the event loop's clock. Cancelling this call cancels the job in its worker.
        Raises :class:`QueueUnavailable`, :class:`WorkerLost` or :class:`DeadlineExceeded`.
        """
        waiting = self._waiting[job.id] = _Waiting(job)
        finished = False
        try:
            await self._send(waiting)
            on_sent()
            outcome = await self._wait(waiting, deadline_s, on_event)
            finished = waiting.sent == 1  # of a job sent twice the other copy may still run
            return outcome
        finally:
            del self._waiting[job.id]
            if waiting.sent and not finished:
                self._in_background(self._cancel(job.id))

    async def workers(self) -> list[dict[str, Any]]:
        """What every live worker says about itself. Raises :class:`QueueUnavailable`."""
        try:
            ids = await self._redis.zrangebyscore(wire.WORKERS, time.time(), "inf")
            found = await self._redis.mget([wire.worker_key(each.decode()) for each in ids]) if ids else []
        except (RedisError, OSError) as error:
            raise QueueUnavailable(_REDIS_DOWN.format(error=error)) from error
        return [json.loads(value) for value in found if value is not None]

    async def _wait(self, waiting: _Waiting, deadline_s: float, on_event: OnEvent) -> Outcome:
        loop = asyncio.get_running_loop()
        patience_s = self._lost_after_s
        while True:
            left_s = deadline_s - loop.time()
            if left_s <= 0:
                raise await self._late(waiting)
            try:
                event = await asyncio.wait_for(
                    waiting.inbox.get(), min(left_s, patience_s) if waiting.started else left_s
                )
            except TimeoutError:
                # A lease outlives a beat by moments; only without one is the worker surely gone.
                patience_s = wire.BEAT_S
                if waiting.started and loop.time() < deadline_s and await self._abandoned(waiting.job.id):
                    await self._send_again(waiting)
                continue
            patience_s = self._lost_after_s
            if isinstance(event, _Reconnected):
                if not waiting.started and waiting.sent == 1:
                    await self._send_again(waiting)
            elif event.outcome is not None:
                return event.outcome
            else:
                waiting.started = True
                waiting.said_text = waiting.said_text or event.type == "text"
                on_event(event)

    async def _abandoned(self, job_id: str) -> bool:
        if not self._connected:
            return False
        try:
            return not await self._redis.exists(wire.lease_key(job_id))
        except (RedisError, OSError):
            return False

    async def _send_again(self, waiting: _Waiting) -> None:
        if waiting.said_text:
            raise WorkerLost(_LOST_AFTER_TEXT)
        if waiting.sent > 1:
            raise WorkerLost(_LOST)
        log.warning("job %s lost its worker; sending it again", waiting.job.id)
        waiting.started = False
        await self._send(waiting)

    async def _send(self, waiting: _Waiting) -> None:
        waiting.sent += 1  # before it is known: a send that is cut off may still arrive
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._sender.send(waiting.job)
        except TimeoutError as error:
            raise QueueUnavailable(_REDIS_DOWN.format(error="no answer")) from error
        except ConnectionError as error:
            waiting.sent -= 1
            raise QueueUnavailable(_REDIS_DOWN.format(error=error)) from error

    async def _late(self, waiting: _Waiting) -> DeadlineExceeded | WorkerLost:
        if waiting.sent > 1 and not waiting.started:
            return WorkerLost(_LOST)
        if waiting.started:
            return DeadlineExceeded(
                "The deadline came before an answer; ask for fewer tokens, a policy with fewer samples, "
                "or raise the policy's deadline_s."
            )
        try:
            alive = len(await self.workers())
        except QueueUnavailable:
            alive = 0
        if alive:
            return DeadlineExceeded(
                f"The deadline came while the request waited for one of {alive} busy worker(s); "
                "start more with `gradus worker`, or raise the policy's deadline_s."
            )
        return DeadlineExceeded("The deadline came and no worker is alive; start one with `gradus worker`.")

    async def _cancel(self, job_id: str) -> None:
        try:
            await self._redis.set(wire.cancel_key(job_id), "1", ex=wire.CANCEL_TTL_S)
        except (RedisError, OSError) as error:
            log.warning("job %s could not be cancelled: %s", job_id, error)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _read(self) -> None:
        """Hand the events of this process's stream to the jobs that wait, as long as the process lives."""
        last_id: Any = "0-0"
        while True:
            try:
                if not self._connected:
                    await self._reading.ping()
                    self._greet()
                # [[stream, [(entry id, fields), ...]]], or nothing
                answer: Any = await self._reading.xread(
                    {self.reply_to: last_id}, count=READ_AT_ONCE, block=int(BLOCK_S * 1000)
                )
                if answer:
                    await self._trim(last_id)
            except (RedisError, OSError) as error:
                if not self._was_lost:
                    log.warning("Redis does not answer (%s); trying again until it does", error)
                self._connected, self._was_lost = False, True
                await asyncio.sleep(RECONNECT_INTERVAL_S)
                continue
            for _, entries in answer or ():
                for entry_id, fields in entries:
                    last_id = entry_id
                    try:
                        self._hand_over(fields)
                    except Exception:  # one bad entry must not end the reading for everybody
                        log.exception("entry %r of %s is left out: %r", entry_id, self.reply_to, fields)

    def _greet(self) -> None:
        self._connected = True
        if self._was_lost:
            log.warning("Redis answers again")
            self._was_lost = False
            for waiting in self._waiting.values():
                waiting.inbox.put_nowait(_Reconnected())

    async def _trim(self, read_id: Any) -> None:
        """Drop what was read, now and then, so that Redis holds no answers that nobody waits for."""
        if time.monotonic() > self._trim_at_s:
            self._trim_at_s = time.monotonic() + TRIM_INTERVAL_S
            await self._redis.expire(self.reply_to, STREAM_TTL_S)
            if self._can_trim:
                await self._drop_read(read_id)

    async def _drop_read(self, read_id: Any) -> None:
        try:
            await self._redis.xtrim(self.reply_to, minid=read_id)
        except ResponseError as error:
            self._can_trim = False  # the stream is short all the same: workers write it with a MAXLEN
            log.warning("Redis does not trim streams by id (%s), which needs Redis 6.2 or later", error)

    def _hand_over(self, fields: dict[bytes, bytes]) -> None:
        waiting = self._waiting.get(fields.get(b"job", b"").decode())
        if waiting is None:
            return  # its client left, or it was answered by the other worker
        try:
            event = wire.decode_event(fields)
        except WireInvalid as error:  # a worker of another version: nothing that it says will be understood
            log.error("job %s: %s", waiting.job.id, error)
            failed = Outcome(waiting.job.id, "failed", failure=Failure(error.code, str(error)))
            event = Event("outcome", waiting.job.id, outcome=failed)
        waiting.inbox.put_nowait(event)


_LOST = "The worker that ran this request is gone, and trying again did not help; ask again in a moment."
_LOST_AFTER_TEXT = "The worker that ran this request is gone, after part of the answer was sent; ask again."
_REDIS_DOWN = (
    "The queue (Redis) cannot be reached: {error}. Searches need it; models behind a server still answer."
)
