"""Which of a model's deployments is asked next: balanced by weight, leaving alone those that fail.

Each gateway process keeps its own account of what it sees. Nothing here waits: callers bring the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import Final
from urllib.parse import urlsplit

from router.config import Deployed

FAILURES_IN_A_ROW: Final = 3
"""After so many a deployment is left alone for a while."""
LONGEST_REST_S: Final = 600.0
"""However long a server asks to be left alone: limits are raised meanwhile, and keys are topped up."""


@dataclass(slots=True, eq=False)
class Place:
    """A deployment and what is known of it. Times are on the pool's clock.

    ``name`` says where it is, and what the model is called there.

    ``resting_until_s`` is what the server itself asked for (Retry-After). ``open_until_s`` is ours, after
    failures: then one call at a time tries whether it is better, and what it finds decides.
    """

    deployed: Deployed
    name: str = field(init=False)
    in_flight: int = 0
    failures: int = 0
    resting_until_s: float = -inf
    open_until_s: float | None = None
    on_trial: bool = False
    turn: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        host = urlsplit(self.deployed.base_url or "").netloc.rpartition("@")[2]
        self.name = f"{host}/{self.deployed.model}" if host else self.deployed.model

    @property
    def is_full(self) -> bool:
        most = self.deployed.max_concurrent_requests
        return most is not None and self.in_flight >= most

    @property
    def rests_until_s(self) -> float:
        """Until when it is left alone."""
        open_until_s = self.open_until_s
        return self.resting_until_s if open_until_s is None else max(self.resting_until_s, open_until_s)

    def free_at_s(self, now_s: float) -> float:
        """When it may be asked: ``now_s`` or later; infinity while a call is trying whether it is better."""
        return inf if self.on_trial else max(now_s, self.rests_until_s)


class using:
    """While a place is being asked. Tell its pool how it did before this ends."""

    __slots__ = ("_place", "_trying")

    def __init__(self, place: Place) -> None:
        self._place = place

    def __enter__(self) -> None:
        place = self._place
        place.in_flight += 1
        self._trying = place.open_until_s is not None and not place.on_trial
        if self._trying:
            place.on_trial = True

    def __exit__(self, *_: object) -> None:
        self._place.in_flight -= 1
        if self._trying:
            self._place.on_trial = False


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
        now_s, least = self._clock(), inf
        equals: list[Place] = []
        for place in self.places:
            if place in tried or place.is_full or place.free_at_s(now_s) > now_s:
                continue
            load = place.in_flight / place.deployed.weight
            if load < least:
                least, equals = load, [place]
            elif load == least:
                equals.append(place)
        if not equals:
            able = [place for place in self.places if place not in tried and not place.is_full]
            return min(able, key=attrgetter("rests_until_s"), default=None) if whatever else None
        if len(equals) == 1:
            return equals[0]
        for place in equals:
            place.turn += place.deployed.weight
        chosen = max(equals, key=lambda place: place.turn)
        chosen.turn -= sum(place.deployed.weight for place in equals)
        return chosen

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
        return place.rests_until_s > self._clock()

    def rests_until_s(self) -> float:
        """When the first of those that are not full is no longer left alone, by the pool's clock."""
        return min((place.rests_until_s for place in self.places if not place.is_full), default=inf)

    def wait_s(self, tried: Collection[Place] = ()) -> float:
        """Until one that was not ``tried`` may be asked; infinity where no time says when."""
        now_s = self._clock()
        able = [place for place in self.places if place not in tried and not place.is_full]
        return min([place.free_at_s(now_s) for place in able], default=inf) - now_s
