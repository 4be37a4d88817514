"""An OpenAI-compatible server that plays scripts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.gateway.doubles import GIVE_UP_S, OK


def completion(text: str = "The answer is 7.", **more: Any) -> dict[str, Any]:
    return {
        "id": "up-1",
        "object": "chat.completion",
        "created": 1,
        "model": "double-2026-01-01",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 7,
            "total_tokens": 18,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        **more,
    }


def chunk(delta: Mapping[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "up-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "double-2026-01-01",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **more,
    }


USAGE_CHUNK = chunk({}, choices=[], usage=completion()["usage"])
CHUNKS = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "The answer "}),
    chunk({"content": "is 7."}, system_fingerprint="fp-1"),
    chunk({}, "stop"),
    USAGE_CHUNK,
)


@dataclass
class UpstreamDouble:
    """An OpenAI-compatible server that says what it is told to; ``closed``: its client left, or it ended."""

    status: int = OK
    answer: Any = field(default_factory=completion)
    chunks: tuple[Any, ...] = CHUNKS
    headers: Mapping[str, str] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False
    done: str = "data: [DONE]\n\n"

    async def reply(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization"))
        if self.status == OK and body.get("stream"):
            return StreamingResponse(self._stream(), media_type="text/event-stream")
        if self.hangs:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.closed.set()
        return JSONResponse(self.answer, self.status, dict(self.headers))

    async def _stream(self) -> AsyncIterator[str]:
        try:
            for each in self.chunks:
                yield f"data: {json.dumps(each, ensure_ascii=False)}\n\n"
            if self.hangs:
                await asyncio.sleep(GIVE_UP_S)
            yield self.done
        finally:
            self.closed.set()


class UpstreamHost:
    """Serves whichever double the running test put here."""

    def __init__(self) -> None:
        self.url = ""
        self.double = UpstreamDouble()

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            return await self.double.reply(request)

        return app
