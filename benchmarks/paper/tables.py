"""Markdown of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers of a column are written alike by whoever makes the cells."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def cell(interval: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A value with its 95% interval, from the JSON of :class:`benchmarks.paper.statistics.Interval`."""
    if interval is None or interval["value"] is None:
        return "–"
    text = f"{interval['value']:.{digits}f}"
    if interval["low"] is None or interval["high"] is None:
        return text
    return f"{text} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
