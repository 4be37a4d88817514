"""Clients that go away before they got an answer, or in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.admission import Doors, Stopping
from gateway.errors import to_http
from gateway.streams import Outbox

T = TypeVar("T")

CLIENT_CLOSED_REQUEST: Final = 499  # nobody reads it


async def whole(request: Request, answering: Coroutine[Any, Any, T]) -> T | None:
    """What it comes to; ``None`` if the client goes away first.

    It ends then, which frees its worker, or closes the connection to its server. Raises
    :class:`gateway.admission.Stopping` where the process has no more time for it.
    """
    work, cuts = asyncio.create_task(answering), _cuts(request)
    cuts.add(work.cancel)
    try:
        if not await _before_disconnect(request, work):
            return None
        if work.cancelled():
            raise _cut_off()
        return work.result()
    finally:
        cuts.discard(work.cancel)
        work.cancel()


async def streamed(
    request: Request, feed: Outbox, answering: Coroutine[Any, Any, None], headers: Mapping[str, str]
) -> Response:
    """The response, once ``answering`` has opened its feed: what fails before that is raised here."""
    work, cuts = asyncio.create_task(fed(feed, answering)), _cuts(request)

    def cut() -> None:
        work.cancel()
        _fail(feed, _cut_off())

    cuts.add(cut)
    under_way = False
    try:
        if not await _before_disconnect(request, feed.opened):
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        known = feed.opened.result()
        under_way = True
    finally:
        if not under_way:
            cuts.discard(cut)
            work.cancel()
    return EventStream(feed, work, {**headers, **known}, partial(cuts.discard, cut))


async def fed(feed: Outbox, answering: Coroutine[Any, Any, None]) -> None:
    """Have the feed filled; a failure is its last event, or that of its opening."""
    try:
        await answering
    except Exception as error:
        _fail(feed, error)


def _fail(feed: Outbox, error: Exception) -> None:
    if feed.opened.done():
        feed.fail(to_http(error))
    else:
        feed.opened.set_exception(error)


def _cuts(request: Request) -> set[Callable[[], object]]:
    doors: Doors = request.app.state.doors
    return doors.cuts


def _cut_off() -> Stopping:
    return Stopping("This gateway process is being stopped, and has no time to end the answer; ask again.")


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
    """Sends the feed of a running request, and ends that request when its client goes away.

    ``over`` is called at the end.
    """

    media_type = "text/event-stream"

    def __init__(
        self, feed: Outbox, work: asyncio.Task[None], headers: Mapping[str, str], over: Callable[[], None]
    ) -> None:
        super().__init__(
            feed.events(), headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers}
        )
        self._work, self._over = work, over

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
            self._over()
            for task in (self._work, sending, gone):
                task.cancel()
