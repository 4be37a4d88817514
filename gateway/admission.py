"""How many requests a process works on at once, and whether it takes any: decided before a body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import GatewayError, to_http

POLL_S: Final = 0.05
_ADMIN: Final = "/v1/gradus/admin/"


class Overloaded(GatewayError):
    code = "overloaded"


class Stopping(GatewayError):
    code = "stopping"


class Doors:
    """Of one process. ``running`` requests are inside; ``stopping``: nobody is let in any more.

    ``cuts`` end requests that are under way, with an error that says why.
    """

    def __init__(self) -> None:
        self.running = 0
        self.stopping = False
        self.cuts: set[Callable[[], object]] = set()

    def check(self, most: int) -> None:
        """Raises :class:`Stopping` or :class:`Overloaded`."""
        if self.stopping:
            raise Stopping("This gateway process is being stopped, and takes no new requests; ask again.")
        if self.running >= most:
            raise Overloaded(
                f"This gateway process works on {self.running} requests, and takes no more at once "
                "(server.max_concurrent_requests); ask again in a moment, or start another process."
            )

    async def emptied(self, patience_s: float, in_a_hurry: Callable[[], bool]) -> None:
        """Wait until the last is out, or for so long, or while there is no hurry."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + patience_s
        while self.running and loop.time() < give_up_s and not in_a_hurry():
            await asyncio.sleep(POLL_S)

    def cut_off(self) -> None:
        """End what is under way: there is no more time for it."""
        for cut in tuple(self.cuts):
            cut()


class Admission:
    """Middleware that counts what may take long: everything that is posted, but for the admin's."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].startswith(_ADMIN):
            await self._app(scope, receive, send)
            return
        doors = self._doors
        try:
            doors.check(scope["app"].state.gateway.config.server.max_concurrent_requests)
        except (Stopping, Overloaded) as error:
            answer = to_http(error)
            scope.setdefault("state", {})["error_code"] = error.code
            answer.headers["connection"] = "close"  # else the server would read the body all the same
            await answer.response()(scope, receive, send)
            return
        doors.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            doors.running -= 1
