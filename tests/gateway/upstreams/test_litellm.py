"""litellm itself, asked as its models are: fields where they belong, and failures by what they cost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.errors import UpstreamRejected
from gateway.upstreams import Calls, Question
from router.config import Endpoint
from tests.gateway.upstreams.faults import FAULTS, NOWHERE, fails
from tests.gateway.upstreams.servers import (
    ANSWER,
    DONE,
    Heard,
    Script,
    Time,
    asking,
    config,
    event,
    question,
    refuses,
    says,
    serving,
    streams,
)

TEXT = {"id": "1", "object": "text_completion", "created": 1, "model": "theirs"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
COMPLETED = {**TEXT, "choices": [{"index": 0, "text": "ab", "finish_reason": "stop"}], "usage": USAGE}
PIECES = (
    event({**TEXT, "choices": [{"index": 0, "text": "a", "finish_reason": None}]}),
    event({**TEXT, "choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]}),
    event({**TEXT, "choices": [], "usage": USAGE}),
    DONE,
)
EMBEDDED = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.125, 1e-9]}],
    "model": "theirs",
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


def lite(*urls: str, **more: Any) -> dict[str, Any]:
    """A model that litellm finds at these URLs."""
    places = [{"litellm_model": "openai/theirs", "base_url": url, "api_key_env": "K"} for url in urls]
    endpoints = ["chat", "completions", "embeddings"]
    return {"engine": "litellm", "deployments": places, "endpoints": endpoints, **more}


def of(endpoint: Endpoint, **body: Any) -> Question:
    asked = question()
    return Question("big", {"model": "big", **body}, asked.deadline_s, Calls(), endpoint)


@pytest.mark.parametrize(
    ("endpoint", "body", "script", "used"),
    [
        ("completions", {"prompt": "Once", "max_tokens": 5}, says(COMPLETED), (3, 4)),
        ("embeddings", {"input": ["a"]}, says(EMBEDDED), (3, 0)),
    ],
)
def test_other_endpoints_are_litellms_own_functions(
    endpoint: Endpoint, body: dict[str, Any], script: Script, used: tuple[int, int]
) -> None:
    async def run() -> None:
        async with (
            serving(script) as server,
            asking(config(big=lite(server.url)), K="k") as upstreams,
        ):
            asked = of(endpoint, **body, theirs_alone=1)
            said = await upstreams.complete(asked)
        assert server.bodies == [{"model": "theirs", **body, "theirs_alone": 1}]
        assert json.loads(said.raw) == said.data
        line = asked.calls.made[0].usage("direct")
        assert (line.prompt_tokens, line.completion_tokens) == used
        assert not asked.calls.made[0].estimated

    asyncio.run(run())


def test_a_stream_of_completions_has_usage_in_a_chunk_of_its_own() -> None:
    async def run() -> None:
        async with (
            serving(streams(*PIECES)) as server,
            asking(config(big=lite(server.url)), K="k") as upstreams,
        ):
            heard = Heard()
            await upstreams.stream(of("completions", prompt="Once"), heard)
        texts = [[choice["text"] for choice in each.data["choices"]] for each in heard.said]
        assert "".join(text for each in texts for text in each) == "ab"
        assert (texts[-1], heard.said[-1].data["usage"]["total_tokens"]) == ([], 7)

    asyncio.run(run())


def test_a_stream_of_a_chat_has_usage_in_a_chunk_of_its_own() -> None:
    known = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
    chunks = (
        {**known, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]},
        {**known, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**known, "choices": [], "usage": USAGE},
    )

    async def run() -> None:
        async with (
            serving(streams(*map(event, chunks), DONE)) as server,
            asking(config(big=lite(server.url)), K="k") as upstreams,
        ):
            heard = Heard()
            await upstreams.stream(of("chat", messages=[{"role": "user", "content": "hi"}]), heard)
        assert [bool(each.data["choices"]) for each in heard.said if each.data.get("usage")] == [False]

    asyncio.run(run())


def test_who_asks_is_not_left_out_for_a_model_that_litellm_does_not_know() -> None:
    async def run() -> None:
        async with (
            serving(says(ANSWER)) as server,
            asking(config(big=lite(server.url)), K="k") as upstreams,
        ):
            asked = question(user="u", seed=5)
            await upstreams.complete(asked)
        assert server.bodies == [{**asked.body, "model": "theirs"}]

    asyncio.run(run())


def test_its_deployments_are_balanced_and_replaced_here() -> None:
    async def run() -> None:
        time = Time()
        async with (
            serving(refuses(503)) as bad,
            serving(says(ANSWER)) as good,
            asking(config(big=lite(NOWHERE, bad.url, good.url)), time, K="k") as upstreams,
        ):
            asked = question(once=True)
            await upstreams.complete(asked)
        assert [reading.sent for reading in asked.calls.made] == [False, False, True]
        assert (len(bad.bodies), len(good.bodies), time.waits) == (1, 1, [])

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["closes", "cuts in mid-answer", "nonsense"])
def test_what_broke_on_the_way_may_have_to_be_paid_whatever_litellm_calls_it(fault: str) -> None:
    async def run() -> None:
        async with (
            serving(FAULTS[fault]) as server,
            asking(config(big=lite(server.url)), K="k") as upstreams,
        ):
            asked = question(once=True)
            await fails(upstreams, asked)
        assert [(reading.sent, reading.counted) for reading in asked.calls.made] == [(True, False)]

    asyncio.run(run())


def test_what_a_provider_refused_costs_nothing_although_litellm_says_that_the_connection_failed() -> None:
    async def run() -> None:
        async with serving(refuses(502)) as server:
            places = [{"litellm_model": "gemini/theirs", "base_url": server.url, "api_key_env": "K"}]
            async with asking(config(big=lite() | {"deployments": places}), K="k") as upstreams:
                asked = question(once=True)
                await fails(upstreams, asked)
        assert server.bodies
        assert not any(reading.sent for reading in asked.calls.made)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("provider", "endpoint", "body"),
    [
        ("openai", "chat", {"messages": [{"role": "user", "content": "hi"}]}),
        ("openai", "embeddings", {"input": "a"}),
        ("deepinfra", "chat", {"messages": [{"role": "user", "content": "hi"}]}),
        ("fireworks_ai", "completions", {"prompt": "Once"}),
        ("anthropic", "chat", {"messages": [{"role": "user", "content": "hi"}]}),
    ],
)
def test_litellm_asks_nobody_again_by_itself(provider: str, endpoint: Endpoint, body: dict[str, Any]) -> None:
    async def run() -> None:
        async with serving(FAULTS["closes"]) as server:
            places = [{"litellm_model": f"{provider}/theirs", "base_url": server.url, "api_key_env": "K"}]
            async with asking(config(big=lite() | {"deployments": places}), K="k") as upstreams:
                asked = of(endpoint, **body)
                asked.calls.once = True
                await fails(upstreams, asked)
        assert len(server.bodies) == 1
        assert "max_retries" not in server.bodies[0]

    asyncio.run(run())


def test_retry_after_is_heard_through_litellm() -> None:
    async def run() -> None:
        async with (
            serving(refuses(429, retry_after="30")) as server,
            asking(config(big=lite(server.url)), K="k") as upstreams,
        ):
            error = await fails(upstreams, question())
        assert isinstance(error, UpstreamRejected)
        assert (error.status, error.retry_after_s, len(server.bodies)) == (429, 30.0, 1)

    asyncio.run(run())
