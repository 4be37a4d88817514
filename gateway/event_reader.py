"""The one reader of a gateway process's Redis Stream, in which workers say what becomes of their jobs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.sender import CONNECT_TIMEOUT_S

log = logging.getLogger(__name__)

RECONNECT_INTERVAL_S = 0.2
BLOCK_S = 5.0
READ_AT_ONCE = 1000  # events
STREAM_TTL_S = 3600  # so that the stream of a gateway that was killed goes away
TRIM_INTERVAL_S = 10.0


class EventReader:
    """Reads the stream ``key`` between :meth:`start` and :meth:`stop`, whatever happens to Redis meanwhile.

    ``hand_over`` gets the fields of every entry; ``reconnected`` is called when Redis is back, and when it
    forgot everything (FLUSHALL): then its ``mark`` is gone.
    """

    def __init__(
        self,
        redis_url: str,
        key: str,
        hand_over: Callable[[dict[bytes, bytes]], None],
        reconnected: Callable[[], None],
    ) -> None:
        self._redis_url, self._key = redis_url, key
        self._hand_over, self._reconnected = hand_over, reconnected
        self.mark = f"{key}:mark"
        self.connected = False
        self._was_lost = self._marked = False
        self._look_at_s = 0.0
        self._trim_at_s = 0.0
        self._can_trim = True

    async def start(self) -> None:
        """Redis need not be there yet."""
        # A connection of its own, because its reads block. Without redis-py's own timeout: before Python 3.12
        # its wait_for forgets a cancellation, and with it that the reader is to stop.
        self._redis = Redis.from_url(
            self._redis_url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=None, protocol=2
        )
        self._task = asyncio.create_task(self._read(), name="gradus-event-reader")

    @property
    def lives(self) -> bool:
        return not self._task.done()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._redis.aclose()

    async def _read(self) -> None:
        last_id: Any = "0-0"
        while True:
            try:
                async with asyncio.timeout(2 * BLOCK_S):  # notices a host that vanished
                    await self._look()
                    if not self.connected:
                        self._greet()
                    # [[stream, [(entry id, fields), ...]]], or nothing
                    answer: Any = await self._redis.xread(
                        {self._key: last_id}, count=READ_AT_ONCE, block=int(BLOCK_S * 1000)
                    )
                    if answer:
                        await self._trim(last_id)
            except (RedisError, OSError) as error:
                if not self._was_lost:
                    said = str(error) or "not in time"
                    log.warning("Redis does not answer (%s); trying again until it does", said)
                self.connected, self._was_lost = False, True
                self._marked, self._look_at_s = False, 0.0
                await asyncio.sleep(RECONNECT_INTERVAL_S)
                continue
            for _, entries in answer or ():
                for entry_id, fields in entries:
                    last_id = entry_id
                    self._pass_on(entry_id, fields)

    def _pass_on(self, entry_id: Any, fields: Mapping[bytes, bytes]) -> None:
        try:
            self._hand_over(dict(fields))
        except Exception:  # one bad entry must not end the reading for everybody
            log.exception("entry %r of %s is left out: %r", entry_id, self._key, fields)

    def _greet(self) -> None:
        self.connected = True
        if self._was_lost:
            log.warning("Redis answers again")
            self._was_lost = False
            self._reconnected()

    async def _look(self) -> None:
        """Notice, now and then, that Redis forgot everything, though the connection holds.

        It writes, so that one which is full, or a replica, is not yet back: it answers and takes nothing.
        """
        if time.monotonic() < self._look_at_s:
            return
        self._look_at_s = time.monotonic() + BLOCK_S
        if not await self._redis.expire(self.mark, STREAM_TTL_S):
            await self._redis.set(self.mark, "1", ex=STREAM_TTL_S)
            if self._marked:
                log.warning("Redis forgot everything; jobs that waited in it are sent again")
                self._reconnected()
            self._marked = True

    async def _trim(self, read_id: Any) -> None:
        """Drop what was read, now and then, so that Redis holds no answers that nobody waits for."""
        if time.monotonic() > self._trim_at_s:
            self._trim_at_s = time.monotonic() + TRIM_INTERVAL_S
            await self._redis.expire(self._key, STREAM_TTL_S)
            if self._can_trim:
                await self._drop_read(read_id)

    async def _drop_read(self, read_id: Any) -> None:
        try:
            await self._redis.xtrim(self._key, minid=read_id)
        except ResponseError as error:
            self._can_trim = False  # the stream is short all the same: workers write it with a MAXLEN
            log.warning("Redis does not trim streams by id (%s), which needs Redis 6.2 or later", error)
