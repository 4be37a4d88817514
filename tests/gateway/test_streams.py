"""The events of a stream: valid, complete, in order, whatever the text."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from gateway import streams
from gateway.api.chat import _feed
from gateway.api.leaving import fed
from gateway.api.state import GatewayState
from gateway.caller import Caller
from gateway.errors import WorkerLost, to_http
from gateway.replies import Reply
from gateway.streams import MOST_WAITING, Envelope, Feed, Outbox
from gateway.translate import Asked
from gateway.upstreams.port import Said

ENVELOPE = Envelope("chatcmpl-1", 1, "gradus")
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
THEIRS = {"id": "theirs", "object": "chat.completion.chunk", "created": 5, "model": "their-model"}
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)


async def _events(feed: Feed) -> list[bytes]:
    sent = b"".join([events async for events in feed.events()])
    return [event + b"\n\n" for event in sent.split(b"\n\n")[:-1]]


def _said(**chunk: Any) -> Said:
    """A chunk as a server writes it: with spaces of its own."""
    return Said(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n", chunk)


def _chunks(events: list[bytes]) -> list[dict[str, Any]]:
    assert events[-1] == b"data: [DONE]\n\n"
    assert all(event.count(b"\n") == 2 and event.endswith(b"\n\n") for event in events)
    chunks = [
        json.loads(event.removeprefix(b"data: ")) for event in events[:-1] if event.startswith(b"data: ")
    ]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    return chunks


def _text(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@given(text=TEXT, include_usage=st.booleans(), steps=st.integers(0, 3))
def test_the_text_of_a_search_arrives_whole_between_role_and_finish(
    text: str, include_usage: bool, steps: int
) -> None:
    async def run() -> list[bytes]:
        feed = Feed(ENVELOPE, include_usage)
        feed.open({})
        feed.start()
        for step in range(steps):
            feed.progress("search", step, steps)
        feed.finish(text, "stop", USAGE, {"route": "small"})
        return await _events(feed)

    chunks = _chunks(asyncio.run(run()))

    assert _text(chunks) == text
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert [index for index, chunk in enumerate(chunks) if "gradus" in chunk] == [len(chunks) - 1]
    assert [chunk["usage"] for chunk in chunks if "usage" in chunk] == ([USAGE] if include_usage else [])


@given(parts=st.lists(TEXT, min_size=1, max_size=5), include_usage=st.booleans(), began=st.booleans())
def test_chunks_of_a_server_pass_in_order_with_one_role_and_their_own_fields(
    parts: list[str], include_usage: bool, began: bool
) -> None:
    sent: list[Said] = []

    async def run() -> list[bytes]:
        feed = Feed(ENVELOPE, include_usage)
        if began:  # a search that escalates has said the role already
            feed.start()
        for index, part in enumerate(parts):
            delta = {"role": "assistant", "content": part} if index == 0 else {"content": part}
            sent.append(_said(**THEIRS, x=index, choices=[{"index": 0, "delta": delta}]))
        sent.append(_said(**THEIRS, choices=[{"index": 0, "delta": {}, "finish_reason": "length"}], x="end"))
        sent.append(_said(**THEIRS, choices=[], usage={"prompt_tokens": 9}))
        await feed.chunks(sent[:2])
        await feed.chunks(sent[2:])
        feed.finish("", "stop", USAGE, {"route": "large"})
        return await _events(feed)

    events = asyncio.run(run())
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events[:-1]]

    assert _text(chunks) == "".join(parts)
    roles = [choice["delta"].get("role") for chunk in chunks for choice in chunk["choices"]]
    assert [role for role in roles if role] == ["assistant"]
    own = ("chatcmpl-1", "gradus") if began else ("theirs", "their-model")
    assert {(chunk["id"], chunk["model"]) for chunk in chunks} == {own}
    if not began:
        assert events[: len(parts)] == [each.raw for each in sent[: len(parts)]]  # byte by byte
    assert [chunk["x"] for chunk in chunks if "x" in chunk] == [*range(len(parts)), "end"]
    assert "gradus" in chunks[-1]
    assert [chunk["usage"] for chunk in chunks if "usage" in chunk] == ([USAGE] if include_usage else [])


def test_a_first_chunk_without_an_id_leaves_all_that_follow_with_one() -> None:
    """Azure begins with what it found in the prompt, in a chunk whose fields are empty."""

    async def run() -> list[bytes]:
        feed = Feed(ENVELOPE, include_usage=True)
        nobodys = {"id": "", "object": "", "created": 0, "model": ""}
        await feed.chunks([_said(**nobodys, choices=[], prompt_filter_results=[{"prompt_index": 0}])])
        await feed.chunks([_said(**THEIRS, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])])
        feed.finish("", "stop", USAGE, {"route": "large"})
        return await _events(feed)

    chunks = [json.loads(event.removeprefix(b"data: ")) for event in asyncio.run(run())[:-1]]

    assert [(chunk["id"], chunk["model"]) for chunk in chunks] == [("", ""), *2 * [("theirs", "their-model")]]


def test_no_more_is_read_for_a_client_than_it_keeps_up_with() -> None:
    chunk = _said(**THEIRS, choices=[{"index": 0, "delta": {"content": "a"}}])

    async def run() -> None:
        feed, said = Feed(ENVELOPE, include_usage=False), 0

        async def read() -> None:
            nonlocal said
            for _ in range(3 * MOST_WAITING):
                await feed.chunks([chunk])
                said += 1

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        assert said == MOST_WAITING
        sending = feed.events()
        await anext(sending)
        await asyncio.sleep(0)
        assert MOST_WAITING < said < 3 * MOST_WAITING
        reading.cancel()

    asyncio.run(run())


def test_who_is_behind_for_long_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LAG_S", 0.01)
    chunk = _said(**THEIRS, choices=[{"index": 0, "delta": {"content": "a"}}])

    async def run() -> None:
        feed, lags = Feed(ENVELOPE, include_usage=False), asyncio.Event()
        feed.on_lag = lags.set
        for _ in range(MOST_WAITING):
            await feed.chunks([chunk])
        await asyncio.sleep(0.05)
        assert not lags.is_set()
        async with asyncio.timeout(10):
            reading = asyncio.create_task(feed.chunks([chunk]))
            await lags.wait()
            assert not reading.done()
        reading.cancel()

    asyncio.run(run())


def test_a_response_begins_soon_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "OPEN_AFTER_S", 0.01)

    async def run() -> None:
        feed = Feed(ENVELOPE, include_usage=False)
        feed.open_soon()
        feed.known = {"x-a": "b"}
        async with asyncio.timeout(5):  # less than the silence after which a comment comes anyway
            assert await feed.opened == {"x-a": "b"}
            assert await anext(feed.events()) == b": keep-alive\n\n"
        early = Feed(ENVELOPE, include_usage=False)
        early.open_soon()
        early.open({"x-c": "d"})
        await asyncio.sleep(0.05)
        assert (await early.opened, early._queue.qsize()) == ({"x-c": "d"}, 0)

    asyncio.run(run())


def test_an_error_is_the_last_event_and_no_done_follows() -> None:
    async def run() -> list[bytes]:
        feed = Feed(ENVELOPE, include_usage=False)
        feed.start()
        feed.fail(to_http(WorkerLost("gone")))
        return await _events(feed)

    events = asyncio.run(run())

    assert json.loads(events[-1].removeprefix(b"data: "))["error"]["code"] == "worker_lost"


def test_nothing_is_said_after_the_end() -> None:
    async def run() -> list[bytes]:
        feed = Feed(ENVELOPE, include_usage=False)
        feed.finish("7", "stop", USAGE, {"route": "small"})
        feed.fail(to_http(WorkerLost("too late")))  # its client has not read the end yet
        return await _events(feed)

    assert _text(_chunks(asyncio.run(run()))) == "7"


def test_an_answer_that_cannot_be_written_ends_its_stream_all_the_same() -> None:
    async def answer(asked: object, caller: object, feed: Feed) -> Reply:
        feed.open({})
        return Reply("7", "stop", USAGE, {"difficulty": object()})

    async def run() -> list[bytes]:
        feed = Feed(ENVELOPE, include_usage=False)
        state = cast(
            GatewayState, SimpleNamespace(service=SimpleNamespace(answer=answer), answered=lambda *_: None)
        )
        async with asyncio.timeout(10):
            work = asyncio.create_task(fed(feed, _feed(state, cast(Asked, None), cast(Caller, None), feed)))
            events = await _events(feed)
            await asyncio.wait([work])
        return events

    events = asyncio.run(run())

    assert json.loads(events[-1].removeprefix(b"data: "))["error"]["code"] == "internal_error"


def test_a_silent_stream_is_kept_alive_by_comments() -> None:
    async def run() -> bytes:
        return await anext(Outbox(keep_alive_s=0.01).events())

    assert asyncio.run(run()) == b": keep-alive\n\n"
