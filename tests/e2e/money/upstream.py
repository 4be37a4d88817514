"""A large model's server with faults, in a thread: what a request says last is what becomes of it.

answer        at once
hold          once :meth:`Upstream.release` is called
silent        never
drip          a token now and then, without end (streams)
flood         as many tokens as the client takes (streams)
no usage      an answer that nobody counted
broken        JSON that is none
status N      an error of that status
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from aiohttp import web

from tests.gateway.doubles import GIVE_UP_S, until
from tests.gateway.upstream import chunk, completion

T = TypeVar("T")
Json = dict[str, Any]

WORD = "word "
DRIP_S = 0.02


class Upstream:
    """``consumed`` is its own count, of every request that it worked on: prompt and completion tokens."""

    def __init__(self) -> None:
        self.consumed: list[tuple[int, int]] = []
        self.texts: list[str] = []
        self.holding = self.left = self.streaming = self.pieces = 0
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()

    def start(self) -> None:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port: int = self._call(self._listen()).result(GIVE_UP_S)
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._call(self._runner.cleanup()).result(GIVE_UP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def release(self) -> None:
        """Answer everything that is held, and hold what comes next."""

        async def release() -> None:
            self._released.set()
            self._released = asyncio.Event()

        self._call(release()).result(GIVE_UP_S)

    def forget(self) -> None:
        """What was before is no more to be seen; what is held is let go."""
        self.release()
        until(lambda: not self.holding)
        self.consumed, self.texts, self.left, self.pieces = [], [], 0, 0

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens of all."""
        return sum(read for read, _ in self.consumed), sum(written for _, written in self.consumed)

    def _call(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> int:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = body["messages"][-1]["content"]
        self.texts.append(text)
        what = text.partition(":")[0]
        try:
            if what == "hold":
                await self._hold()
            elif what == "silent":
                await asyncio.Event().wait()
            if what.startswith("status"):
                return web.json_response({"error": {"message": "because"}}, status=int(what.split()[1]))
            if what == "broken":
                return web.Response(body=b'{"choices": [', content_type="application/json")
            if body.get("stream"):
                return await self._stream(request, text, what)
            return web.json_response(self._answer(text, counts=what != "no usage"))
        except (asyncio.CancelledError, ConnectionError):
            self.left += 1
            raise

    async def _hold(self) -> None:
        self.holding += 1
        try:
            await self._released.wait()
        finally:
            self.holding -= 1

    def _answer(self, text: str, *, counts: bool = True) -> Json:
        read, written = len(text.split()), 1 + len(self.consumed) % 7
        self.consumed.append((read, written))
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        said = completion(WORD * written, usage=usage)
        if not counts:
            del said["usage"]
        return said

    async def _stream(self, request: web.Request, text: str, what: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        read, written = len(text.split()), 0
        self.streaming += 1
        try:
            while what in ("drip", "flood") or written < 5:
                filler = WORD * (4000 if what == "flood" else 1)
                await response.write(_event(chunk({"content": filler})))
                written += 1
                self.pieces += 1
                if what == "drip":
                    await asyncio.sleep(DRIP_S)
            await response.write(_event(chunk({}, "stop")))
            usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            if what != "no usage":
                await response.write(_event(chunk({}, choices=[], usage=usage)))
            await response.write(b"data: [DONE]\n\n")
        finally:
            self.streaming -= 1
            self.consumed.append((read, written))
        return response


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
