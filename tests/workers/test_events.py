"""What a running job says of itself, over a real Redis."""

from __future__ import annotations

import pytest
import redis

from router.types import Outcome
from router.wire import Event
from tests.workers.jobs import direct_plan, events_of, job
from workers import events as events_module
from workers.events import Events, done_key


def test_text_travels_by_line_not_by_token(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "FLUSH_INTERVAL_S", 3600.0)
    the_job = job(direct_plan())
    events = Events(client, the_job, "worker-a")
    for token in "3 + 4 = 7\nThe answer is 7.":
        events(Event("text", the_job.id, {"text": token}))
    events.send_outcome(Outcome(the_job.id, "answered", text="3 + 4 = 7\nThe answer is 7."))
    *texts, outcome = events_of(client, the_job)
    assert [event.data["text"] for event in texts] == ["3", " + 4 = 7\n", "The answer is 7."]
    assert outcome.type == "outcome"


def test_while_redis_is_away_text_waits_and_the_outcome_is_tried_again(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    away = _Away(client, failures=3)
    events = Events(away, the_job, "worker-a")  # type: ignore[arg-type]
    events(Event("text", the_job.id, {"text": "seven"}))
    events(Event("progress", the_job.id, {"stage": "probe", "done": 1, "total": 1}))
    assert events.send_outcome(Outcome(the_job.id, "answered", text="seven"))
    assert [event.type for event in events_of(client, the_job)] == ["text", "outcome"]
    assert client.exists(done_key(the_job.id)) == 1


def test_an_answer_that_no_json_can_hold_becomes_a_failure(client: redis.Redis) -> None:
    the_job = job(direct_plan())
    Events(client, the_job, "worker-a").send_outcome(Outcome(the_job.id, "answered", text="\ud800"))
    (event,) = events_of(client, the_job)
    assert event.outcome is not None
    assert (event.outcome.status, event.outcome.text) == ("failed", "")


class _Away:
    """A Redis whose first commands fail."""

    def __init__(self, client: redis.Redis, failures: int) -> None:
        self._client, self._failures = client, failures

    def __getattr__(self, name: str) -> object:
        if name in ("xadd", "eval") and self._failures > 0:
            self._failures -= 1
            raise redis.ConnectionError("away")
        return getattr(self._client, name)
