"""Equal requests that this process answers at the same time: one does the work, the others wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.cache.entries import KeptAnswer

MOST_LEADERS = 2
"""After so many that failed the rest go alone: one after the other, they would wait too long."""


@dataclass(slots=True)
class Flight:
    """Whoever holds ``lock`` leads; the others wait for it, first come, first served.

    ``entry`` is what they get once it is there, ``found`` says that it was in the cache already. ``alone``:
    there will be nothing to get. ``generations`` are those of its answer, ``None`` while it looks for them.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    aboard: int = 0
    leaders: int = 0
    entry: KeptAnswer | None = None
    found: bool = False
    alone: bool = False
    generations: tuple[str, ...] | None = None

    @property
    def is_over(self) -> bool:
        return self.alone or self.entry is not None


class Flights:
    """Those under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    @property
    def under_way(self) -> Mapping[str, Flight]:
        return self._flights

    async def board(self, key: str, deadline_s: float, generations: tuple[str, ...] | None = None) -> Flight:
        """Take part, and return when it is this one's turn: it holds the lock then.

        A flight of other ``generations`` began before a purge: its answer is not for this one, which takes
        another. ``deadline_s`` is on the event loop's clock. Raises :class:`TimeoutError`.
        """
        flight = self._flights.get(key)
        if flight is None or flight.generations not in (None, generations):
            flight = self._flights[key] = Flight()
        flight.aboard += 1
        try:
            if flight.aboard > 1:  # the lock may be free, and somebody before this one about to take it
                async with asyncio.timeout_at(deadline_s):
                    await flight.lock.acquire()
            else:
                await flight.lock.acquire()
        except BaseException:
            self._left(key, flight)
            raise
        return flight

    def leave(self, key: str, flight: Flight) -> None:
        """Give the lock to the next. Who comes after a flight is over takes another."""
        flight.lock.release()
        self._left(key, flight)

    def _left(self, key: str, flight: Flight) -> None:
        flight.aboard -= 1
        if (flight.is_over or not flight.aboard) and self._flights.get(key) is flight:
            del self._flights[key]
