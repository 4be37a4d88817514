"""Servers of large models that fail: named errors, the right status, and nothing asked again in secret."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest

from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import (
    CHUNKS,
    PROBE,
    ScriptedWorker,
    UpstreamDouble,
    hard,
    until,
)

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
        (401, 502, "upstream_failed"),
        (403, 502, "upstream_failed"),
        (404, 502, "upstream_failed"),
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


def test_a_server_that_hangs_meets_the_deadline(client: openai.OpenAI, upstream: UpstreamDouble) -> None:
    upstream.hangs = True
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]  # straight to the server

    error = refused(client, "gradus/hasty", tools=tools)

    assert (error.status_code, error.code) == (504, "deadline_exceeded")
    assert upstream.closed.wait(10)


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
