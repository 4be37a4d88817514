"""Requests that end before they are answered: their client left, or the process has no more time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from gateway.admission import Doors, Stopping
from gateway.api.leaving import whole


class Asking:
    """A request whose client leaves when it is told to, and the answer to it, which never comes."""

    def __init__(self) -> None:
        self.doors, self.leaves = Doors(), asyncio.Event()
        self.begun, self.ended = asyncio.Event(), False

    async def receive(self) -> dict[str, Any]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def answer(self) -> str:
        self.begun.set()
        try:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]
        finally:
            self.ended = True

    async def whole(self) -> str | None:
        app = SimpleNamespace(state=SimpleNamespace(doors=self.doors))
        return await whole(cast(Request, SimpleNamespace(receive=self.receive, app=app)), self.answer())


def _ended_by(end: Callable[[Asking, asyncio.Task[Any]], object]) -> tuple[Asking, str | None]:
    async def run() -> tuple[Asking, str | None]:
        asking = Asking()
        task = asyncio.create_task(asking.whole())
        await asking.begun.wait()
        await asyncio.sleep(0)  # it is watched for
        end(asking, task)
        return asking, await _result(task)

    return asyncio.run(run())


async def _result(task: Awaitable[str | None]) -> str | None:
    async with asyncio.timeout(30):
        return await task


def test_a_client_that_leaves_ends_its_request() -> None:
    asking, said = _ended_by(lambda asking, _: asking.leaves.set())
    assert said is None
    assert asking.ended
    assert not asking.doors.cuts


def test_a_request_that_is_cut_off_ends_with_an_error_that_says_why() -> None:
    with pytest.raises(Stopping, match="no time to end"):
        _ended_by(lambda asking, _: asking.doors.cut_off())


def test_who_is_cancelled_by_another_is_not_taken_for_a_client_that_left() -> None:
    with pytest.raises(asyncio.CancelledError):
        _ended_by(lambda _, task: task.cancel())

    def both(asking: Asking, task: asyncio.Task[Any]) -> None:
        asking.doors.cut_off()
        task.cancel()

    with pytest.raises(asyncio.CancelledError):
        _ended_by(both)
