"""Tables and numbers in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

_AS_IT_IS = ("#", "|", "!", "```")


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def interval(share: Mapping[str, float] | None, *, signed: bool = False) -> str:
    """A :class:`workers.training.abacus.evaluate.Share` as a value and its interval."""
    if share is None:
        return "–"
    shape = "+.3f" if signed else ".3f"
    return f"{share['value']:{shape}} [{share['low']:{shape}}, {share['high']:{shape}}]"


def wrapped(text: str) -> str:
    """Markdown with its plain paragraphs in lines of at most 110 characters."""
    blocks = text.rstrip("\n").split("\n\n")
    return "\n\n".join(one if one.startswith(_AS_IT_IS) else _fill(one) for one in blocks) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([_row(header), _row(["---"] * len(header)), *map(_row, rows)])


def _fill(paragraph: str) -> str:
    return textwrap.fill(" ".join(paragraph.split()), 110, break_long_words=False, break_on_hyphens=False)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
