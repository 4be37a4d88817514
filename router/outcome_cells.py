"""The cells of outcomes: what is known of a question and an action, from rows to arrays.

Built for millions: the fields of all cells are kept in one list as they came, and at the end read column by
column, checked and put in place by numpy. Only when that fails is the row at fault looked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any, NoReturn, cast, get_args

import numpy as np
from numpy.typing import NDArray

from router.errors import OutcomesInvalid
from router.outcome_table import Action, Floats
from router.outcomes import LARGE, SMALL
from router.types import StrategyName

Indices = NDArray[np.intp]

Row = Mapping[str, Any]
Source = tuple[Path, int]
"""A file and the line in it."""

CELL = ("right", "cost_usd", "after_probe_usd", "completion_tokens", "seconds")
"""What is known of a question and an action."""

_WHO = ("model", "strategy", "samples")
_FIELDS = (*_WHO, "prompt_tokens", *CELL)

_SEARCH = re.compile(rf"({'|'.join(get_args(StrategyName))})(?:\([^)]*\))?@(\d+)")
_TRUE = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "": None}


class Cells:
    """Takes the cells of rows in any order. ``actions`` are columns that are there already."""

    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._places = {action.name: column for column, action in enumerate(actions)}
        self._actions = list(actions)
        # By row, with how many cells there are up to its last one.
        self._questions: list[int] = []
        self._sources: list[Source] = []
        self._ends: list[int] = []
        # By cell: the name of its action, and its fields, all behind one another.
        self._names: list[str] = []
        self._values: list[Any] = []

    @property
    def actions(self) -> tuple[Action, ...]:
        """By column, once :meth:`columns` was asked for."""
        return tuple(self._actions)

    def add(self, question: int, cells: Iterable[tuple[str, Any]], source: Source) -> None:
        """A row's cells, by the name of the action."""
        for name, cell in cells:
            if not isinstance(cell, dict):
                fail(source, f'actions: {name}: not an object; give {{"right": 1, "cost_usd": ...}}')
            self._names.append(name)
            self._values += map(cell.get, _FIELDS)
        self._questions.append(question)
        self._sources.append(source)
        self._ends.append(len(self._names))

    def questions(self) -> Indices:
        """[cells]"""
        return np.repeat(np.array(self._questions, dtype=np.intp), np.diff(self._ends, prepend=0))

    def columns(self) -> Indices:
        """[cells]; actions that are new get a column. Raises :class:`OutcomesInvalid`."""
        models, strategies, samples = map(self._given, _WHO)
        keys = list(zip(self._names, models, strategies, samples, strict=True))
        found: dict[tuple[str, Any, Any, Any], int] = {}
        try:
            places = [found.setdefault(key, len(found)) for key in keys]
        except TypeError:
            at = next(k for k, key in enumerate(keys) if not all(isinstance(each, Hashable) for each in key))
            name, *who = keys[at]
            fail(self.source(at), f"{name}: model, strategy and samples are names and a number, not {who!r}")
        sources = [self.source(places.index(place)) for place in found.values()]
        columns = [
            self._column(_action(*key, source), source) for key, source in zip(found, sources, strict=True)
        ]
        return np.array(columns, dtype=np.intp)[places]

    def prompt_tokens(self, columns: Indices) -> dict[int, float]:
        """By cell, where known."""
        # Searches by steps read their prompt many times; a direct answer once.
        direct = [action.strategy == "direct" for action in self._actions]
        found: dict[int, float] = {}
        for cell, value in enumerate(self._given("prompt_tokens")):
            if value is not None and direct[columns[cell]]:
                tokens = number(value, "prompt_tokens", self.source(cell))
                if tokens is not None:
                    found[cell] = tokens
        return found

    def numbers(self) -> Floats:
        """[fields, cells] by :data:`CELL`. Raises :class:`OutcomesInvalid` for none, or out of range."""
        values = np.stack([self._read(field) for field in CELL])
        wrong = (values < 0) | np.isinf(values)
        wrong[0] |= values[0] > 1
        for cell, field in np.argwhere(wrong.T):
            rule = "from 0 (wrong) to 1 (right)" if field == 0 else "a number from 0"
            given = self._given(CELL[field])[cell]
            fail(self.source(cell), f"{CELL[field]} must be {rule}, not {given!r}")
        return values

    def source(self, cell: int) -> Source:
        return self._sources[bisect_right(self._ends, cell)]

    def _given(self, field: str) -> list[Any]:
        """[cells] as they came."""
        return self._values[_FIELDS.index(field) :: len(_FIELDS)]

    def _column(self, action: Action, source: Source) -> int:
        known = self._places.setdefault(action.name, len(self._actions))
        if known == len(self._actions):
            self._actions.append(action)
        elif action.model != self._actions[known].model and action.model not in (SMALL, action.name):
            if self._actions[known].model not in (SMALL, action.name):
                fail(
                    source,
                    f"action {action.name!r} is of the model {action.model!r} here and of "
                    f"{self._actions[known].model!r} further up; give them two names",
                )
            self._actions[known] = action
        return known

    def _read(self, field: str) -> Floats:
        """[cells]"""
        column = self._given(field)
        try:
            values = np.array(column, dtype=np.float64)
        except (ValueError, TypeError):
            values = np.empty(())
        # "NaN" in text, or as JSON is not: what is unknown is null, so more of them are looked at one by one.
        if values.ndim == 1 and np.count_nonzero(np.isnan(values)) == column.count(None):
            return values
        return np.array([self._read_one(field, value, cell) for cell, value in enumerate(column)])

    def _read_one(self, field: str, value: Any, cell: int) -> float:
        """By itself: CSV says "true" and leaves unknown fields empty."""
        given = _TRUE.get(value.strip().lower(), value) if isinstance(value, str) else value
        try:
            read = np.nan if given is None else float(given)
        except (TypeError, ValueError):
            read, given = np.nan, value
        if given is not None and isnan(read):
            fail(self.source(cell), f"{field} must be a number, or null if unknown, not {value!r}")
        return read


def number(value: Any, name: str, source: Source) -> float | None:
    """A number of 0 or more, also in text; ``None`` where nobody knows."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        fail(source, f"{name}: a number of 0 or more is wanted, not {value!r}")
    if not 0 <= number < float("inf"):
        fail(source, f"{name}: a number of 0 or more is wanted, not {value!r}")
    return number


def _action(name: str, model: Any, strategy: Any, samples: Any, source: Source) -> Action:
    """What a name and the fields beside it say: "majority@16" is a search, "small" one sample."""
    match = _SEARCH.fullmatch(name)
    try:
        budget = int(samples or (match[2] if match else 1))
    except (TypeError, ValueError):
        fail(source, f"samples must be a whole number, not {samples!r}")
    how = strategy or (match[1] if match else "direct")
    if how not in get_args(StrategyName):
        fail(source, f"strategy {how!r}; there are {', '.join(get_args(StrategyName))}")
    if name == SMALL or how != "direct":
        return Action(name, "small", str(model or SMALL), cast("StrategyName", how), budget)
    return Action(str(model) if name == LARGE and model else name, "large", str(model or name))


def fail(source: Source, problem: str) -> NoReturn:
    raise OutcomesInvalid(f"{source[0]}:{source[1]}: {problem}")
