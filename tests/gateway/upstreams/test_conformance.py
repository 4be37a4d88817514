"""What a client sends reaches an OpenAI-compatible server as it is, and what that says comes back so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.upstreams.port import PATHS
from router.config import Endpoint
from tests.gateway.upstream import chunk
from tests.gateway.upstreams.servers import (
    ANSWER,
    DONE,
    EVENTS,
    Heard,
    asking,
    config,
    event,
    question,
    says,
    serving,
    streams,
)

PIXEL = "data:image/png;base64,iVBORw0KGgo="
FIELDS: dict[str, Any] = {
    "images, files and audio": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?\u2028\x85"},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "http://169.254.169.254/a.png"}},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            }
        ]
    },
    "tools": {
        "tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"a": 1.5}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
    },
    "tool messages": {
        "messages": [
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
            {"role": "tool", "tool_call_id": "1", "content": "12"},
        ]
    },
    "response_format": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    },
    "sampling": {
        "n": 3,
        "logprobs": True,
        "top_logprobs": 2,
        "seed": 2**62,
        "stop": ["\n", "END"],
        "temperature": 0,
        "top_p": 0.1,
        "logit_bias": {"50256": -100},
        "max_completion_tokens": 7,
    },
    "the rest": {
        "reasoning_effort": "high",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "store": False,
        "prediction": {"type": "content", "content": "x"},
        "user": "u",
        "prompt_cache_key": "k",
        "verbosity": "low",
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        "nobody knows this": [None, {"deep": [1, 1e100, 10**30, "\U0001f600"]}],
    },
}


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("stream", [False, True])
def test_every_field_reaches_the_server_untouched(fields: dict[str, Any], stream: bool) -> None:
    async def run() -> None:
        async with (
            serving(streams(*EVENTS) if stream else says(ANSWER)) as server,
            asking(config(big={"base_url": server.url}), K="k") as upstreams,
        ):
            asked = question(**fields)
            await (upstreams.stream(asked, Heard()) if stream else upstreams.complete(asked))
            added = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
            assert server.bodies == [{**asked.body, "model": "theirs", **added}]

    asyncio.run(run())


def test_options_of_a_stream_stay_beside_the_usage_that_we_ask_for() -> None:
    async def run() -> None:
        async with (
            serving(streams(*EVENTS)) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            options = {"include_usage": False, "include_obfuscation": False}
            await upstreams.stream(question(stream_options=options), Heard())
            assert server.bodies[0]["stream_options"] == {"include_usage": True, "include_obfuscation": False}

    asyncio.run(run())


def test_a_stream_comes_byte_by_byte_whatever_the_server_adds_and_however_it_is_cut() -> None:
    events = (
        event(chunk({"role": "assistant", "content": "a\u2028b"}, obfuscation="xyz")),
        b'data: {"choices":[],"prompt_filter_results":[{"x":1.50}],"id":"1"}\n\n',
        event(chunk({"reasoning_content": "hm"})),
        event(chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]})),
        event(chunk({}, "tool_calls")),
    )
    bytes_ = b"".join(events) + DONE

    async def run(size: int) -> bytes:
        parts = [bytes_[start : start + size] for start in range(0, len(bytes_), size)]
        async with (
            serving(streams(*parts)) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            heard = Heard()
            await upstreams.stream(question(), heard)
            return b"".join(each.raw for each in heard.said)

    for size in (7, 100, 10_000):
        assert asyncio.run(run(size)) == b"".join(events)


@pytest.mark.parametrize("stream", [False, True])
def test_one_connection_serves_one_request_after_another(stream: bool) -> None:
    async def run() -> None:
        async with (
            serving(streams(*EVENTS) if stream else says(ANSWER)) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            for _ in range(3):
                asked = question()
                await (upstreams.stream(asked, Heard()) if stream else upstreams.complete(asked))
            assert server.connections == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("endpoint", "body", "limit"),
    [
        ("completions", {"prompt": "Once"}, {"max_tokens": 50}),
        ("embeddings", {"input": [[1, 2], [3]]}, {}),
        ("responses", {"input": "Hi"}, {"max_output_tokens": 50}),
    ],
)
def test_other_endpoints_are_asked_where_they_are_within_the_models_limit(
    endpoint: Endpoint, body: dict[str, Any], limit: dict[str, int]
) -> None:
    async def run() -> None:
        answer = {"choices": [{"text": "x"}], "usage": {"prompt_tokens": 3, "total_tokens": 3}, "model": "m"}
        model = {"endpoints": [endpoint], "max_tokens": 50, "api_key_env": "K"}
        async with (
            serving(says(answer)) as server,
            asking(config(big={"base_url": server.url, **model}), K="k") as upstreams,
        ):
            asked = question(endpoint=endpoint)
            asked = type(asked)("big", {"model": "big", **body}, asked.deadline_s, asked.calls, endpoint)
            said = await upstreams.complete(asked)
            assert said.data == answer
            assert server.paths == [f"/v1/{PATHS[endpoint]}"]
            assert server.bodies == [{"model": "theirs", **body, **limit}]
            assert server.headers[0]["authorization"] == "Bearer k"

    asyncio.run(run())
