"""Answers under a status of 200 that are errors, or that are answers though they do not look it."""

from __future__ import annotations

import asyncio
import json
from codecs import BOM_UTF8
from typing import Any

import pytest

from tests.gateway.upstream import chunk, completion
from tests.gateway.upstreams.faults import fails
from tests.gateway.upstreams.servers import (
    ANSWER,
    DONE,
    Heard,
    asking,
    config,
    event,
    question,
    says,
    serving,
    streams,
)


@pytest.mark.parametrize(("code", "calls"), [(400, 1), (502, 3), ("provider_error", 3)])
def test_an_error_under_a_status_of_200_is_what_it_says(code: object, calls: int) -> None:
    async def run() -> None:
        async with (
            serving(says({"error": {"message": "the provider is away", "code": code}})) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            asked = question()
            error = await fails(upstreams, asked)
        assert "the provider is away" in str(error)
        assert error.status == (400 if code == 400 else None)
        assert [reading.sent for reading in asked.calls.made] == calls * [False]

    asyncio.run(run())


def test_a_response_that_failed_is_an_answer_all_the_same() -> None:
    failed: dict[str, Any] = {"object": "response", "error": {"message": "x"}, "output": [], "usage": None}

    async def run() -> None:
        model = {"endpoints": ["responses"]}
        async with (
            serving(says(failed)) as server,
            asking(config(big={"base_url": server.url, **model})) as upstreams,
        ):
            assert (await upstreams.complete(question(endpoint="responses"))).data == failed

    asyncio.run(run())


def test_a_byte_order_mark_is_no_fault_of_an_answer() -> None:
    async def run() -> None:
        async with (
            serving(says(BOM_UTF8 + json.dumps(ANSWER).encode())) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            assert (await upstreams.complete(question())).data == ANSWER

    asyncio.run(run())


@pytest.mark.parametrize("engine", ["openai", "litellm"])
def test_half_a_character_costs_no_answer(engine: str) -> None:
    async def run() -> None:
        async with serving(says(completion("half: \ud83d, whole: \U0001f600"))) as server:
            name = {"upstream_model": "theirs"} if engine == "openai" else {"litellm_model": "openai/theirs"}
            model = {"engine": engine, "base_url": server.url, "api_key_env": "K", **name}
            async with asking(config(big=model), K="k") as upstreams:
                said = await upstreams.complete(question())
        assert said.data["choices"][0]["message"]["content"] == "half: ?, whole: \U0001f600"
        assert len(server.bodies) == 1

    asyncio.run(run())


def test_a_character_that_a_stream_cuts_in_halves_reaches_the_client_in_halves() -> None:
    events = [event(chunk({"content": half})) for half in ("\ud83d", "\ude00")]

    async def run() -> None:
        async with (
            serving(streams(*events, event(chunk({}, "stop")), DONE)) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            heard = Heard()
            await upstreams.stream(question(), heard)
        assert [each.raw for each in heard.said[:2]] == events

    asyncio.run(run())
