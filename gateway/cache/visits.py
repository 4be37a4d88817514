"""What the cache has for one request, and what it is given in return: a ``with`` block around its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gateway.cache.counters import Status
from gateway.cache.entries import KeptAnswer
from gateway.cache.flights import Flight
from gateway.replies import Reply


@dataclass(slots=True)
class Visit:
    """``entry`` is the answer, given ``age_s`` ago; ``None``: do the work, and ``ends`` when that is done."""

    status: Status
    entry: KeptAnswer | None = None
    age_s: float = 0.0
    reply: Reply | None = None
    completion: Mapping[str, Any] | None = None
    generations: tuple[str, ...] | None = None
    flight: Flight | None = None
    token: str = ""
    ends: Callable[[Visit, bool], None] | None = None

    def __enter__(self) -> Visit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.ends is not None:
            self.ends(self, kind is not None)

    @property
    def headers(self) -> dict[str, str]:
        age = {"age": str(int(self.age_s))} if self.entry is not None else {}
        return {"x-gradus-cache": self.status, **age}

    def keep(self, reply: Reply, completion: Mapping[str, Any] | None = None) -> None:
        """Share this answer, and keep it if it is one to be kept. ``completion`` is a server's own object."""
        self.reply, self.completion = reply, completion
