"""The Celery task, and what stands between a delivery and the executor: at most one run, one outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import redis
from celery import Celery

from router.errors import WireInvalid
from router.types import Failure, Job, Outcome
from router.wire import TASK, Event, cancel_key, lease_key, load_job
from workers.errors import JobCancelled
from workers.events import Events, done_key
from workers.executor import Emit
from workers.protocols import Cancellation
from workers.pulse import LEASE_MS, Pulse

log = logging.getLogger(__name__)

ANSWER_MARGIN_S: Final = 0.25
"""Generation ends this long before the job's deadline: what is there is still to be scored and to travel."""

Run = Callable[[Job, Emit, Cancellation], Outcome]
"""The executor, bound to what this worker runs."""


class Deliveries:
    """Takes jobs as the queue delivers them. Celery delivers at least once; this runs once.

    A delivery is dropped if another worker holds the job's lease, if the job has its outcome already, or if
    it cannot be read.
    """

    def __init__(self, client: redis.Redis, worker_id: str, pulse: Pulse, run: Run) -> None:
        self._client = client
        self._worker_id = worker_id
        self._pulse = pulse
        self._run = run

    def take(self, message: str) -> None:
        """Run the job of this message, if it is still to be run, and send its outcome."""
        try:
            job = load_job(message)
        except WireInvalid as error:
            log.error("a job is dropped, it cannot be read: %s", error)
            return
        done, cancelled, leased = self._claim(job)
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
        """Whether the job is done, whether it is cancelled, and whether this worker has its lease now."""
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.exists(done_key(job))
            pipeline.exists(cancel_key(job.id))
            pipeline.set(lease_key(job.id), self._worker_id, nx=True, px=LEASE_MS)
            done, cancelled, leased = pipeline.execute()
        return bool(done), bool(cancelled), bool(leased)


def register(app: Celery, deliveries: Deliveries) -> None:
    """Make ``app`` take jobs."""

    @app.task(name=TASK)
    def run_job(message: str) -> None:
        deliveries.take(message)
