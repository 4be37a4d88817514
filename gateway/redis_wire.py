"""A connection to Redis for commands that go out together: one write, and one wake-up when all is answered.

redis-py makes it (address, password, TLS), and reads no more: its way of reading takes as long for each
answer as Redis does (docs/decisions/0013).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import hiredis
from redis._parsers import _RESP2Parser
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError

Argument = str | bytes | int | float


class Wire(asyncio.Protocol):
    """One batch at a time; for one event loop. Whoever gives up waiting closes it."""

    def __init__(self, client: Redis, connection: AbstractConnection) -> None:
        self._client, self._connection = client, connection
        self._reader = hiredis.Reader(replyError=_RESP2Parser.parse_error)
        self._asked: asyncio.Future[list[Any]] | None = None
        self._answers: list[Any] = []
        self._missing = 0
        self._lost: ConnectionError | None = None
        self._transport: asyncio.WriteTransport = connection._writer.transport  # type: ignore[union-attr]
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, client: Redis) -> Wire:
        """Raises what redis-py does, and :class:`OSError`."""
        connection: AbstractConnection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        return cls(client, connection)

    def ask(self, commands: Sequence[Sequence[Argument]]) -> asyncio.Future[list[Any]]:
        """Their answers in order; where Redis refused one, its error. Raises redis-py's ConnectionError."""
        assert self._asked is None, "one batch at a time"
        asked: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if self._lost is not None:
            asked.set_exception(self._lost)
            return asked
        self._asked, self._missing = asked, len(commands)
        packed = [hiredis.pack_command(tuple(each)) for each in commands]  # type: ignore[arg-type]  # a wrong stub
        self._transport.write(b"".join(packed))
        return asked

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)
        await self._client.connection_pool.release(self._connection)

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while self._missing and (answer := self._reader.gets()) is not False:
                self._answers.append(answer)
                self._missing -= 1
        except hiredis.ProtocolError as error:
            self._end(ConnectionError(f"what it says is not Redis's protocol: {error}"))
            return
        if not self._missing and self._asked is not None:
            asked, answers = self._asked, self._answers
            self._asked, self._answers = None, []
            if not asked.done():
                asked.set_result(answers)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(ConnectionError(f"the connection was closed: {error or 'by the server'}"))

    def _end(self, error: ConnectionError) -> None:
        self._lost = self._lost or error
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)
        self._asked = None
