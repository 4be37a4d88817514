"""A worker behind the real queue that plays scripts, and gateways on ports of their own."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import redis
import uvicorn
from kombu import Connection
from kombu.exceptions import OperationalError
from starlette.types import ASGIApp

from cost_model.usage import Purpose, Usage
from router import wire
from router.replanning import replan
from router.types import Decision, Evidence, Failure, Job, Outcome
from router.wire import Event

GIVE_UP_S = 30.0
OK = 200

PROBE = Usage("probe", "small", calls=4, prompt_tokens=20, completion_tokens=200, seconds=0.1)
JUDGED = Usage("verifier", "prm", calls=4, prompt_tokens=300, seconds=0.1)


@contextmanager
def serving(app: ASGIApp, **options: Any) -> Iterator[str]:
    """The application on a real port of its own; its URL. ``options`` are uvicorn's."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    assert server.started, "the application did not start"
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(GIVE_UP_S)


def until(true: Callable[[], object]) -> None:
    """Wait for what another thread or process does; fails after a while."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while not true():
        assert time.monotonic() < give_up_s, "it did not happen"
        time.sleep(0.005)


class Delivery:
    """A job that reached the worker, and what it can do with it."""

    def __init__(self, job: Job, client: redis.Redis) -> None:
        self.job = job
        self._client = client

    def emit(self, event: Event) -> None:
        self._client.xadd(self.job.reply_to, wire.encode_event(event))  # type: ignore[arg-type]

    def start(self) -> None:
        self.emit(Event("started", self.job.id, {"worker": "w1"}))

    def progress(self, stage: str, done: int, total: int) -> None:
        self.emit(Event("progress", self.job.id, {"stage": stage, "done": done, "total": total}))

    def say(self, text: str) -> None:
        self.emit(Event("text", self.job.id, {"text": text}))

    def end(self, outcome: Outcome) -> None:
        self.emit(Event("outcome", self.job.id, outcome=outcome))

    def decide(self, p_right: float) -> Decision:
        """What a probe with this mean score leads to."""
        last = len(self.job.plan.stages) - 1
        decision = replan(self.job.plan, last, Evidence((p_right,) * 4, ("7",) * 4))
        assert decision is not None
        return decision

    def wait_for_cancel(self) -> None:
        until(lambda: self._client.exists(wire.cancel_key(self.job.id)))


Script = Callable[[Delivery], None]


def search(delivery: Delivery, p_right: float = 0.9, text: str = "3 + 4 = 7\nThe answer is 7.") -> None:
    """A worker that probes, and answers or escalates as the plan says; direct plans it just answers."""
    delivery.start()
    job = delivery.job
    if not job.plan.probe_samples:
        model = job.plan.branches[0].chosen.model
        purpose: Purpose = "escalation" if job.escalated else "direct"
        if job.stream:
            for line in text.splitlines(keepends=True):
                delivery.say(line)
        delivery.end(
            Outcome(
                job.id,
                "answered",
                text=text,
                samples=1,
                usage=(Usage(purpose, model, 1, 10, 30, seconds=0.2),),
                stages_s={"search": 0.2},
            )
        )
        return
    delivery.progress("probe", 4, 4)
    decision = delivery.decide(p_right)
    escalates = decision.branch.chosen.route == "large"
    answer = Outcome(
        job.id,
        "answered",
        decision=decision,
        text=text,
        samples=8,
        confidence=0.75,
        usage=(PROBE, JUDGED, Usage("candidate", "small", 4, 20, 180, seconds=0.1)),
        stages_s={"probe": 0.1, "search": 0.1},
    )
    if escalates:
        answer = replace(
            answer, status="escalate", text="", samples=4, confidence=None, usage=(PROBE, JUDGED)
        )
    delivery.end(answer)


def easy(delivery: Delivery) -> None:
    search(delivery, 0.9)


def hard(delivery: Delivery) -> None:
    search(delivery, 0.05)


def failing(code: str, message: str) -> Script:
    def fail(delivery: Delivery) -> None:
        delivery.start()
        delivery.end(Outcome(delivery.job.id, "failed", usage=(PROBE,), failure=Failure(code, message)))

    return fail


class ScriptedWorker:
    """Takes jobs off the real queue as a worker does, each in a thread, and plays ``script``."""

    def __init__(self, redis_url: str) -> None:
        self.script: Script = easy
        self.models: tuple[str, ...] = ("small", "big", "longer", "served")
        self.jobs: list[Job] = []
        self.headers: list[Mapping[str, Any]] = []
        self._url = redis_url
        self._client = redis.Redis.from_url(redis_url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def announce(self, *models: str) -> None:
        """Say that this runs here and nothing else, as a live worker does every second."""
        self.models = models
        presence = {"models": list(models), "pid": 1, "threads": 8}
        self._client.set(wire.worker_key("w1"), json.dumps(presence))
        self._client.zadd(wire.WORKERS, {"w1": time.time() + 3600})

    def __enter__(self) -> ScriptedWorker:
        self.announce(*self.models)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OperationalError), Connection(wire.broker_url(self._url)) as connection:
            connection.SimpleQueue(wire.QUEUE, serializer="json").put({})  # wakes it up
        self._thread.join(GIVE_UP_S)
        with contextlib.suppress(redis.ConnectionError):
            self._client.delete(wire.QUEUE)  # it may have ended without what was to wake it up
        self._client.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._consume()
            except (redis.ConnectionError, OSError):
                time.sleep(0.05)  # a test stopped Redis

    def _consume(self) -> None:
        if not self._client.exists(wire.WORKERS):
            self.announce(*self.models)
        with Connection(wire.broker_url(self._url)) as connection:
            jobs = connection.SimpleQueue(wire.QUEUE, serializer="json")
            while not self._stopping.is_set():
                try:
                    message = jobs.get(timeout=1)
                except queue.Empty:
                    continue
                message.ack()
                if self._stopping.is_set():
                    return
                job = wire.load_job(message.payload[0][0])
                self.jobs.append(job)
                self.headers.append(message.headers)
                threading.Thread(target=self.script, args=(Delivery(job, self._client),), daemon=True).start()
