"""Servers of large models that fail: named errors, the right status, and nothing asked again in secret."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import PROBE, ScriptedWorker, hard, until
from tests.gateway.upstream import CHUNKS, UpstreamDouble

MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]


def ask(client: openai.OpenAI, model: str = "gradus", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def refused(client: openai.OpenAI, model: str = "gradus", **options: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, model, **options)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["remote", "lite"])
def test_a_client_that_leaves_closes_the_connection_to_the_server(
    url: str, upstream: UpstreamDouble, model: str, stream: bool
) -> None:
    httpx.post(f"{url}/v1/chat/completions", json={"model": model, "messages": MESSAGES}, timeout=60)
    upstream.bodies.clear()  # the first request imports litellm, which takes seconds
    upstream.hangs = True

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            body = {"model": model, "messages": MESSAGES, "stream": stream}
            asking = asyncio.create_task(http.post("/v1/chat/completions", json=body))
            await asyncio.to_thread(until, lambda: upstream.bodies)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(leave())
    assert upstream.closed.wait(10)


@pytest.mark.parametrize(
    ("theirs", "ours", "code"),
    [
        (400, 400, "bad_thing"),
        (422, 422, "bad_thing"),
        (401, 502, "upstream_unusable"),
        (403, 502, "upstream_unusable"),
        (404, 502, "upstream_unusable"),
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "upstream_failed"),
        (503, 502, "upstream_failed"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["remote", "lite"])
def test_a_servers_error_is_passed_on_as_what_it_means_here(
    client: openai.OpenAI,
    upstream: UpstreamDouble,
    model: str,
    theirs: int,
    ours: int,
    code: str,
    stream: bool,
) -> None:
    upstream.status = theirs
    upstream.answer = {"error": {"message": "because", "type": "x", "code": "bad_thing", "param": "top_k"}}
    upstream.headers = {"retry-after": "7"}

    error = refused(client, model, stream=stream)

    assert error.status_code == ours
    assert error.response.headers["x-should-retry"] == ("true" if theirs in (429, 500, 503) else "false")
    if model == "remote" or ours != 400:  # litellm has codes of its own
        assert error.code == code
    assert f"'{model}'" in error.message
    if theirs == 401:
        assert ("REMOTE_KEY" if model == "remote" else "LITE_KEY") in error.message
        assert "key-1" not in error.message
        assert "key-2" not in error.message
    else:
        assert "because" in error.message
    if model == "remote" and theirs == 429:
        assert error.response.headers["retry-after"] == "7"
    assert len(upstream.bodies) == 1  # nobody asked again in secret


def test_a_server_that_answers_nonsense_is_named(client: openai.OpenAI, upstream: UpstreamDouble) -> None:
    upstream.answer = ["what?"]

    error = refused(client, "remote")

    assert (error.status_code, error.code) == (502, "upstream_failed")


@pytest.mark.parametrize("model", ["remote", "lite"])
def test_a_server_that_breaks_off_is_a_last_event(
    client: openai.OpenAI, upstream: UpstreamDouble, model: str
) -> None:
    upstream.chunks = (*CHUNKS[:2], {"error": {"message": "overloaded"}})

    with pytest.raises(openai.APIError, match="overloaded") as caught:
        list(ask(client, model, stream=True))

    assert caught.value.code == "upstream_failed"


def test_a_stream_that_ends_without_saying_so_is_no_complete_answer(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    upstream.chunks, upstream.done = CHUNKS[:3], ""

    with pytest.raises(openai.APIError, match="broke off") as caught:
        list(ask(client, "remote", stream=True))

    assert caught.value.code == "upstream_failed"


@pytest.mark.parametrize(
    ("chunks", "done"), [(CHUNKS, ""), (CHUNKS[:3], "data: [DONE]"), (CHUNKS[:3], "data: [DONE]\n\n")]
)
def test_a_stream_that_said_either_that_it_finished_or_that_it_is_done_is_complete(
    client: openai.OpenAI, upstream: UpstreamDouble, chunks: tuple[Any, ...], done: str
) -> None:
    upstream.chunks, upstream.done = chunks, done

    said = list(ask(client, "remote", stream=True))

    assert "".join(each.choices[0].delta.content or "" for each in said if each.choices) == "The answer is 7."


def test_a_server_that_hangs_meets_the_deadline(client: openai.OpenAI, upstream: UpstreamDouble) -> None:
    upstream.hangs = True
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]  # straight to the server

    error = refused(client, "gradus/hasty", tools=tools)

    assert (error.status_code, error.code) == (504, "deadline_exceeded")
    assert upstream.closed.wait(10)
    spent = error.response.json()["gradus"]
    (line,) = spent["lines"]
    assert (line["purpose"], line["model"], line["calls"]) == ("direct", "remote", 1)
    assert line["prompt_tokens"] > 0
    assert (line["cost_usd"], spent["cost_usd"], spent["flops"]) == (None, None, None)
    assert "unknown" in spent["notice"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_refuses_is_not_on_the_bill(
    client: openai.OpenAI, upstream: UpstreamDouble, stream: bool
) -> None:
    upstream.status, upstream.answer = 500, {"error": {"message": "because"}}

    assert "gradus" not in refused(client, "remote", stream=stream).response.json()


@pytest.mark.parametrize(
    ("unasked", "effort", "thinks"),
    [(False, {}, False), (False, {"reasoning_effort": "high"}, True), (True, {}, True)],
)
def test_a_stream_that_broke_off_costs_what_was_heard_of_it_unless_it_thought_unheard(
    configure: Configure,
    start: Start,
    upstream: UpstreamDouble,
    unasked: bool,
    effort: dict[str, str],
    thinks: bool,
) -> None:
    url = start(configure(GRADUS__MODELS__REMOTE__THINKS=str(unasked).lower()))
    upstream.chunks, upstream.done = CHUNKS[:3], ""

    body = {"model": "remote", "messages": MESSAGES, "stream": True, **effort}
    last = httpx.post(f"{url}/v1/chat/completions", json=body).text.strip().split("\n\n")[-1]

    spent = json.loads(last.removeprefix("data: "))["gradus"]
    assert spent["tokens"]["direct"] > 0
    assert (spent["cost_usd"] is None) == thinks
    assert ("unknown" if thinks else "estimate") in spent["notice"]


def test_an_unreachable_server_is_named(configure: Configure, start: Start, worker: ScriptedWorker) -> None:
    url = start(configure(GRADUS__MODELS__REMOTE__BASE_URL="http://127.0.0.1:9/v1"))
    worker.script = hard
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        error = refused(client, "gradus/remote")

    assert (error.status_code, error.code) == (502, "upstream_failed")
    assert "'remote'" in error.message
    assert error.response.json()["gradus"]["tokens"]["probe"] == PROBE.total_tokens


@pytest.mark.parametrize(("model", "variable"), [("remote", "REMOTE_KEY"), ("lite", "LITE_KEY")])
def test_a_missing_key_is_named_at_request_time(
    configure: Configure,
    start: Start,
    upstream: UpstreamDouble,
    model: str,
    variable: str,
) -> None:
    url = start(configure(**{variable: ""}))
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        error = refused(client, model)

    assert error.code == "api_key_missing"
    assert variable in error.message
    assert upstream.bodies == []
