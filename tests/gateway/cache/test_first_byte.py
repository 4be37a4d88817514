"""Streams begin at once: of a slow server, and of who waits for an equal request."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway import streams
from gateway.app import create_app
from tests.gateway.cache.asking import BODY
from tests.gateway.conftest import Configure
from tests.gateway.doubles import serving
from tests.gateway.upstream import UpstreamDouble

ASKED = {**BODY, "model": "remote", "stream": True}


@pytest.mark.parametrize("status", [200, 500])
def test_a_stream_and_its_follower_begin_before_the_server_does(
    configure: Configure,
    upstream: UpstreamDouble,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setattr(streams, "OPEN_AFTER_S", 0.5)  # time enough to look up
    upstream.status, reply = status, upstream.reply
    upstream.answer = {"error": {"message": "broken"}}

    async def main(url: str) -> tuple[list[list[str]], set[str | None]]:
        begun, lines, known = asyncio.Event(), list[list[str]](), set[str | None]()

        async def slowly(request: Any) -> Any:
            while not begun.is_set():  # nothing comes of the server before both clients have a first byte
                await asyncio.sleep(0.01)
            return await reply(request)

        upstream.reply = slowly  # type: ignore[method-assign]

        async def ask(client: httpx.AsyncClient) -> None:
            async with client.stream("POST", f"{url}/v1/chat/completions", json=ASKED) as said:
                assert said.status_code == 200
                known.add(said.headers.get("x-gradus-cache"))
                read = said.aiter_lines()
                lines.append(mine := [await anext(read)])
                if len(lines) == 2:
                    begun.set()
                mine.extend([line async for line in read if line])

        async with httpx.AsyncClient(timeout=30) as client, asyncio.timeout(30):
            await asyncio.gather(ask(client), ask(client))
        return lines, known

    with serving(create_app(configure(GRADUS__CACHE__MODE="deterministic"))) as url:
        said, known = asyncio.run(main(url))
        assert known == {"miss", None}  # the follower may still have to do the work
        for lines in said:
            assert lines[0] == ": keep-alive"
            assert (lines[-1] == "data: [DONE]") is (status == 200)
            assert ('"error"' in lines[-1]) is (status == 500)
    assert status == 500 or len(upstream.bodies) == 1
