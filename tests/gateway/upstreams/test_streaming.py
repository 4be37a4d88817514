"""Streams and slow servers: nothing is asked again once text was sent; what takes too long is given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.errors import DeadlineExceeded
from tests.gateway.upstream import chunk
from tests.gateway.upstreams.faults import BEGUN, fails
from tests.gateway.upstreams.servers import (
    ANSWER,
    DONE,
    EVENTS,
    Heard,
    Script,
    Time,
    asking,
    config,
    cuts,
    event,
    hangs,
    question,
    says,
    serving,
    streams,
)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (streams(*BEGUN, then=cuts), "cannot be used"),
        (streams(*BEGUN), "broke off"),
        (streams(*BEGUN, event({"error": {"message": "overloaded", "code": 503}})), "overloaded"),
        (streams(*BEGUN, b"data: {nonsense\n\n"), "not JSON"),
        (streams(*BEGUN, b'data: {"choices": [7]}\n\n'), "choices of its answer"),
        (streams(*BEGUN, b'data: {"choices": [{"delta": 7}]}\n\n'), "not what OpenAI's API says"),
    ],
)
def test_once_text_was_sent_nothing_is_asked_again(script: Script, message: str) -> None:
    async def run() -> None:
        async with serving(script) as server, serving(streams(*EVENTS)) as other:
            models = config(big={"base_url": server.url, "fallbacks": ["o"]}, o={"base_url": other.url})
            async with asking(models) as upstreams:
                asked, heard = question(), Heard()
                error = await fails(upstreams, asked, heard)
        assert message in str(error)
        assert heard.text == "The answer is 7."
        assert (len(server.bodies), other.bodies) == (1, [])
        (reading,) = asked.calls.made
        assert (reading.sent, reading.counted) == (True, True)
        assert reading.usage("direct").completion_tokens > 0

    asyncio.run(run())


@pytest.mark.parametrize(
    "script",
    [
        streams(then=cuts),
        streams(),
        streams(DONE),
        streams(event({"error": {"message": "overloaded"}})),
        streams(b"data: <html>\n\n"),
    ],
)
def test_a_stream_that_fails_before_its_first_chunk_is_asked_again(script: Script) -> None:
    async def run() -> None:
        time = Time()
        async with (
            serving(script, streams(*EVENTS)) as server,
            asking(config(big={"base_url": server.url}), time) as upstreams,
        ):
            asked, heard = question(), Heard()
            await upstreams.stream(asked, heard)
        assert (heard.text, heard.models, time.waits) == ("The answer is 7.", ["big"], [0.25])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "timeouts", "stream"),
    [
        (hangs, {"total_s": 0.05}, False),
        (hangs, {"first_token_s": 0.05}, True),
        (streams(b": waiting\n\n", then=hangs), {"first_token_s": 0.05}, True),
        (hangs, {"total_s": 0.05}, True),
    ],
)
def test_a_server_that_takes_too_long_is_given_up_for_another(
    script: Script, timeouts: dict[str, float], stream: bool
) -> None:
    async def run() -> None:
        async with serving(script) as slow, serving(streams(*EVENTS) if stream else says(ANSWER)) as good:
            places = [{"base_url": slow.url}, {"base_url": good.url}]
            async with asking(config(big={"deployments": places, "timeouts": timeouts})) as upstreams:
                asked, heard = question(), Heard()
                await (upstreams.stream(asked, heard) if stream else upstreams.complete(asked))
                first, second = asked.calls.made
                assert (first.sent, first.counted, second.counted) == (True, False, True)
                await slow.closed.wait()

    asyncio.run(run())


def test_a_stream_that_hangs_in_mid_answer_meets_its_total_and_says_so() -> None:
    async def run() -> None:
        async with (
            serving(streams(*BEGUN, then=hangs)) as server,
            asking(config(big={"base_url": server.url, "timeouts": {"total_s": 0.1}})) as upstreams,
        ):
            heard = Heard()
            error = await fails(upstreams, question(), heard)
        assert "timeouts.total_s" in str(error)
        assert heard.text == "The answer is 7."

    asyncio.run(run())


def test_the_deadline_ends_it_without_another_call() -> None:
    async def run() -> None:
        async with (
            serving(hangs) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            asked = question(patience_s=0.5)
            error = await fails(upstreams, asked)
        assert isinstance(error, DeadlineExceeded)
        assert len(server.bodies) == 1
        assert asked.calls.made[0].sent

    asyncio.run(run())


def test_answers_without_usage_are_counted_and_marked() -> None:
    async def run() -> None:
        silent: dict[str, Any] = {name: value for name, value in ANSWER.items() if name != "usage"}
        stream = streams(event(chunk({"content": "The answer is 7."})), event(chunk({}, "stop")))
        async with (
            serving(says(silent), stream) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            whole, streamed = question(), question()
            await upstreams.complete(whole)
            await upstreams.stream(streamed, Heard())
        for asked in (whole, streamed):
            reading = asked.calls.answer
            assert reading is not None
            assert (reading.estimated, reading.counted) == (True, True)
            assert reading.usage("direct").completion_tokens == 6

    asyncio.run(run())
