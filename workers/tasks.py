"""The Celery task, and what stands between a delivery and the executor: at most one run, one outcome."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import redis
from celery import Celery, Task

from router.errors import WireInvalid
from router.types import Failure, Job, Outcome
from router.wire import TASK, Event, cancel_key, events_key, lease_key, load_job
from workers.errors import JobCancelled
from workers.events import Events, done_key
from workers.executor import Emit
from workers.insistence import insist
from workers.protocols import Cancellation
from workers.pulse import LEASE_MS, Pulse
from workers.telemetry import working_for

log = logging.getLogger(__name__)

ANSWER_MARGIN_S: Final = 0.25
"""Generation ends this long before the job's deadline: what is there is still to be scored and to travel."""

Run = Callable[[Job, Emit, Cancellation], Outcome]
"""The executor, bound to what this worker runs."""


class Deliveries:
    """Takes jobs as the queue delivers them. Celery delivers at least once; this runs once.

    A delivery is dropped if the job runs already, here or elsewhere (its lease says so), or if it has its
    outcome. One that cannot be read fails, if it can be told who waits for it.
    """

    def __init__(self, client: redis.Redis, worker_id: str, pulse: Pulse, run: Run) -> None:
        self._client = client
        self._worker_id = worker_id
        self._pulse = pulse
        self._run = run
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def take(self, message: str) -> None:
        """Run the job of this message, if it is still to be run, and send its outcome."""
        try:
            job = load_job(message)
        except WireInvalid as error:
            self._refuse(message, error)
            return
        with self._lock:
            runs_here = job.id in self._taken
            self._taken.add(job.id)
        if runs_here:
            log.info("job %s is dropped: it runs already", job.id)
            return
        try:
            self._take(job)
        finally:
            with self._lock:
                self._taken.remove(job.id)

    def _take(self, job: Job) -> None:
        try:
            done, cancelled, leased = insist(lambda: self._claim(job), job.deadline_unix_s)
        except redis.RedisError as error:
            log.error("job %s is dropped: Redis did not answer before its deadline: %s", job.id, error)
            return
        if done or not leased:
            log.info("job %s is dropped: %s", job.id, "it has its outcome" if done else "it runs already")
            return
        events = Events(self._client, job, self._worker_id)
        if cancelled:
            failure = Failure(JobCancelled.code, "the client left before the job began")
            events.send_outcome(Outcome(job.id, "failed", failure=failure))
            return
        seconds_left = job.deadline_unix_s - time.time() - ANSWER_MARGIN_S
        cancellation = Cancellation(deadline_monotonic_s=time.monotonic() + seconds_left)
        with self._pulse.running(job, cancellation):
            events(Event("started", job.id, {"worker": self._worker_id}))
            outcome = self._run(job, events, cancellation)
        events.send_outcome(outcome)

    def _claim(self, job: Job) -> tuple[bool, bool, bool]:
        """Whether the job is done, whether it is cancelled, and whether this worker has its lease now.

        It has it too if an attempt before this one took it, and only the reply was lost.
        """
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.exists(done_key(job.id))
            pipeline.exists(cancel_key(job.id))
            pipeline.set(lease_key(job.id), self._worker_id, nx=True, px=LEASE_MS)
            pipeline.get(lease_key(job.id))
            done, cancelled, _, owner = pipeline.execute()
        return bool(done), bool(cancelled), owner == self._worker_id.encode()

    def _refuse(self, message: str, error: WireInvalid) -> None:
        """Fail a job that cannot be read, or its client would wait until the deadline."""
        letterhead = _letterhead(message)
        log.error("job %s cannot be read: %s", letterhead.id if letterhead else "without an id", error)
        if letterhead is not None:
            failure = Failure(error.code, f"a worker cannot read the job: {error}")
            outcome = Outcome(letterhead.id, "failed", failure=failure)
            Events(self._client, letterhead, self._worker_id).send_outcome(outcome)


@dataclass(frozen=True, slots=True)
class _Letterhead:
    """Of a job that cannot be read: what tells who waits for it."""

    id: str
    reply_to: str
    deadline_unix_s: float


def _letterhead(message: str) -> _Letterhead | None:
    """``None`` if not even that can be read."""
    try:
        job = json.loads(message)["job"]
        job_id, reply_to = job["id"], job["reply_to"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    if not (isinstance(job_id, str) and isinstance(reply_to, str) and job_id):
        return None
    # To no other key than those that streams of events have: it is the message of a stranger.
    return _Letterhead(job_id, reply_to, 0.0) if reply_to.startswith(events_key("")) else None


def register(app: Celery, deliveries: Deliveries) -> None:
    """Make ``app`` take jobs."""

    @app.task(name=TASK, bind=True)
    def run_job(task: Task[Any, Any], message: str) -> None:
        with working_for(task.request.headers or {}):
            deliveries.take(message)
