"""One connection to Redis that is known: which run of the server it goes to, and that it forgets nothing.

The counters of a server that was restarted from an old snapshot look like valid ones. So commands about them
go over this connection only: it breaks with the server, and when it is made anew it learns the run id anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

ROOT = "gradus:ledger"
KEEPS_ALL = "noeviction"
TIMEOUT_S = 2.0
SCRIPTS = ("batch", "generation")


class Connection:
    """Between :meth:`connect` and :meth:`disconnect`; everything raises what redis-py raises."""

    def __init__(self, redis_url: str) -> None:
        self.run_id = ""
        self.eviction = KEEPS_ALL
        # Its own timeout of sockets makes a task of everything that is sent.
        self._client = Redis.from_url(
            redis_url, socket_connect_timeout=TIMEOUT_S, socket_timeout=None, protocol=2
        )
        self._connection: AbstractConnection | None = None
        self._scripts: dict[str, str] = {}

    async def connect(self) -> None:
        pool = self._client.connection_pool
        async with asyncio.timeout(TIMEOUT_S):
            self._connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        for name in SCRIPTS:
            text = Path(__file__).with_name(f"{name}.lua").read_text("utf-8")
            self._scripts[name] = (await self.call("SCRIPT", "LOAD", text)).decode()
        self.run_id = await self._info("server", "run_id")
        self.eviction = await self._info("memory", "maxmemory_policy")
        if self.eviction != KEEPS_ALL:
            log.error(
                "Redis drops keys when its memory is full (maxmemory-policy %s): budgets may be forgotten. "
                "Set it to %s",
                self.eviction,
                KEEPS_ALL,
            )

    async def disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await connection.disconnect(nowait=True)
            await self._client.connection_pool.release(connection)

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, *command: str | bytes | int) -> Any:
        assert self._connection is not None, "connect first"
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub is wrong
        async with asyncio.timeout(TIMEOUT_S):
            await self._connection.send_packed_command([packed])
            return await self._connection.read_response(disable_decoding=True)

    async def script(self, name: str, *arguments: str | bytes | int) -> Any:
        """Run one of :data:`SCRIPTS`, which stand beside this file."""
        return await self.call("EVALSHA", self._scripts[name], 1, ROOT, *arguments)

    async def _info(self, section: str, field: str) -> str:
        text: str = (await self.call("INFO", section)).decode()
        return text.partition(f"{field}:")[2].split()[0]
