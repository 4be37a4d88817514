"""The configuration is read anew by the gateway that was asked for it, and by all that share its database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.store.database import Database
from gateway.store.errors import StoreError
from gateway.store.reloads import count_reload, reloads
from router.errors import RouterError

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""How often a gateway asks whether another one was told to reload."""


class Reloading:
    """Reloads one after the other, so that the file that was read last is what is served.

    ``read`` serves what the configuration says now, and gives what was amiss; if it fails, nothing changed.
    """

    def __init__(self, database: Database, read: Callable[[], Awaitable[list[str]]]) -> None:
        self._database, self._read = database, read
        self._known = 0
        self._one_at_a_time = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch for other gateways' reloads.

        Whether those from before the first look came after our file was read, nobody knows: then too it is
        read again.
        """
        self._watching = asyncio.create_task(self._watch(), name="gradus-reloads")

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def reload(self) -> list[str]:
        """What was amiss. Raises :class:`RouterError`, and then nothing has changed, and nobody is told."""
        async with self._one_at_a_time:
            warnings = await self._read()
            try:
                number = await asyncio.to_thread(count_reload, self._database)
            except StoreError as error:
                return [*warnings, f"other gateways were not told to reload: {error}"]
            if self._known == number - 1:
                self._known = number  # else another's came meanwhile, for a file that is newer, perhaps
            return warnings

    async def _watch(self) -> None:
        while True:
            if await self._number() not in (None, self._known):
                async with self._one_at_a_time:
                    await self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> None:
        number = await self._number()  # asked again: a reload of ours may have ended just now
        if number is not None and number != self._known:
            self._known = number
            await self._follow()

    async def _number(self) -> int | None:
        try:
            return await asyncio.to_thread(reloads, self._database)
        except StoreError:
            return None  # the ledger says that the database is away
        except Exception:
            log.exception("nobody knows whether another gateway reloaded; it is looked up again")
            return None

    async def _follow(self) -> None:
        """Each gateway reads its own file; one that is wrong is tried again at the next reload."""
        try:
            await self._read()
        except RouterError as error:
            log.error("a gateway was told to reload; here the configuration from before stays: %s", error)
        except Exception:
            log.exception("a gateway was told to reload; here the configuration from before stays")
        else:
            log.info("the configuration was read again: a gateway of this database was told to reload")
