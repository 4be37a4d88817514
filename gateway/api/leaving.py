"""Clients that go away before they got an answer, or in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from types import TracebackType
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
    cuts = _cuts(request)
    with _Watched(request.receive) as watched:
        cuts.add(watched.cut)
        try:
            return await answering
        finally:
            cuts.discard(watched.cut)
    if watched.left:
        return None
    raise _cut_off()


async def streamed(
    request: Request, feed: Outbox, answering: Coroutine[Any, Any, None], headers: Mapping[str, str]
) -> Response:
    """The response, once ``answering`` has opened its feed: what fails before that is raised here."""
    work, cuts, ours = asyncio.create_task(fed(feed, answering)), _cuts(request), copy_context()

    def cut() -> None:
        work.cancel()
        ours.run(_fail, feed, _cut_off())  # which names the request

    def over() -> None:
        work.cancel()
        cuts.discard(cut)

    cuts.add(cut)
    try:
        with _Watched(request.receive):
            known = await feed.opened
            return EventStream(feed, {**headers, **known}, over)
    except BaseException:
        over()
        raise
    over()
    return Response(status_code=CLIENT_CLOSED_REQUEST)


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


class _Watched:
    """Around a ``with`` block: what waits there is cancelled when the client goes away (it ``left`` then), or
    by :meth:`cut`. The block ends at that, and nothing is raised."""

    __slots__ = ("_ended", "_gone", "_receive", "_task", "left")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.left = self._ended = False

    def __enter__(self) -> _Watched:
        task = asyncio.current_task()
        assert task is not None, "in a task"
        self._task = task
        self._gone = asyncio.create_task(self._watch())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._gone.cancel()
        if not self._ended:
            self._ended = True
            return False
        nobody_else = self._task.uncancel() == 0
        return nobody_else and isinstance(error, asyncio.CancelledError)

    def cut(self) -> None:
        if not self._ended:
            self._ended = True
            self._task.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = not self._ended
        self.cut()


class EventStream(StreamingResponse):
    """Sends the feed of a running request, until its client goes away. ``over`` is called at the end."""

    media_type = "text/event-stream"

    def __init__(self, feed: Outbox, headers: Mapping[str, str], over: Callable[[], None]) -> None:
        super().__init__(
            feed.events(), headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers}
        )
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  (ASGI)
        # Not by Starlette's group of tasks: what always has something to send is never found at rest there,
        # and goes on after its client is gone.
        try:
            with _Watched(receive):
                await self.stream_response(send)
        finally:
            self._over()
