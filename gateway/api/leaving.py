"""Clients that go away before they got an answer, or in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.errors import to_http
from gateway.streams import Outbox

T = TypeVar("T")

CLIENT_CLOSED_REQUEST: Final = 499  # nobody reads it


async def whole(request: Request, answering: Coroutine[Any, Any, T]) -> T | None:
    """What it comes to; ``None`` if the client goes away first.

    It ends then, which frees its worker, or closes the connection to its server.
    """
    ours = asyncio.current_task()
    assert ours is not None, "requests are answered in tasks"
    left = False

    def leave(_: asyncio.Task[None]) -> None:
        nonlocal left
        if not gone.cancelled():
            left = True
            ours.cancel()

    gone = asyncio.create_task(_disconnected(request))
    gone.add_done_callback(leave)
    try:
        return await answering
    except asyncio.CancelledError:
        if not left or ours.uncancel():  # or somebody else ends it too
            raise
        return None
    finally:
        gone.remove_done_callback(leave)
        gone.cancel()


async def streamed(
    request: Request, feed: Outbox, answering: Coroutine[Any, Any, None], headers: Mapping[str, str]
) -> Response:
    """The response, once ``answering`` has opened its feed: what fails before that is raised here."""
    work = asyncio.create_task(fed(feed, answering))
    under_way = False
    try:
        if not await _before_disconnect(request, feed.opened):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        known = feed.opened.result()
        under_way = True
    finally:
        if not under_way:
            work.cancel()
    return EventStream(feed, work, {**headers, **known})


async def fed(feed: Outbox, answering: Coroutine[Any, Any, None]) -> None:
    """Have the feed filled; a failure is its last event, or that of its opening."""
    try:
        await answering
    except Exception as error:
        if feed.opened.done():
            feed.fail(to_http(error))
        else:
            feed.opened.set_exception(error)


async def _before_disconnect(request: Request, awaited: asyncio.Future[Any]) -> bool:
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


class EventStream(StreamingResponse):
    """Sends the feed of a running request, and ends that request when its client goes away."""

    media_type = "text/event-stream"

    def __init__(self, feed: Outbox, work: asyncio.Task[None], headers: Mapping[str, str]) -> None:
        super().__init__(
            feed.events(), headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers}
        )
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (ASGI)
        # Not by Starlette's group of tasks: what always has something to send is never found at rest there,
        # and goes on after its client is gone.
        sending = asyncio.create_task(self.stream_response(send))
        gone = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (self._work, sending, gone):
                task.cancel()
