"""What a request says of the cache: the header ``Cache-Control`` (RFC 9111, section 5.2.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Control:
    """``reads``: the answer may come out of the cache, if it is not older than ``max_age_s``. ``keeps``: it
    may go into it. ``only``: it must come out of it (``only-if-cached``)."""

    reads: bool = True
    keeps: bool = True
    max_age_s: float | None = None
    only: bool = False

    def allows(self, age_s: float) -> bool:
        """Whether an answer of this age is new enough."""
        return self.max_age_s is None or age_s <= self.max_age_s


_NOTHING_SAID: Final = Control()


def control_of(headers: Iterable[str]) -> Control:
    """Of all headers of that name. What is not understood is left out, as the RFC wants it."""
    header = ",".join(headers)
    if not header:
        return _NOTHING_SAID
    said = dict(_directives(header))
    only = "only-if-cached" in said
    if "no-store" in said:
        return Control(reads=False, keeps=False, only=only)
    max_age_s = _seconds(said["max-age"]) if "max-age" in said else None
    return Control(reads="no-cache" not in said and max_age_s != 0, max_age_s=max_age_s, only=only)


def _directives(header: str) -> list[tuple[str, str]]:
    pairs = (each.partition("=") for each in header.split(","))
    return [(name.strip().lower(), value.strip().strip('"')) for name, _, value in pairs]


def _seconds(text: str) -> float:
    """What is no number of seconds means: no answer is new enough."""
    return float(text) if text.isdecimal() else 0
