"""Jobs to workers, and their events back: one Celery sender and one event reader a gateway process.

Each event is handed to the request that waits for it. There is no Celery result backend. Workers beat once a
second for each running job; silence and an expired lease together mean that the worker is gone, and the job
is sent once more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.errors import DeadlineExceeded, NoWorker, QueueFull, QueueUnavailable, WorkerLost
from gateway.event_reader import RECONNECT_INTERVAL_S, EventReader
from gateway.sender import CONNECT_TIMEOUT_S, Sender
from router import wire
from router.errors import WireInvalid
from router.types import Failure, Job, Outcome
from router.wire import Event

log = logging.getLogger(__name__)
T = TypeVar("T")

SEND_TIMEOUT_S = 5.0
LAST_WORDS_S = 5.0
"""A worker whose job was cancelled has this long to say what it consumed."""

OnEvent = Callable[[Event], None]
LastWords = asyncio.Task[Outcome | None]
"""What came of a job that was given up: for the usage that it may report. ``None``: nobody knows."""


@dataclass(frozen=True, slots=True)
class _Reconnected:
    """Put to every waiting job when Redis is back: what was queued in it may be gone."""


@dataclass(slots=True)
class _Waiting:
    """A job that a request waits for."""

    job: Job
    on_sent_again: Callable[[], None]
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
        self._reader = EventReader(redis_url, self.reply_to, self._hand_over, self._reconnected)
        self._background: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start reading. Redis need not be there yet: the reader keeps trying."""
        self._sender = Sender(self._redis_url)
        self._redis = Redis.from_url(
            self._redis_url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=None,  # `_told` has one
            protocol=2,
        )
        await self._reader.start()

    @property
    def reads(self) -> bool:
        """Whether the reader lives: a Redis that is away does not end it, a fault of its own does."""
        return self._reader.lives

    async def stop(self) -> None:
        await asyncio.gather(*self._background, return_exceptions=True)  # last words are still heard
        await self._reader.stop()
        try:
            await _told(self._redis.delete(self.reply_to, self._reader.mark))
        except (RedisError, OSError):
            log.info("Redis is gone already; the event stream %s expires by itself", self.reply_to)
        await self._redis.aclose()
        await self._sender.close()

    async def run(
        self,
        job: Job,
        deadline_s: float,
        on_sent: Callable[[], None],
        on_sent_again: Callable[[], None],
        on_event: OnEvent,
        on_given_up: Callable[[LastWords], None],
    ) -> Outcome:
        """Send the job and wait for its outcome, answered or not; ``on_event`` hears everything before it.

        ``deadline_s`` is on the event loop's clock. Of a job that was sent again (``on_sent_again``) the
        outcome says what one attempt consumed; of another nobody hears. Cancelling this call cancels the job
        in its worker; a job that ends without an outcome here may still tell what it consumed:
        ``on_given_up`` gets the task that waits for that. Raises :class:`QueueUnavailable`,
        :class:`WorkerLost` or :class:`DeadlineExceeded`.
        """
        waiting = self._waiting[job.id] = _Waiting(job, on_sent_again)
        outcome = None
        try:
            await self._send(waiting)
            on_sent()
            outcome = await self._wait(waiting, deadline_s, on_event)
            return outcome
        finally:
            if outcome is None and waiting.sent:
                on_given_up(self._in_background(self._last_words(waiting)))
            else:
                del self._waiting[job.id]
                if waiting.sent > 1:  # the other copy may still run
                    self._in_background(self._cancel(job.id, _last_words_end_s()))

    async def admit(self, model: str, max_queued_jobs: int) -> None:
        """Raise :class:`QueueUnavailable`, :class:`NoWorker` or :class:`QueueFull` where a job would wait."""
        queued = await self.queued()
        if queued >= max_queued_jobs:
            raise QueueFull(f"{queued} jobs wait for a worker; start more with `gradus worker`.")
        if not any(model in worker.get("models", ()) for worker in await self.workers()):
            raise NoWorker(f"No live worker runs {model}; start one with `gradus worker`.")

    async def queued(self) -> int:
        """How many jobs wait for a worker. Raises :class:`QueueUnavailable`."""
        try:
            return int(await _told(self._redis.llen(wire.QUEUE)))
        except (RedisError, OSError) as error:
            raise QueueUnavailable(_REDIS_DOWN.format(error=error)) from error

    async def workers(self) -> list[dict[str, Any]]:
        """What every live worker says about itself. Raises :class:`QueueUnavailable`."""
        try:
            ids: list[Any] = await _told(self._redis.zrangebyscore(wire.WORKERS, time.time(), "inf"))
            keys = [wire.worker_key(each.decode()) for each in ids]
            found: list[Any] = await _told(self._redis.mget(keys)) if keys else []
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
                # Not by wait_for: before Python 3.12 it forgets a cancellation that comes with an event.
                async with asyncio.timeout(min(left_s, patience_s) if waiting.started else left_s):
                    event = await waiting.inbox.get()
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
        if not self._reader.connected:
            return False
        try:
            return not await _told(self._redis.exists(wire.lease_key(job_id)))
        except (RedisError, OSError):
            return False

    async def _send_again(self, waiting: _Waiting) -> None:
        if waiting.said_text:
            raise WorkerLost(_LOST_AFTER_TEXT)
        if waiting.sent > 1:
            raise WorkerLost(_LOST)
        log.warning("job %s lost its worker; sending it again", waiting.job.id)
        waiting.started = False
        waiting.on_sent_again()
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

    async def _last_words(self, waiting: _Waiting) -> Outcome | None:
        """Cancel the job in its worker, and wait a little for what it consumed until then."""
        until_s = _last_words_end_s()
        try:
            await self._cancel(waiting.job.id, until_s)
            async with asyncio.timeout_at(until_s):
                while True:
                    event = await waiting.inbox.get()
                    if isinstance(event, Event) and event.outcome is not None:
                        return event.outcome
        except TimeoutError:
            return None
        finally:
            del self._waiting[waiting.job.id]

    async def _cancel(self, job_id: str, until_s: float) -> None:
        """Tell its worker to stop; while Redis is away, again and again until then."""
        while True:
            try:
                await _told(self._redis.set(wire.cancel_key(job_id), "1", ex=wire.CANCEL_TTL_S))
                return
            except (RedisError, OSError) as error:
                if asyncio.get_running_loop().time() + RECONNECT_INTERVAL_S > until_s:
                    log.warning("job %s could not be cancelled: %s", job_id, error)
                    return
            await asyncio.sleep(RECONNECT_INTERVAL_S)

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _reconnected(self) -> None:
        for waiting in self._waiting.values():
            waiting.inbox.put_nowait(_Reconnected())

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


def _last_words_end_s() -> float:
    return asyncio.get_running_loop().time() + LAST_WORDS_S


async def _told(answer: Awaitable[T]) -> T:
    """What Redis says, soon or never. Raises :class:`TimeoutError`.

    Not by redis-py's own timeout: before Python 3.12 its wait_for forgets a cancellation, and with it that a
    client left.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await answer
    except TimeoutError as error:
        raise TimeoutError("no answer") from error


_LOST = "The worker that ran this request is gone, and trying again did not help; ask again in a moment."
_LOST_AFTER_TEXT = "The worker that ran this request is gone, after part of the answer was sent; ask again."
_REDIS_DOWN = (
    "The queue (Redis) cannot be reached: {error}. Searches need it; models behind a server still answer."
)
