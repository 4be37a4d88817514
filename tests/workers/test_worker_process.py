"""A real worker process with a real (tiny, random) model, over a real Redis: what must survive kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from celery import Celery

from router.types import Job, Outcome, Sampling, StrategySpec
from router.wire import (
    QUEUE,
    TASK,
    WORKERS,
    Event,
    broker_url,
    cancel_key,
    decode_event,
    dump_job,
    lease_key,
)
from tests.workers import jobs, tiny_model

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

WAIT_S = 40.0
CONFIG = """
models:
  tiny:
    engine: transformers
    path: {folder}
    context_tokens: {context_tokens}
    max_tokens: 8
verifiers:
  vote: {{kind: majority}}
policies:
  default: {{small: tiny, verifier: vote, usd_per_right_answer: 0.01}}
"""


class Workers:
    """Starts a worker where none is alive; ends what it started."""

    def __init__(self, config: Path, redis_url: str) -> None:
        self._command = [
            sys.executable,
            "-m",
            "workers",
            "worker",
            "--config",
            str(config),
            "--concurrency",
            "4",
        ]
        self._env = {**os.environ, "GRADUS_REDIS_URL": redis_url, "OMP_NUM_THREADS": "1"}
        self._processes: list[subprocess.Popen[str]] = []

    def alive(self) -> subprocess.Popen[str]:
        """A worker that is ready."""
        if not self._processes or self._processes[-1].poll() is not None:
            process = subprocess.Popen(self._command, env=self._env, stdout=subprocess.PIPE, text=True)
            self._processes.append(process)
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert "is ready after" in ready, f"the worker ended with {process.wait()}"
        return self._processes[-1]

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def workers(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    folder = tiny_model.build(tmp_path_factory.mktemp("tiny-model"))
    config = folder / "gradus.yaml"
    config.write_text(CONFIG.format(folder=folder, context_tokens=tiny_model.CONTEXT_TOKENS))
    started = Workers(config, redis_server)
    yield started
    started.end()


class Gateway:
    """Sends jobs and reads their events, as a gateway does."""

    def __init__(self, redis_url: str) -> None:
        self.client = redis.Redis.from_url(redis_url)
        self._celery = Celery("test", broker=broker_url(redis_url), set_as_current=False)

    def send(self, job: Job) -> None:
        self._celery.send_task(TASK, args=[dump_job(job)], queue=QUEUE, task_id=job.id, ignore_result=True)

    def events(self, job: Job) -> list[Event]:
        entries = self.client.xrange(job.reply_to) or ()
        events = [decode_event(fields or {}) for _, fields in entries]
        return [event for event in events if event.job_id == job.id]

    def outcomes(self, job: Job) -> list[Outcome]:
        return [event.outcome for event in self.events(job) if event.outcome is not None]

    def outcome(self, job: Job) -> Outcome:
        until(lambda: self.outcomes(job))
        return self.outcomes(job)[0]


@pytest.fixture
def gateway(redis_url: str) -> Iterator[Gateway]:
    gateway = Gateway(redis_url)
    yield gateway
    gateway.client.close()


def until(holds: Callable[[], object]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def quick_job(name: str) -> Job:
    plan = jobs.probing_plan(jobs.alternative(StrategySpec("majority", 6)), verifier="vote")
    return jobs.job(plan, id=name, seconds=60)


def long_job(name: str) -> Job:
    """Thousands of tokens: in a test it ends only if somebody ends it."""
    return jobs.job(jobs.direct_plan(), id=name, seconds=60, sampling=Sampling(max_tokens=4000))


def test_a_job_comes_back_as_its_outcome_with_every_token_counted(workers: Workers, gateway: Gateway) -> None:
    workers.alive()
    job = quick_job("counted")
    gateway.send(job)
    outcome = gateway.outcome(job)
    assert (outcome.status, outcome.finish_reason, outcome.samples) == ("answered", "length", 6)
    used = {line.purpose: line for line in outcome.usage}
    assert (used["probe"].calls, used["probe"].completion_tokens) == (4, 4 * 8)
    assert (used["candidate"].calls, used["candidate"].completion_tokens) == (2, 2 * 8)
    assert (
        used["probe"].prompt_tokens
        == used["candidate"].prompt_tokens
        == len("user: Calculate 3 + 4.\nassistant: ")
    )
    assert [event.type for event in gateway.events(job) if event.type != "beat"] == [
        "started",
        "progress",
        "progress",
        "outcome",
    ]


def test_jobs_of_one_worker_decode_together(workers: Workers, gateway: Gateway) -> None:
    workers.alive()
    first, second = long_job("first"), quick_job("second")
    gateway.send(first)
    until(lambda: gateway.events(first))
    gateway.send(second)
    assert gateway.outcome(second).status == "answered"
    assert gateway.outcomes(first) == []
    gateway.client.set(cancel_key(first.id), 1)
    assert gateway.outcome(first).status == "failed"


def test_a_cancelled_job_ends_soon_with_what_it_spent(workers: Workers, gateway: Gateway) -> None:
    workers.alive()
    job = replace(long_job("cancelled"), stream=True)
    gateway.send(job)
    until(lambda: any(event.type == "text" for event in gateway.events(job)))
    gateway.client.set(cancel_key(job.id), 1)
    outcome = gateway.outcome(job)
    assert outcome.failure is not None
    assert outcome.failure.code == "cancelled"
    assert 0 < outcome.usage[0].completion_tokens < 4000


def test_a_job_whose_worker_is_killed_runs_on_another_to_one_outcome(
    workers: Workers, gateway: Gateway
) -> None:
    job = replace(long_job("orphan"), query=replace(long_job("").query, sampling=Sampling(max_tokens=400)))
    doomed = workers.alive()
    gateway.send(job)
    until(lambda: gateway.events(job))
    doomed.kill()
    doomed.wait()
    workers.alive()
    until(lambda: not gateway.client.exists(lease_key(job.id)))
    gateway.send(job)
    gateway.send(job)  # and once more, for good measure
    assert gateway.outcome(job).status == "answered"
    done = quick_job("afterwards")
    gateway.send(done)
    gateway.outcome(done)
    assert len(gateway.outcomes(job)) == 1
    assert gateway.outcomes(job)[0].usage[0].completion_tokens == 400


def test_a_worker_outlives_a_redis_that_is_a_replica_for_a_moment(workers: Workers, gateway: Gateway) -> None:
    worker = workers.alive()
    until(lambda: gateway.client.info("clients")["blocked_clients"])  # it waits for jobs

    gateway.client.replicaof("127.0.0.1", "1")  # as a server that another one took over from
    gateway.client.replicaof("NO", "ONE")

    job = quick_job("after")
    gateway.send(job)
    assert gateway.outcome(job).status == "answered"
    assert worker.poll() is None


def test_a_worker_that_is_asked_to_end_finishes_its_jobs_first(workers: Workers, gateway: Gateway) -> None:
    worker = workers.alive()
    until(lambda: gateway.client.zcard(WORKERS))
    job = jobs.job(jobs.direct_plan(), id="last", seconds=60, sampling=Sampling(max_tokens=200))
    gateway.send(job)
    until(lambda: gateway.events(job))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=WAIT_S) == 0
    assert gateway.outcomes(job)[0].usage[0].completion_tokens == 200
    assert gateway.client.zcard(WORKERS) == 0


def test_a_configuration_that_is_wrong_ends_the_worker_with_the_line(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("models: {}\n")
    command = [sys.executable, "-m", "workers", "worker", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"gradus: {config}:1:")
    assert "Traceback" not in ended.stderr
