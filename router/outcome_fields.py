"""The fields of outcomes that are read, and what is nearly called like one: else it is missed in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, TypedDict

import msgspec

from router.outcome_cells import Row, Source, fail

_NEAR: Final = 0.8
"""Of :mod:`difflib`: two letters that changed places, in a short name."""

_Number = Annotated[float, msgspec.Meta(ge=0)] | None


class CellFields(TypedDict, total=False):
    """What is read of an action: money is text in JSON, and becomes a number while that is parsed."""

    model: Any
    strategy: Any
    samples: Any
    prompt_tokens: _Number
    right: _Number
    cost_usd: _Number
    after_probe_usd: _Number
    completion_tokens: _Number
    seconds: _Number


class RowFields(CellFields, total=False):
    """What is read of a row of either kind; of the rest of it nothing is made."""

    id: Any
    group: Any
    segment: Any
    question: Any
    messages: Any
    action: Any
    actions: dict[str, CellFields] | None
    probe: Any


_CELL: Final = frozenset(CellFields.__annotations__)
_ROW: Final = frozenset(RowFields.__annotations__)
_QUESTION: Final = _ROW - _CELL | {"prompt_tokens"}
"""Of a row a question, whose actions have the rest."""


class FieldSets:
    """Which fields rows had together so far: names are looked at once for all rows that have the same."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()

    def is_new(self, row: Mapping[str, Any]) -> bool:
        """Whether no row so far had its fields, or those of one of its ``actions``; they are kept in mind."""
        seen = self._seen
        before = len(seen)
        seen.add(tuple(row))
        actions = row.get("actions")
        if isinstance(actions, dict):
            for cell in actions.values():
                if isinstance(cell, dict):
                    seen.add(tuple(cell))
        return len(seen) > before


def check_names(row: Row, source: Source) -> None:
    """Of a whole row. A field that nobody knows is someone else's, unless one that is read is missing.

    Raises :class:`OutcomesInvalid` for a name that is nearly that of one.
    """
    actions = row.get("actions")
    if not isinstance(actions, Mapping):
        _check(row, _ROW, source)
        return
    _check(row, _QUESTION, source)
    for name, cell in actions.items():
        if isinstance(cell, Mapping):
            _check(cell, _CELL, source, f"actions: {name}: ")


def _check(given: Iterable[str], read: frozenset[str], source: Source, where: str = "") -> None:
    names = frozenset(given)
    missing = read - names
    if not names.isdisjoint({"question", "messages"}):
        missing -= {"question", "messages"}  # one of them is enough
    by_name = {each.removesuffix("_usd"): each for each in sorted(missing)}
    by_name |= {each: each for each in missing}
    for name in sorted(names - read):
        for near in get_close_matches(name.strip().lower(), by_name, n=1, cutoff=_NEAR):
            fail(source, f"{where}there is no field {name!r}; rename it if {by_name[near]!r} is meant")
