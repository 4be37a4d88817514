"""Workers and clients that go away: every request ends, with an answer or a named error."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import httpx
import openai
import pytest
import redis

from router import wire
from tests.gateway.conftest import LOST_AFTER_S
from tests.gateway.doubles import PROBE, Delivery, ScriptedWorker, easy, failing
from tests.gateway.upstream import UpstreamDouble

MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]


def ask(client: openai.OpenAI, model: str = "gradus", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def refused(client: openai.OpenAI, model: str = "gradus", **options: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, model, **options)
    return caught.value


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("context_length_exceeded", 400),
        ("invalid_messages", 400),
        ("wire_invalid", 500),
        ("deadline_exceeded", 504),
        ("engine_failed", 500),
        ("model_unavailable", 503),
        ("something_new", 500),
    ],
)
def test_a_failed_job_is_its_own_error_and_says_what_it_spent(
    client: openai.OpenAI, worker: ScriptedWorker, code: str, status: int
) -> None:
    worker.script = failing(code, "this is why")

    error = refused(client)

    assert "this is why" in error.message
    assert (error.status_code, error.code) == (status, code)
    assert error.param == ("messages" if status == 400 else None)
    spent = error.response.json()["gradus"]
    assert spent["tokens"]["probe"] == PROBE.total_tokens
    assert spent["cost_usd"] == "0.00042"


def too_long(delivery: Delivery) -> None:
    """A worker whose small model cannot read the prompt after all."""
    no = failing("context_length_exceeded", "the prompt has 600 tokens, and small reads 512")
    (easy if delivery.job.escalated else no)(delivery)


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_only_a_worker_finds_too_long_goes_to_a_large_model_that_reads_more(
    url: str, worker: ScriptedWorker, upstream: UpstreamDouble, stream: bool
) -> None:
    worker.script = too_long
    body = {"model": "gradus/remote", "messages": MESSAGES, "stream": stream}

    text = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30).text

    if stream:
        assert text.endswith("data: [DONE]\n\n")
        text = text.strip().split("\n\n")[-2].removeprefix("data: ")
    said = json.loads(text)["gradus"]
    assert (said["route"], said["model"], said["bin"]) == ("large", "remote", None)
    assert "600 tokens" in said["notice"]
    assert (said["tokens"]["probe"], said["tokens"]["escalation"]) == (PROBE.total_tokens, 18)


def test_a_prompt_too_long_for_the_small_model_goes_to_a_large_one_in_a_worker(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    worker.script = too_long

    answer = ask(client, "gradus/longer")

    assert answer.choices[0].message.content
    assert [branch.chosen.model for branch in worker.jobs[1].plan.branches] == ["longer"]
    assert answer.model_extra["gradus"]["tokens"]["escalation"] == 40


@pytest.mark.parametrize("model", ["gradus", "gradus/alone", "gradus/longer-capped", "small"])
def test_a_prompt_too_long_is_refused_where_no_allowed_model_reads_more(
    client: openai.OpenAI, worker: ScriptedWorker, upstream: UpstreamDouble, model: str
) -> None:
    worker.script = too_long

    error = refused(client, model)

    assert (error.status_code, error.code) == (400, "context_length_exceeded")
    assert (len(worker.jobs), len(upstream.bodies)) == (1, 0)


def test_a_prompt_too_long_for_the_larger_model_too_is_refused(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    worker.script = failing("context_length_exceeded", "too long")

    assert refused(client, "gradus/longer").code == "context_length_exceeded"
    assert [job.escalated for job in worker.jobs] == [False, True]


def test_a_silent_worker_is_lost_and_the_job_is_sent_once_more(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    def dies_once(delivery: Delivery) -> None:
        if len(worker.jobs) > 1:
            easy(delivery)
        else:
            delivery.start()

    worker.script = dies_once

    answer = ask(client)

    assert answer.choices[0].message.content
    assert len(worker.jobs) == 2
    assert worker.jobs[0] == worker.jobs[1]
    assert "consumed is not in the cost" in answer.model_extra["gradus"]["notice"]


def test_a_job_lost_twice_is_an_error_that_says_when_to_ask_again(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    worker.script = Delivery.start

    error = refused(client)

    assert (error.status_code, error.code) == (503, "worker_lost")
    assert float(error.response.headers["retry-after"]) > 0
    assert len(worker.jobs) == 2


def test_a_quiet_worker_that_holds_its_lease_is_not_lost(
    client: openai.OpenAI, worker: ScriptedWorker, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as lease:

        def quiet(delivery: Delivery) -> None:
            key = wire.lease_key(delivery.job.id)
            lease.set(key, "w1")
            delivery.start()
            threading.Event().wait(2 * LOST_AFTER_S)
            easy(delivery)

        worker.script = quiet

        assert ask(client).choices[0].message.content

    assert len(worker.jobs) == 1


def test_a_stream_that_said_something_is_not_started_again(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    def dies_speaking(delivery: Delivery) -> None:
        delivery.start()
        delivery.say("3 + 4 = ")

    worker.script = dies_speaking

    with pytest.raises(openai.APIError, match="is gone"):
        list(ask(client, "big", stream=True))

    assert len(worker.jobs) == 1


def test_a_failure_in_mid_stream_is_the_last_event(url: str, worker: ScriptedWorker) -> None:
    worker.script = failing("engine_failed", "out of memory")

    body = {"model": "gradus", "messages": MESSAGES, "stream": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]

    last = json.loads(events[-1])
    assert answer.status_code == 200
    assert last["error"]["code"] == "engine_failed"
    assert last["gradus"]["tokens"]["probe"] == PROBE.total_tokens


@pytest.mark.parametrize("model", ["gradus", "gradus/alone", "small"])
def test_without_a_worker_a_search_is_refused_for_now_and_says_what_to_do(
    client: openai.OpenAI, model: str
) -> None:
    error = refused(client, model)

    assert (error.status_code, error.code) == (503, "no_worker")
    assert "gradus worker" in error.message
    assert error.response.headers["x-should-retry"] == "true"
    assert float(error.response.headers["retry-after"]) > 0


def test_without_a_worker_a_policy_may_wait_until_the_deadline(client: openai.OpenAI) -> None:
    error = refused(client, "gradus/patient")

    assert (error.status_code, error.code) == (504, "deadline_exceeded")
    assert "gradus worker" in error.message
    assert error.response.headers["x-should-retry"] == "false"


def test_without_a_worker_a_large_model_behind_a_server_answers(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    gradus = ask(client, "gradus/remote").model_extra["gradus"]

    assert (gradus["route"], gradus["model"]) == ("large", "remote")
    assert "No live worker runs small" in gradus["notice"]


def test_a_queue_that_is_too_long_takes_no_more_jobs(
    client: openai.OpenAI, upstream: UpstreamDouble, redis_url: str
) -> None:
    ScriptedWorker(redis_url).announce("small")  # a live one, which takes nothing
    with redis.Redis.from_url(redis_url) as queue:
        queue.rpush(wire.QUEUE, *range(100))

    error = refused(client, "gradus/alone")
    gradus = ask(client, "gradus/remote").model_extra["gradus"]

    assert (error.status_code, error.code) == (503, "queue_full")
    assert "jobs wait" in gradus["notice"]


def test_a_worker_that_is_too_slow_meets_the_deadline_and_a_cancel(
    client: openai.OpenAI, worker: ScriptedWorker
) -> None:
    cancelled = threading.Event()

    def slow(delivery: Delivery) -> None:
        delivery.start()
        stop = threading.Event()
        while not cancelled.is_set() and not stop.wait(0.1):
            delivery.emit(wire.Event("beat", delivery.job.id))
            if delivery._client.exists(wire.cancel_key(delivery.job.id)):
                cancelled.set()

    worker.script = slow

    error = refused(client, "gradus/hasty")

    assert (error.status_code, error.code) == (504, "deadline_exceeded")
    assert cancelled.wait(5)


def test_a_job_must_end_before_its_client_gives_up(client: openai.OpenAI, worker: ScriptedWorker) -> None:
    before_unix_s = time.time()

    ask(client)

    deadline_s = 60  # of the policy
    assert worker.jobs[0].deadline_unix_s < before_unix_s + deadline_s


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_cancels_its_job(url: str, worker: ScriptedWorker, stream: bool) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def waits(delivery: Delivery) -> None:
        delivery.start()
        begun.set()
        delivery.wait_for_cancel()
        cancelled.set()

    worker.script = waits

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            body = {"model": "gradus", "messages": MESSAGES, "stream": stream}
            asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
            await asyncio.to_thread(begun.wait, 10)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(leave())
    assert cancelled.wait(10)
