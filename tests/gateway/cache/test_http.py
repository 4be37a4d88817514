"""The cache as clients see it: over HTTP, streamed or not, of models behind servers."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from gateway import lifecycle
from gateway.app import create_app
from router.config import Config
from tests.gateway.cache.asking import Watched
from tests.gateway.cache.over_http import ASKED, ask, events_of, kept, streamed_text, until_kept
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import serving
from tests.gateway.upstream import CHUNKS, USAGE_CHUNK, UpstreamDouble, chunk, completion

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def test_an_equal_request_costs_nothing_and_says_so(
    http: httpx.Client, upstream: UpstreamDouble, redis_url: str
) -> None:
    upstream.answer = completion(system_fingerprint="fp-1")
    first = kept(http, redis_url)
    again = ask(http, safety_identifier="somebody else", store=True)
    assert len(upstream.bodies) == 1
    assert [each.headers["x-gradus-cache"] for each in (first, again)] == ["miss", "hit"]
    assert int(again.headers["age"]) >= 0
    one, two = first.json(), again.json()
    assert two["choices"] == one["choices"]
    assert two["system_fingerprint"] == "fp-1"
    assert two["id"] != one["id"]
    assert two["usage"]["total_tokens"] == 0
    gradus = two["gradus"]
    assert (gradus["cached"], gradus["cost_usd"], gradus["model"]) == (True, "0", "remote")
    (line,) = gradus["lines"]
    assert (line["purpose"], line["calls"], line["cost_usd"]) == ("cache", 1, "0")
    assert "cached" not in one["gradus"]


def test_what_is_in_the_cache_is_not_planned(
    http: httpx.Client, upstream: UpstreamDouble, redis_url: str
) -> None:
    kept(http, redis_url)
    planned = _planned(http)
    assert ask(http).headers["x-gradus-cache"] == "hit"
    assert _planned(http) == planned
    ask(http, seed=2)
    assert _planned(http) == planned + 1


def _planned(http: httpx.Client) -> float:
    """How many requests were, of all gateways of this process."""
    for line in http.get("/metrics").text.splitlines():
        if line.startswith('gradus_stage_seconds_count{stage="plan"}'):
            return float(line.split()[-1])
    return 0.0


def test_another_request_is_asked(http: httpx.Client, upstream: UpstreamDouble, redis_url: str) -> None:
    kept(http, redis_url)
    others: list[dict[str, Any]] = [
        {"max_tokens": 9},
        {"tools": []},
        {"top_k": 1},
        {"gradus": {"task": "math"}},
        {"user": "somebody else"},  # the server hears of it
        {"metadata": {"a": "b"}},
    ]
    for other in others:
        assert ask(http, **other).headers["x-gradus-cache"] == "miss"
    assert ask(http, temperature=0.5).headers["x-gradus-cache"] == "bypass"
    assert len(upstream.bodies) == 8


def test_what_was_not_streamed_can_be_streamed(
    http: httpx.Client, upstream: UpstreamDouble, redis_url: str
) -> None:
    kept(http, redis_url)
    streamed = ask(http, stream=True, stream_options={"include_usage": True})
    assert len(upstream.bodies) == 1
    assert (streamed.headers["x-gradus-cache"], streamed.headers["x-gradus-model"]) == ("hit", "remote")
    assert streamed_text(streamed) == ("The answer is 7.", "stop")
    last = events_of(streamed)[-1]
    assert (last["usage"]["total_tokens"], last["gradus"]["cached"]) == (0, True)


def test_the_clients_streaming_helper_accepts_what_was_not_streamed(
    cached_gateway: str, http: httpx.Client, redis_url: str
) -> None:
    kept(http, redis_url)
    asked: Any = {**ASKED, "stream_options": {"include_usage": True}}
    with (
        openai.OpenAI(base_url=f"{cached_gateway}/v1", api_key="none") as client,
        client.chat.completions.stream(**asked) as stream,
    ):
        assert "content.done" in [event.type for event in stream]
        assert stream.get_final_completion().choices[0].message.content == "The answer is 7."
    for event in events_of(ask(http, stream=True)):
        ChatCompletionChunk.model_validate(event)


def test_what_was_streamed_need_not_be(http: httpx.Client, upstream: UpstreamDouble, redis_url: str) -> None:
    first = kept(http, redis_url, stream=True)
    assert streamed_text(first) == ("The answer is 7.", "stop")
    again = ask(http)
    assert len(upstream.bodies) == 1
    (choice,) = again.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("The answer is 7.", "stop")
    assert streamed_text(ask(http, stream=True)) == ("The answer is 7.", "stop")


def test_tool_calls_come_back_whole(http: httpx.Client, upstream: UpstreamDouble, redis_url: str) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    upstream.answer = completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])
    kept(http, redis_url)
    assert ask(http).json()["choices"][0]["message"]["tool_calls"] == [CALL]
    choices = [choice for event in events_of(ask(http, stream=True)) for choice in event["choices"]]
    (calls,) = [choice["delta"]["tool_calls"] for choice in choices if "tool_calls" in choice["delta"]]
    assert calls == [{"index": 0, **CALL}]
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize(
    "ended",
    [
        {
            "answer": completion(
                choices=[{"index": 0, "message": {"content": "7"}, "finish_reason": "length"}]
            )
        },
        {"answer": {"error": {"message": "slow down"}}, "status": 429},
        {"answer": {"error": {"message": "broken"}}, "status": 500},
    ],
)
def test_no_truncated_answer_and_no_error_is_given_again(
    http: httpx.Client, upstream: UpstreamDouble, ended: dict[str, Any]
) -> None:
    for name, value in ended.items():
        setattr(upstream, name, value)
    ask(http)
    upstream.answer, upstream.status = completion("whole"), 200
    said = ask(http)
    assert said.headers["x-gradus-cache"] in ("miss", "hit")  # a flight that nobody shares takes a moment
    assert said.json()["choices"][0]["message"]["content"] == "whole"


@pytest.mark.parametrize(
    "chunks",
    [CHUNKS[:3], (*CHUNKS[:3], chunk({}, "length"), USAGE_CHUNK), (*CHUNKS[:3], {"error": {"message": "x"}})],
)
def test_a_stream_that_did_not_come_to_its_end_is_not_given_again(
    http: httpx.Client, upstream: UpstreamDouble, redis_url: str, chunks: tuple[Any, ...]
) -> None:
    upstream.chunks = chunks
    ask(http, stream=True)
    upstream.chunks = CHUNKS
    assert streamed_text(ask(http, stream=True)) == ("The answer is 7.", "stop")
    assert len(upstream.bodies) == 2


def test_cache_control_is_honoured(http: httpx.Client, upstream: UpstreamDouble, redis_url: str) -> None:
    refused = ask(http, "only-if-cached")
    assert (refused.status_code, refused.json()["error"]["code"]) == (504, "not_cached")
    assert upstream.bodies == []
    kept(http, redis_url)
    said = [
        ask(http, header).headers["x-gradus-cache"]
        for header in ("only-if-cached", "no-store", "no-cache", "max-age=60")
    ]
    assert said == ["hit", "bypass", "miss", "hit"]
    assert len(upstream.bodies) == 3


def test_asking_for_what_is_off_is_refused_by_name(http: httpx.Client, url: str) -> None:
    assert ask(http, temperature=0.5, gradus={"cache": True}).headers["x-gradus-cache"] == "miss"
    assert ask(http, gradus={"cache": False}).headers["x-gradus-cache"] == "bypass"
    refused = httpx.post(f"{url}/v1/chat/completions", json={**ASKED, "gradus": {"cache": True}})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "gradus.cache")


def test_equal_requests_to_four_gateways_at_once_ask_the_server_once(
    configure: Configure, upstream: UpstreamDouble, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = upstream.reply
    caches: list[Watched] = []

    def watched(config: Config) -> Watched:
        caches.append(Watched(config))
        return caches[-1]

    async def once_all_wait(request: Any) -> Any:
        for cache in caches:
            await cache.waited_for(5)
        return await reply(request)

    monkeypatch.setattr(lifecycle, "AnswerCache", watched)
    upstream.reply = once_all_wait  # type: ignore[method-assign]
    settings = configure(GRADUS__CACHE__MODE="deterministic")

    async def ask(url: str) -> str:
        async with httpx.AsyncClient(timeout=30) as client:
            said = await client.post(f"{url}/v1/chat/completions", json=ASKED)
            assert said.json()["choices"][0]["message"]["content"] == "The answer is 7."
            return said.headers["x-gradus-cache"]

    async def main(urls: list[str]) -> list[str]:
        return await asyncio.gather(*(ask(url) for url in urls for _ in range(5)))

    with ExitStack() as stack:
        urls = [stack.enter_context(serving(create_app(settings))) for _ in range(4)]
        said = asyncio.run(main(urls))
    assert len(upstream.bodies) == 1
    assert sorted(said) == ["miss"] + ["shared"] * 19


def test_the_admin_may_have_it_forget(
    configure: Configure, start: Start, upstream: UpstreamDouble, redis_url: str
) -> None:
    url = start(configure(GRADUS__CACHE__MODE="deterministic", GRADUS_ADMIN_KEY="the-admin's-own-key"))
    admin = {"authorization": "Bearer the-admin's-own-key"}
    with httpx.Client(base_url=url, timeout=30) as http:
        assert http.delete("/v1/gradus/admin/cache").status_code in (401, 403)
        for purge, asked in (({}, 2), ({"model": "remote"}, 3), ({"model": "big"}, 3)):
            kept(http, redis_url)
            said = http.delete("/v1/gradus/admin/cache", params=purge, headers=admin)
            assert said.json()["object"] == "gradus.cache.purged"
            assert ask(http).status_code == 200
            until_kept(redis_url)
            assert len(upstream.bodies) == asked
        for wrong in ({"model": "nobody"}, {"mode": "x"}, {"key": "a", "team": "b"}, {"key": "nobody"}):
            assert http.delete("/v1/gradus/admin/cache", params=wrong, headers=admin).status_code in (
                400,
                404,
            )
