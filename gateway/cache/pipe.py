"""One connection to Redis for all who ask: what is asked at once goes out together, and comes back in order.

A connection each, of redis-py's pool, took ten times the processor of what is asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, NoScriptError, RedisError

from gateway.redis_wire import Argument, Wire

SCRIPT: Final = "EVALSHA"
MOST_AT_ONCE: Final = 200


class Pipe:
    """Connects when it is first asked. ``scripts`` are Lua, by name; a batch must be answered in time."""

    def __init__(self, redis_url: str, scripts: Mapping[str, str], timeout_s: float) -> None:
        self._client = Redis.from_url(
            redis_url, socket_connect_timeout=timeout_s, socket_timeout=None, protocol=2
        )
        self._scripts, self._timeout_s = scripts, timeout_s
        self._sha1: dict[str, str] = {}
        self._wire: Wire | None = None
        self._queue: deque[tuple[tuple[Argument, ...], asyncio.Future[Any]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """The answer, or what redis-py raises, or :class:`OSError`. What is cancelled may be done anyway.

        ``SCRIPT, NAME, ...`` runs a script as EVALSHA does.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((command, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return answer

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        await self._disconnect()
        await self._client.aclose()

    async def _send(self) -> None:
        """Batch after batch, until nobody asks any more."""
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_AT_ONCE))]
                try:
                    await self._send_batch(batch)
                except (RedisError, OSError) as error:
                    for _, answer in batch:
                        _fail(answer, error)
                except BaseException as error:  # it is being closed
                    for _, answer in (*batch, *self._queue):
                        _fail(answer, ConnectionError(f"the connection was closed: {error!r}"))
                    raise
        finally:
            self._sending = None

    async def _send_batch(self, batch: list[tuple[tuple[Argument, ...], asyncio.Future[Any]]]) -> None:
        known = self._wire is not None
        try:
            answers = await self._ask([command for command, _ in batch])
        except (RedisError, OSError):
            if not known:
                raise
            answers = await self._ask([command for command, _ in batch])  # Redis was started again meanwhile
        for (_, answer), said in zip(batch, answers, strict=True):
            if isinstance(said, RedisError):
                _fail(answer, said)
            elif not answer.done():
                answer.set_result(said)
        if any(isinstance(said, NoScriptError) for said in answers):
            await self._disconnect()  # somebody flushed them: they are loaded with the next connection

    async def _ask(self, commands: list[tuple[Argument, ...]]) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                wire = self._wire or await self._connect()
                return await wire.ask([self._named(command) for command in commands])
        except BaseException:
            await self._disconnect()
            raise

    async def _connect(self) -> Wire:
        self._wire = wire = await Wire.open(self._client)
        loads = [("SCRIPT", "LOAD", text) for text in self._scripts.values()]
        for name, sha1 in zip(self._scripts, await wire.ask(loads) if loads else (), strict=True):
            if isinstance(sha1, Exception):
                raise sha1
            self._sha1[name] = sha1
        return wire

    def _named(self, command: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return (SCRIPT, self._sha1[str(command[1])], *command[2:]) if command[0] == SCRIPT else command

    async def _disconnect(self) -> None:
        if self._wire is not None:
            wire, self._wire = self._wire, None
            await wire.close()


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
