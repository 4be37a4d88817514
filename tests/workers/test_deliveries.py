"""What stands between the queue and the executor, over a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from cost_model.usage import Usage
from router.types import Job, Outcome
from router.wire import VERSION, Event, cancel_key, dump_job, lease_key, worker_key
from tests.workers.jobs import direct_plan, events_of, job
from workers import pulse as pulse_module
from workers.events import Events
from workers.executor import Emit
from workers.protocols import Cancellation
from workers.pulse import Pulse
from workers.tasks import Deliveries, Run

WAIT_S = 30.0


@pytest.fixture(autouse=True)
def quick_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_module, "BEAT_S", 0.02)
    monkeypatch.setattr(pulse_module, "CANCEL_INTERVAL_S", 0.02)


def answers(the_job: Job, emit: Emit, _cancellation: Cancellation) -> Outcome:
    emit(Event("text", the_job.id, {"text": "seven"}))
    return Outcome(the_job.id, "answered", text="seven", usage=(Usage("direct", "tiny", 1, 2, 3),))


def waits_for_cancel(the_job: Job, _emit: Emit, cancellation: Cancellation) -> Outcome:
    _until(lambda: cancellation.cancelled)
    return Outcome(the_job.id, "failed")


@contextmanager
def worker(client: redis.Redis, run: Run, worker_id: str = "worker-a") -> Iterator[Deliveries]:
    with Pulse(client, worker_id, {"models": ["tiny"]}) as pulse:
        yield Deliveries(client, worker_id, pulse, run)


def _until(holds: Callable[[], object]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.005)


def test_a_job_starts_speaks_and_ends_with_its_outcome(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    with worker(client, answers) as deliveries:
        deliveries.take(dump_job(the_job))
    started, text, outcome = events_of(client, the_job)
    assert started == Event("started", "job-1", {"worker": "worker-a"})
    assert text.data == {"text": "seven"}
    assert outcome.outcome is not None
    assert outcome.outcome.usage == (Usage("direct", "tiny", 1, 2, 3),)
    assert client.exists(lease_key("job-1")) == 0


def test_a_job_that_has_its_outcome_does_not_run_again(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    with worker(client, answers) as deliveries:
        deliveries.take(dump_job(the_job))
        deliveries.take(dump_job(the_job))
    assert [event.type for event in events_of(client, the_job)] == ["started", "text", "outcome"]


def test_a_job_that_another_worker_runs_is_dropped(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    client.set(lease_key(the_job.id), "worker-b")
    with worker(client, answers) as deliveries:
        deliveries.take(dump_job(the_job))
    assert events_of(client, the_job) == []
    assert client.get(lease_key(the_job.id)) == b"worker-b"


def test_a_job_whose_client_left_while_it_waited_does_not_run(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    client.set(cancel_key(the_job.id), 1)
    with worker(client, answers) as deliveries:
        deliveries.take(dump_job(the_job))
    (event,) = events_of(client, the_job)
    assert event.outcome is not None
    assert event.outcome.failure is not None
    assert event.outcome.failure.code == "cancelled"


def test_a_running_job_hears_that_its_client_left(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    with worker(client, waits_for_cancel) as deliveries:
        thread = threading.Thread(target=deliveries.take, args=(dump_job(the_job),))
        thread.start()
        _until(lambda: events_of(client, the_job))
        client.set(cancel_key(the_job.id), 1)
        thread.join(WAIT_S)
    assert [event.type for event in events_of(client, the_job)] == ["started", "outcome"]


def test_a_running_job_beats_and_keeps_its_lease(client: redis.Redis) -> None:
    the_job = job(direct_plan())

    def lets_the_lease_run_out(same: Job, _emit: Emit, _cancellation: Cancellation) -> Outcome:
        client.delete(lease_key(same.id))
        _until(lambda: client.get(lease_key(same.id)) == b"worker-a")
        _until(lambda: sum(event.type == "beat" for event in events_of(client, same, beats=True)) > 2)
        return Outcome(same.id, "answered", text="seven")

    with worker(client, lets_the_lease_run_out) as deliveries:
        deliveries.take(dump_job(the_job))
    assert [event.type for event in events_of(client, the_job)] == ["started", "outcome"]


def test_a_worker_that_lost_its_lease_stops_and_says_nothing(client: redis.Redis) -> None:
    the_job = job(direct_plan())

    def is_overtaken(same: Job, _emit: Emit, cancellation: Cancellation) -> Outcome:
        client.set(lease_key(same.id), "worker-b")
        _until(lambda: cancellation.cancelled)
        return Outcome(same.id, "answered", text="too late")

    with worker(client, is_overtaken) as deliveries:
        deliveries.take(dump_job(the_job))
    assert "outcome" not in [event.type for event in events_of(client, the_job)]
    assert client.get(lease_key(the_job.id)) == b"worker-b"


def test_of_two_workers_that_ran_a_job_only_the_first_answers(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    first, second = (Events(client, the_job, worker_id) for worker_id in ("worker-a", "worker-b"))
    assert first.send_outcome(Outcome(the_job.id, "answered", text="7"))
    assert not second.send_outcome(Outcome(the_job.id, "answered", text="8"))
    (event,) = events_of(client, the_job)
    assert event.outcome is not None
    assert event.outcome.text == "7"


def test_the_deadline_of_the_job_reaches_the_executor_a_little_early(client: redis.Redis) -> None:
    seen: list[float] = []

    def looks_at_the_clock(same: Job, _emit: Emit, cancellation: Cancellation) -> Outcome:
        assert cancellation.deadline_monotonic_s is not None
        seen.append(cancellation.deadline_monotonic_s - time.monotonic())
        return Outcome(same.id, "answered")

    with worker(client, looks_at_the_clock) as deliveries:
        deliveries.take(dump_job(job(direct_plan(), seconds=1000)))
    assert 990 < seen[0] < 1000


@pytest.mark.parametrize(
    ("written", "changed"), [(f'"version":{VERSION}', '"version":1'), ('"stream":false', '"steam":false')]
)
def test_a_job_that_cannot_be_read_fails_and_is_not_guessed(
    client: redis.Redis, written: str, changed: str
) -> None:
    the_job = job(direct_plan())
    with worker(client, answers) as deliveries:
        deliveries.take(dump_job(the_job).replace(written, changed))
    (event,) = events_of(client, the_job)
    assert event.outcome is not None
    assert event.outcome.failure is not None
    assert event.outcome.failure.code == "wire_invalid"
    assert "cannot read the job" in event.outcome.failure.message


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "7",
        "[" * 100_000,
        '{"job": []}',
        '{"job": {"id": "job-1"}}',
        '{"job": {"id": 1, "reply_to": "gradus:events:test"}}',
        '{"job": {"id": "job-1", "reply_to": "gradus:worker:a"}}',
    ],
)
def test_a_message_that_names_nobody_who_waits_is_dropped(client: redis.Redis, message: str) -> None:
    before = set(client.keys("gradus:*"))
    with worker(client, answers) as deliveries:
        deliveries.take(message)
    assert set(client.keys("gradus:*")) <= before


@pytest.mark.parametrize("reply_is_lost", [False, True])
def test_a_job_is_claimed_though_redis_is_away_for_a_moment(client: redis.Redis, reply_is_lost: bool) -> None:
    the_job = job(direct_plan())
    away = _NoClaims(client, failures=2, reply_is_lost=reply_is_lost)
    with worker(client, answers) as deliveries:
        deliveries._client = away  # type: ignore[assignment]
        deliveries.take(dump_job(the_job))
    assert [event.type for event in events_of(client, the_job)] == ["started", "text", "outcome"]


def test_a_job_that_cannot_be_claimed_before_its_deadline_is_given_up(client: redis.Redis) -> None:
    the_job = job(direct_plan(), seconds=0.1)
    away = _NoClaims(client, failures=1000, reply_is_lost=False)
    with worker(client, answers) as deliveries:
        deliveries._client = away  # type: ignore[assignment]
        deliveries.take(dump_job(the_job))
    assert events_of(client, the_job) == []


def test_a_job_that_is_delivered_again_while_it_runs_here_is_dropped(client: redis.Redis) -> None:
    the_job = job(direct_plan())

    def hears_of_it_again(same: Job, emit: Emit, cancellation: Cancellation) -> Outcome:
        deliveries.take(dump_job(same))
        return answers(same, emit, cancellation)

    with worker(client, hears_of_it_again) as deliveries:
        deliveries.take(dump_job(the_job))
    assert [event.type for event in events_of(client, the_job)] == ["started", "text", "outcome"]


def test_a_worker_is_present_while_it_takes_jobs(client: redis.Redis) -> None:
    with worker(client, answers):
        _until(lambda: client.get(worker_key("worker-a")) == b'{"models": ["tiny"]}')
        assert 0 < client.pttl(worker_key("worker-a")) <= 5000
    assert client.exists(worker_key("worker-a")) == 0


class _NoClaims:
    """A Redis whose first transactions fail, before or after they had their effect."""

    def __init__(self, client: redis.Redis, failures: int, *, reply_is_lost: bool) -> None:
        self._client, self._failures, self._reply_is_lost = client, failures, reply_is_lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    @contextmanager
    def pipeline(self, transaction: bool) -> Iterator[object]:
        with self._client.pipeline(transaction=transaction) as pipeline:
            if self._failures == 0:
                yield pipeline
                return
            self._failures -= 1
            execute = pipeline.execute

            def fail() -> None:
                if self._reply_is_lost:
                    execute()
                raise redis.ConnectionError("away")

            pipeline.execute = fail  # type: ignore[assignment]
            yield pipeline
