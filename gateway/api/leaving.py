"""Clients that go away before they got an answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request

CLIENT_CLOSED_REQUEST: Final = 499  # nobody reads it


async def before_disconnect(request: Request, awaited: asyncio.Future[Any]) -> bool:
    """Wait until something is done, or until the client goes away; whether it was done."""
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({awaited, gone}, return_when=asyncio.FIRST_COMPLETED)
        return awaited.done()
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
