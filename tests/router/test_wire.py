"""What crosses the queue: round trips, a snapshot, and the refusal of everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cost_model.usage import Usage
from router import wire
from router.errors import WireInvalid
from router.types import (
    Alternative,
    Bin,
    Branch,
    Decision,
    Difficulty,
    Evidence,
    Failure,
    Job,
    Outcome,
    Plan,
    ProbeStage,
    Query,
    Reading,
    Sampling,
    Stopping,
    StrategySpec,
    Task,
    Worth,
)
from tests.router.messages import jobs, outcomes

SEARCH = Alternative(
    route="small",
    model="tiny",
    strategy=StrategySpec("beam", 16, lookahead_steps=2, stopping=Stopping("window", window=4)),
    accuracy=0.7,
    accuracy_source="measured",
    expected_cost_usd=Decimal("0.000020"),
    worst_case_cost_usd=None,
    expected_flops=1.5e9,
    token_cap=1600,
)
READINGS = (Reading(1.5, (0.5,)),)
BRANCH = Branch(Bin.HARD, SEARCH, (), "hard: worth it", "told to the client", 0.15, 0.35, READINGS)
STAGE = ProbeStage(16, (BRANCH,), Reading(-0.5, (1.25, 0.0)))
WORTH = Worth(0.05, 0.75)
PLAN = Plan("default", "tiny", "prm", (STAGE,), Decimal("1E-7"), Decimal("0.00002"), None, 0.4, 0.6, WORTH)
JOB = Job(
    id="j1",
    reply_to="gradus:events:g1",
    query=Query(
        ({"role": "user", "content": "2 + 2 = ? \N{ABACUS}"},),
        Sampling(max_tokens=64, temperature=0.5, stop=("\n\n",), seed=7),
        ("tools",),
        {"user": "ada", "deep": {"list": [1, 2.5, None, True]}},
        Task("code", entry_point="add", cases=((1, 2), (3, [4.5])), tests="assert add(1, 2) == 3"),
    ),
    plan=PLAN,
    deadline_unix_s=1_800_000_000.25,
    stream=True,
    cache_scope="key:k1",
)
OUTCOME = Outcome(
    "j1",
    "answered",
    Decision(
        Difficulty(0.25, Bin.HARD, 16, 0.5),
        BRANCH,
        Evidence((0.25, 0.5), ("4", None), ((0.5, 0.25), ()), (12, 30), ("stop", "length")),
    ),
    text="The answer is 4.",
    samples=16,
    confidence=0.9,
    usage=(Usage("probe", "tiny", 16, 9, 640, 4, 40, 0.5, 1e9, Decimal("0.01")),),
    stages_s={"probe": 0.5},
    failure=Failure("worker_error", "it broke"),
    notice="mind this",
    broken_off=True,
)


@given(jobs)
def test_a_job_arrives_as_it_was_sent(job: Job) -> None:
    assert wire.load_job(wire.dump_job(job)) == job


@given(outcomes)
def test_an_outcome_arrives_as_it_was_sent(outcome: Outcome) -> None:
    assert wire.load_outcome(wire.dump_outcome(outcome).encode()) == outcome


@pytest.mark.parametrize("name", ["job", "outcome"])
def test_the_json_is_the_snapshot_so_whoever_changes_it_raises_the_version(name: str) -> None:
    text = wire.dump_job(JOB) if name == "job" else wire.dump_outcome(OUTCOME)
    snapshot = Path(__file__).parent / "snapshots" / f"{name}.v{wire.VERSION}.json"
    assert json.loads(text) == json.loads(snapshot.read_text("utf-8"))


@pytest.mark.parametrize("name", ["job", "outcome"])
def test_the_snapshot_can_be_read(name: str) -> None:
    text = (Path(__file__).parent / "snapshots" / f"{name}.v{wire.VERSION}.json").read_text("utf-8")
    if name == "job":
        assert wire.load_job(text) == JOB
    else:
        assert wire.load_outcome(text) == OUTCOME


def test_money_travels_as_text() -> None:
    chosen = json.loads(wire.dump_job(JOB))["job"]["plan"]["stages"][0]["branches"][0]["chosen"]
    assert chosen["expected_cost_usd"] == "0.000020"
    assert chosen["worst_case_cost_usd"] is None


def _changed(change: Callable[[dict[str, Any]], object]) -> str:
    message = json.loads(wire.dump_job(JOB))
    change(message)
    return json.dumps(message)


@pytest.mark.parametrize("version", [0, 1, 3, "4", None])
def test_another_version_is_refused_and_says_what_to_do(version: object) -> None:
    message = _changed(lambda job: job.update(version=version))
    with pytest.raises(
        WireInvalid, match="this process reads version 5: run gateway and workers from the same"
    ):
        wire.load_job(message)


REFUSED: dict[str, Callable[[dict[str, Any]], object]] = {
    "no version": lambda m: m.pop("version"),
    "an unknown field beside the job": lambda m: m.update(extra=1),
    "an unknown field of the job": lambda m: m["job"].update(priority=1),
    "an unknown field deep inside": lambda m: m["job"]["plan"]["stages"][0]["branches"][0]["chosen"].update(
        luck=1
    ),
    "a missing field": lambda m: m["job"].pop("query"),
    "a number as text": lambda m: m["job"].update(deadline_unix_s="1"),
    "a truth as number": lambda m: m["job"].update(stream=1),
    "an unknown bin": lambda m: m["job"]["plan"]["stages"][0]["branches"][0].update(difficulty_bin="trivial"),
    "an unknown route": lambda m: m["job"]["plan"]["stages"][0]["branches"][0]["chosen"].update(
        route="medium"
    ),
    "an impossible strategy": lambda m: m["job"]["plan"]["stages"][0]["branches"][0]["chosen"][
        "strategy"
    ].update(samples=0),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=list(REFUSED))
def test_a_message_that_is_not_exactly_right_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(WireInvalid):
        wire.load_job(_changed(change))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"job"', b"\xff"])
def test_what_is_no_message_is_refused(text: str | bytes) -> None:
    with pytest.raises(WireInvalid):
        wire.load_job(text)


def test_an_error_names_the_field() -> None:
    message = _changed(lambda job: job["job"]["query"].update(needs=3))
    with pytest.raises(WireInvalid, match=r"job message is not valid: job\.query\.needs: "):
        wire.load_job(message)


def test_half_a_character_is_refused_before_it_is_sent() -> None:
    query = Query(({"role": "user", "content": "\ud800"},))
    with pytest.raises(WireInvalid, match="not writable as JSON"):
        wire.dump_job(Job("j", "r", query, PLAN, 1.0))


EVENTS = [
    wire.Event("started", "j1", {"worker": "w1"}),
    wire.Event("text", "j1", {"text": "é\n"}),
    wire.Event("progress", "j1", {"stage": "probe", "done": 3, "total": 16}),
    wire.Event("beat", "j1"),
    wire.Event("outcome", "j1", outcome=OUTCOME),
]


@pytest.mark.parametrize("event", EVENTS, ids=[event.type for event in EVENTS])
def test_an_event_arrives_as_it_was_sent_whether_redis_answers_text_or_bytes(event: wire.Event) -> None:
    fields = wire.encode_event(event)
    assert wire.decode_event(fields) == event
    assert wire.decode_event({k.encode(): v.encode() for k, v in fields.items()}) == event


@pytest.mark.parametrize(
    "change",
    [{"v": "1"}, {"type": "news"}, {"data": "{"}, {"data": "[]"}, {"type": "outcome", "data": "{}"}],
    ids=lambda change: "+".join(change),
)
def test_an_event_that_is_not_right_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(WireInvalid):
        wire.decode_event({**wire.encode_event(EVENTS[1]), **change})


def test_an_event_without_its_fields_is_refused() -> None:
    with pytest.raises(WireInvalid, match="an entry has v, job, type and data"):
        wire.decode_event({"v": "2"})


def test_an_outcome_belongs_to_outcome_events_only() -> None:
    with pytest.raises(ValueError, match="belongs to outcome events"):
        wire.Event("beat", "j1", outcome=OUTCOME)
    with pytest.raises(ValueError, match="belongs to outcome events"):
        wire.Event("outcome", "j1")


@pytest.mark.parametrize(
    ("redis_url", "broker_url"),
    [
        ("unix:///run/gradus/redis.sock", "redis+socket:///run/gradus/redis.sock"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("redis://queue:6379/1", "redis://queue:6379/1"),
        ("rediss://queue:6380", "rediss://queue:6380"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
    ],
)
def test_redis_urls_become_celery_s(redis_url: str, broker_url: str) -> None:
    assert wire.broker_url(redis_url) == broker_url


def test_what_is_no_redis_url_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Redis URL: 'localhost'"):
        wire.broker_url("localhost")


def test_keys_of_different_kinds_and_jobs_never_meet() -> None:
    makers = (wire.events_key, wire.cancel_key, wire.lease_key, wire.worker_key)
    assert len({make(name) for make in makers for name in ("a", "b")}) == 8
