"""The one background thread of a worker: it says that worker and jobs are alive, and hears cancels."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import redis

from router.types import Job
from router.wire import BEAT_S, LOST_AFTER_S, WORKERS, Event, cancel_key, lease_key, worker_key
from workers.events import add_event
from workers.protocols import Cancellation

log = logging.getLogger(__name__)

CANCEL_INTERVAL_S: Final = 0.25
"""A client that left is noticed this fast."""
LEASE_MS: Final = int(LOST_AFTER_S * 1000)
_FORGET_AFTER_S: Final = 60.0
"""Workers that did not say goodbye are taken off the list so much later, whatever their clocks say."""


@dataclass(slots=True)
class _Running:
    job: Job
    cancellation: Cancellation
    is_lost: bool = False
    """Whether another worker holds the lease."""


class Pulse:
    """Keeps a worker's presence, and the leases and beats of its running jobs.

    Use as a context manager around the time in which the worker takes jobs. While Redis is away the jobs run
    on; one whose lease another worker took meanwhile is cancelled here.
    """

    def __init__(self, client: redis.Redis, worker_id: str, presence: Mapping[str, Any]) -> None:
        self._client = client
        self._worker_id = worker_id
        self._presence = json.dumps(presence)
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._present = True
        self._stopping = False
        self._next_beat_s = 0.0
        self._thread = threading.Thread(target=self._beat_until_stopped, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self.leave()
        self._thread.join()

    def leave(self) -> None:
        """Be no live worker any more, as others see it; running jobs stay alive. Safe in a signal handler."""
        self._present = False
        self._next_beat_s = 0.0
        self._wake.set()

    @contextmanager
    def running(self, job: Job, cancellation: Cancellation) -> Iterator[None]:
        """Keep the job's lease and beat for it, and cancel it when asked to. Its lease is already held."""
        with self._lock:
            self._running[job.id] = _Running(job, cancellation)
        self._wake.set()
        try:
            yield
        finally:
            with self._lock:
                del self._running[job.id]

    def _beat_until_stopped(self) -> None:
        away = False
        while True:
            is_last = self._stopping  # one more after that, to say so
            try:
                self._tick()
                if away:
                    log.warning("Redis answers again")
                away = False
            except redis.RedisError as error:
                if not away:
                    log.warning("Redis does not answer (%s); jobs run on, and so do these attempts", error)
                away = True
            except Exception:
                log.exception("the pulse missed a beat")
            if is_last:
                return
            self._wake.wait(CANCEL_INTERVAL_S if self._running else BEAT_S)
            self._wake.clear()

    def _tick(self) -> None:
        with self._lock:  # also while sending: or a job's lease could be set again after its end
            self._listen()
            if self._stopping or time.monotonic() >= self._next_beat_s:
                self._next_beat_s = time.monotonic() + BEAT_S
                self._beat()

    def _listen(self) -> None:
        """Cancel the jobs that nobody wants from this worker any more."""
        if not self._running:
            return
        running = list(self._running.values())
        cancels = [cancel_key(one.job.id) for one in running]
        leases = [lease_key(one.job.id) for one in running]
        values = self._client.mget(cancels + leases)
        for one, cancelled, owner in zip(running, values, values[len(running) :], strict=False):
            one.is_lost = owner not in (None, self._worker_id.encode())
            if cancelled is not None or one.is_lost:
                one.cancellation.cancel()

    def _beat(self) -> None:
        """Everything that shows this worker and its jobs alive, in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            if self._present:
                now_s = time.time()
                pipeline.set(worker_key(self._worker_id), self._presence, px=LEASE_MS)
                pipeline.zadd(WORKERS, {self._worker_id: now_s + LOST_AFTER_S})
                pipeline.zremrangebyscore(WORKERS, "-inf", now_s - _FORGET_AFTER_S)
            else:
                pipeline.delete(worker_key(self._worker_id))
                pipeline.zrem(WORKERS, self._worker_id)
            for one in self._running.values():
                if not one.is_lost:
                    pipeline.set(lease_key(one.job.id), self._worker_id, px=LEASE_MS)
                    add_event(pipeline, one.job, Event("beat", one.job.id))
            pipeline.execute()
