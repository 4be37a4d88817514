"""The yardstick, starlette and aiohttp and no more: ``python -m benchmarks.gateway.bare PORT URL``."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def proxy(upstream: str) -> Starlette:
    """Sends every chat on to ``upstream`` (up to /v1), and its answer back."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            app.state.http = http
            yield

    async def chat(request: Request) -> Response:
        body = await request.body()
        answer = await request.app.state.http.post(
            f"{upstream}/chat/completions", data=body, headers={"content-type": "application/json"}
        )
        kind = answer.headers["content-type"]
        if kind.startswith("text/event-stream"):
            return StreamingResponse(answer.content.iter_any(), media_type=kind)
        return Response(await answer.read(), media_type=kind)

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan)


def configured() -> Starlette:
    """For a server that makes the application itself."""
    return proxy(os.environ["UPSTREAM"])


if __name__ == "__main__":
    uvicorn.run(proxy(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
