"""When to stop: stop texts and step ends in a text that arrives in pieces; cancellation and deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from workers.protocols import Cancellation


class End(NamedTuple):
    """``length`` characters of the text are kept; ``ended`` is the reason, as in ``Completion.ended``."""

    length: int
    ended: str


class StopTexts:
    """Finds the first stop in a growing text.

    ``stop`` texts are cut off ("stop"), ``stop_after`` texts stay ("step"). The match that begins first
    wins; of two that begin together, the ``stop`` text.
    """

    def __init__(self, stop: Sequence[str], stop_after: Sequence[str]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._stop_after = tuple(text for text in stop_after if text)
        self._longest = max((len(text) for text in self._stop + self._stop_after), default=0)

    def find(self, text: str, seen: int = 0) -> End | None:
        """The first stop in ``text``, of which ``seen`` characters were searched before."""
        start = max(0, seen - self._longest + 1)
        found: tuple[int, int, str, int] | None = None
        for rank, (kind, stops) in enumerate((("stop", self._stop), ("step", self._stop_after))):
            for stop in stops:
                at = text.find(stop, start)
                if at >= 0:
                    kept = at if kind == "stop" else at + len(stop)
                    match = (at, rank, kind, kept)
                    found = match if found is None else min(found, match)
        return None if found is None else End(found[3], found[2])

    def settled(self, text: str) -> int:
        """How many leading characters of ``text`` (which holds no stop) can no longer be part of one."""
        return len(text) - max((_overlap(text, stop) for stop in self._stop), default=0)


def is_over(cancellation: Cancellation | None) -> bool:
    """Whether a generation is cancelled or past its deadline."""
    if cancellation is None:
        return False
    deadline_s = cancellation.deadline_monotonic_s
    return cancellation.cancelled or (deadline_s is not None and time.monotonic() >= deadline_s)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest proper prefix of ``stop`` that ``text`` ends with."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
