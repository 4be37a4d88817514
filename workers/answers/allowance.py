"""How long the answers of one query may be compared: seconds in all, and never beyond its deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workers.answers.bounded import TooMuch, ask

COMPARING_S = 10.0
"""For all algebra, validation and embedding of a query."""
RUNNING_S = 30.0
"""For all programs of a query that are run to compare them."""


class Allowance:
    """What is left of ``seconds`` by the clock, and until ``ends_monotonic_s``; then spelling decides."""

    def __init__(self, seconds: float, ends_monotonic_s: float | None = None) -> None:
        self._seconds = seconds
        self._ends_monotonic_s = ends_monotonic_s

    @property
    def left_s(self) -> float:
        """Not positive when nothing is left."""
        if self._ends_monotonic_s is None:
            return self._seconds
        return min(self._seconds, self._ends_monotonic_s - time.monotonic())

    @contextmanager
    def spending(self) -> Iterator[None]:
        """What is done inside is counted."""
        started_s = time.monotonic()
        try:
            yield
        finally:
            self._seconds -= time.monotonic() - started_s

    def ask(self, question: str, *arguments: Any, limit_s: float) -> Any:
        """As :func:`workers.answers.bounded.ask`; raises :class:`TooMuch` at once when nothing is left."""
        left_s = self.left_s
        if left_s <= 0:
            raise TooMuch(f"no time is left for {question}")
        with self.spending():
            return ask(question, *arguments, limit_s=min(limit_s, left_s), wall_s=left_s)
