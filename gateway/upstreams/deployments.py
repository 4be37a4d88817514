"""Which of a model's deployments is asked next: balanced by weight, leaving alone those that fail.

Each gateway process keeps its own account of what it sees. Nothing here waits: callers bring the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Final

from router.config import Deployed

FAILURES_IN_A_ROW: Final = 3
"""After so many a deployment is left alone for a while."""
LONGEST_REST_S: Final = 600.0
"""However long a server asks to be left alone: limits are raised meanwhile, and keys are topped up."""


@dataclass(slots=True, eq=False)
class Place:
    """A deployment and what is known of it. Times are on the pool's clock.

    ``resting_until_s`` is what the server itself asked for (Retry-After). ``open_until_s`` is ours, after
    failures: then one call at a time tries whether it is better, and what it finds decides.
    """

    deployed: Deployed
    in_flight: int = 0
    failures: int = 0
    resting_until_s: float = -inf
    open_until_s: float | None = None
    on_trial: bool = False
    turn: float = field(default=0.0, repr=False)

    @property
    def is_full(self) -> bool:
        most = self.deployed.max_concurrent_requests
        return most is not None and self.in_flight >= most

    def free_at_s(self, now_s: float) -> float:
        """When it may be asked: ``now_s`` or later; infinity while a call is trying whether it is better."""
        if self.on_trial:
            return inf
        return max(now_s, _rests_until_s(self))


class Pool:
    """The deployments of one model, at least one. ``clock`` gives seconds that only rise."""

    def __init__(self, places: Sequence[Deployed], cooldown_s: float, clock: Callable[[], float]) -> None:
        self.places = tuple(map(Place, places))
        self._cooldown_s = cooldown_s
        self._clock = clock

    def choose(self, tried: Collection[Place] = (), *, whatever: bool = False) -> Place | None:
        """Who should be asked, of those that were not ``tried``; ``None``: nobody, now.

        The one with the fewest calls in flight for its weight; among equals, smooth weighted round robin
        (nginx's). ``whatever``: where none is free, the one that will be first, unless it is full: failing
        without asking would help nobody.
        """
        now_s = self._clock()
        able = [place for place in self.places if place not in tried and not place.is_full]
        free = [place for place in able if place.free_at_s(now_s) <= now_s]
        if not free:
            return min(able, key=_rests_until_s, default=None) if whatever else None
        least = min(map(_load, free))
        equals = [place for place in free if _load(place) == least]
        for place in equals:
            place.turn += place.deployed.weight
        chosen = max(equals, key=lambda place: place.turn)
        chosen.turn -= sum(place.deployed.weight for place in equals)
        return chosen

    @contextmanager
    def use(self, place: Place) -> Iterator[None]:
        """While it is being asked. Say :meth:`worked`, :meth:`failed` or :meth:`rest` before this ends."""
        place.in_flight += 1
        trying = place.open_until_s is not None and not place.on_trial
        place.on_trial = place.on_trial or trying
        try:
            yield
        finally:
            place.in_flight -= 1
            if trying:
                place.on_trial = False

    def worked(self, place: Place) -> None:
        """It answered, if only that the request is wrong."""
        place.failures, place.open_until_s = 0, None

    def failed(self, place: Place) -> None:
        place.failures += 1
        if place.failures >= FAILURES_IN_A_ROW or place.open_until_s is not None:
            place.open_until_s = self._clock() + self._cooldown_s

    def rest(self, place: Place, seconds: float) -> None:
        """It asked to be left alone for so long."""
        place.resting_until_s = max(place.resting_until_s, self._clock() + min(seconds, LONGEST_REST_S))

    def rests(self, place: Place) -> bool:
        return _rests_until_s(place) > self._clock()

    def rests_until_s(self) -> float:
        """When the first of those that are not full is no longer left alone, by the pool's clock."""
        return min((_rests_until_s(place) for place in self.places if not place.is_full), default=inf)

    def wait_s(self, tried: Collection[Place] = ()) -> float:
        """Until one that was not ``tried`` may be asked; infinity where no time says when."""
        now_s = self._clock()
        able = [place for place in self.places if place not in tried and not place.is_full]
        return min((place.free_at_s(now_s) for place in able), default=inf) - now_s


def _load(place: Place) -> float:
    return place.in_flight / place.deployed.weight


def _rests_until_s(place: Place) -> float:
    return max(place.resting_until_s, -inf if place.open_until_s is None else place.open_until_s)
