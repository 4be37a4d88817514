"""One connection to Redis for all who ask: what is asked at once goes out together, and comes back in order.

A connection each, of redis-py's pool, took ten times the processor of what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, NoScriptError, RedisError, ResponseError

Argument = str | bytes | int | float
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
        self._connection: AbstractConnection | None = None
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
                    for _, answer in (*batch, *self._queue):  # else they would wait in turn, a timeout each
                        _fail(answer, error)
                    self._queue.clear()
                except BaseException as error:  # it is being closed
                    for _, answer in (*batch, *self._queue):
                        _fail(answer, ConnectionError(f"the connection was closed: {error!r}"))
                    raise
        finally:
            self._sending = None

    async def _send_batch(self, batch: list[tuple[tuple[Argument, ...], asyncio.Future[Any]]]) -> None:
        known = self._connection is not None
        try:
            answers = await self._ask([command for command, _ in batch])
        except (RedisError, OSError):
            if not known:
                raise
            answers = await self._ask([command for command, _ in batch])  # Redis was started again meanwhile
        for (_, answer), said in zip(batch, answers, strict=True):
            if isinstance(said, ResponseError):
                _fail(answer, said)
            elif not answer.done():
                answer.set_result(said)
        if any(isinstance(said, NoScriptError) for said in answers):
            await self._disconnect()  # somebody flushed them: they are loaded with the next connection

    async def _ask(self, commands: list[tuple[Argument, ...]]) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._connection or await self._connect()
                return await _exchange(connection, [self._named(command) for command in commands])
        except BaseException:
            await self._disconnect()
            raise

    async def _connect(self) -> AbstractConnection:
        pool = self._client.connection_pool
        connection: AbstractConnection = await pool.get_connection()  # type: ignore[no-untyped-call]
        self._connection = connection
        loads = [("SCRIPT", "LOAD", text) for text in self._scripts.values()]
        for name, sha1 in zip(self._scripts, await _exchange(connection, loads), strict=True):
            self._sha1[name] = sha1
        return connection

    def _named(self, command: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return (SCRIPT, self._sha1[str(command[1])], *command[2:]) if command[0] == SCRIPT else command

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
            await self._client.connection_pool.release(connection)


async def _exchange(connection: AbstractConnection, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
    """Each command's answer; where Redis refused it, its error."""
    packed = [hiredis.pack_command(each) for each in commands]  # type: ignore[arg-type]  # its stub is wrong
    await connection.send_packed_command(packed)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response(disable_decoding=True, disconnect_on_error=False))
        except ResponseError as error:
            answers.append(error)
    return answers


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
