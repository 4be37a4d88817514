"""From rows of outcomes, as files and the gateway's records have them, to an :class:`OutcomeTable`.

Built for a million rows: a cell is one tuple, and all numbers are read, checked and put in place by numpy at
the end. Only when that fails is the row at fault looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn, cast, get_args

import numpy as np

from router.errors import OutcomesInvalid
from router.features.conversation import bounded, text_of
from router.outcome_table import Action, Floats, OutcomeTable
from router.outcomes import LARGE, SMALL
from router.types import Evidence, StrategyName

Row = Mapping[str, Any]
Source = tuple[Path, int]
"""A file and the line in it."""

CELL = ("right", "cost_usd", "after_probe_usd", "completion_tokens", "seconds")
"""What is known of a question and an action."""

_SEARCH = re.compile(rf"({'|'.join(get_args(StrategyName))})(?:\([^)]*\))?@(\d+)")
_TRUE = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "": None}


class RowTable:
    """Takes rows in any order, and makes a table of them.

    ``actions`` are columns that the table has even where no row names them, in front of all others.
    """

    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._columns = {action.name: column for column, action in enumerate(actions)}
        self._actions = list(actions)
        self._keys: dict[tuple[Any, ...], int] = {}
        self._rows: dict[str, int] = {}
        self._prompts: list[str] = []
        self._groups: list[str] = []
        self._segments: list[str] = []
        self._evidence: list[Evidence | None] = []
        self._numbers: list[list[Any]] = []
        self._cells: list[tuple[Any, ...]] = []
        self._places: list[tuple[int, int]] = []
        self._sources: list[Source] = []

    def __len__(self) -> int:
        return len(self._prompts)

    def __contains__(self, question_id: str) -> bool:
        return question_id in self._rows

    def ids(self) -> tuple[str, ...]:
        return tuple(self._rows)

    @property
    def actions(self) -> tuple[Action, ...]:
        return tuple(self._actions)

    def add(self, row: Row, source: Source) -> None:
        """A row a question and action (it has an ``action``), or a row a question (``actions``)."""
        if not isinstance(row, Mapping):
            _fail(source, 'not an object; a row looks like {"id": "1", "question": "...", "action": ...}')
        if "action" in row:
            if not isinstance(row["action"], str) or not row["action"]:
                _fail(
                    source,
                    f'action: a name is wanted ("small", "majority@16", a model), not {row["action"]!r}',
                )
            question = self._question(row, source)
            self._add_cell(question, row["action"], row, source)
            if row.get("probe") is not None:
                self._add_probe(question, row["probe"], source)
        elif isinstance(row.get("actions"), Mapping):
            question = self._question(row, source)
            for name, cell in row["actions"].items():
                if not isinstance(cell, Mapping):
                    _fail(source, f'actions: {name}: not an object; give {{"right": 1, "cost_usd": ...}}')
                self._add_cell(question, name, cell, source)
            if row.get("probe") is not None:
                self._add_probe(question, row["probe"], source)
            if row.get("prompt_tokens") is not None:
                self._numbers[question][0] = _count(row["prompt_tokens"], "prompt_tokens", source)
        else:
            _fail(source, 'neither "action" (a row a question and action) nor "actions" (a row a question)')

    def table(self) -> OutcomeTable:
        """All that was added. Raises :class:`OutcomesInvalid` for numbers that are none, or out of range."""
        size, actions = len(self), len(self._actions)
        cells = self._cell_values()
        places = np.array(self._places, dtype=np.intp).reshape(-1, 2)
        flat = places[:, 0] * actions + places[:, 1]
        if len(np.unique(flat)) < len(flat):
            self._fail_at_repetition(flat)
        values = np.full((size * actions, len(CELL)), np.nan)
        values[flat] = cells
        by_name = {name: values[:, k].reshape(size, actions) for k, name in enumerate(CELL)}
        numbers = np.array(self._numbers, dtype=np.float64).reshape(size, 2)
        return OutcomeTable(
            ids=self.ids(),
            prompts=tuple(self._prompts),
            groups=tuple(self._groups),
            segments=tuple(self._segments),
            actions=self.actions,
            prompt_tokens=numbers[:, 0],
            probe_usd=numbers[:, 1],
            evidence=tuple(self._evidence),
            **by_name,
        )

    def _question(self, row: Row, source: Source) -> int:
        """Where the row's question stands; a new one is added."""
        name = row.get("id")
        if name is None:
            _fail(source, 'no "id"; rows of one question share one')
        question_id = str(name)
        known = self._rows.get(question_id)
        prompt = _prompt(row, source)
        if known is not None:
            if prompt is not None and prompt != self._prompts[known]:
                _fail(source, f"id {question_id!r} is another question further up; give each its own id")
            return known
        if prompt is None:
            _fail(source, 'neither "question" (a text) nor "messages" (as OpenAI has them)')
        self._rows[question_id] = len(self._prompts)
        self._prompts.append(prompt)
        group = row.get("group")
        self._groups.append(group_of(prompt) if group in (None, "") else str(group))
        self._segments.append(str(row.get("segment") or ""))
        self._evidence.append(None)
        self._numbers.append([None, None])
        return len(self._prompts) - 1

    def _add_cell(self, question: int, name: str, cell: Row, source: Source) -> None:
        key = (name, cell.get("model"), cell.get("strategy"), cell.get("samples"))
        try:
            column = self._keys.get(key)
        except TypeError:
            _fail(source, f"{name}: model, strategy and samples are names and a number, not {key[1:]!r}")
        if column is None:
            column = self._keys[key] = self._column(_action(*key, source), source)
        get = cell.get
        self._cells.append(tuple([get(field) for field in CELL]))
        self._places.append((question, column))
        self._sources.append(source)
        # Searches by steps read their prompt many times; a direct answer once.
        if "prompt_tokens" in cell and self._actions[column].strategy == "direct":
            self._numbers[question][0] = _count(cell["prompt_tokens"], "prompt_tokens", source)

    def _column(self, action: Action, source: Source) -> int:
        known = self._columns.setdefault(action.name, len(self._actions))
        if known == len(self._actions):
            self._actions.append(action)
        elif action.model != self._actions[known].model and action.model not in (SMALL, action.name):
            if self._actions[known].model not in (SMALL, action.name):
                _fail(
                    source,
                    f"action {action.name!r} is of the model {action.model!r} here and of "
                    f"{self._actions[known].model!r} further up; give them two names",
                )
            self._actions[known] = action
        return known

    def _add_probe(self, question: int, probe: Any, source: Source) -> None:
        try:
            self._evidence[question] = _evidence(probe["samples"])
            self._numbers[question][1] = _count(probe.get("cost_usd"), "probe: cost_usd", source)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            _fail(source, f'probe: "samples" of "answer" and "score" (0 to 1) are wanted: {error}')

    def _cell_values(self) -> Floats:
        """[cells, fields]; of a cell that cannot be, its source is told."""
        try:
            values = np.array(self._cells, dtype=np.float64).reshape(-1, len(CELL))
        except (ValueError, TypeError):
            values = np.array([self._read(k) for k in range(len(self._cells))]).reshape(-1, len(CELL))
        wrong = (values < 0) | np.isinf(values)
        wrong[:, 0] |= values[:, 0] > 1
        for cell, field in np.argwhere(wrong):
            rule = "from 0 (wrong) to 1 (right)" if field == 0 else "a number from 0"
            _fail(self._sources[cell], f"{CELL[field]} must be {rule}, not {self._cells[cell][field]!r}")
        return values

    def _read(self, cell: int) -> list[float]:
        """One cell, by itself: CSV says "true" and leaves unknown fields empty."""
        read = []
        for field, value in zip(CELL, self._cells[cell], strict=True):
            given = _TRUE.get(value.strip().lower(), value) if isinstance(value, str) else value
            try:
                read.append(np.nan if given is None else float(given))
            except (TypeError, ValueError):
                _fail(self._sources[cell], f"{field} must be a number, or null if unknown, not {value!r}")
        return read

    def _fail_at_repetition(self, flat: np.ndarray[Any, Any]) -> NoReturn:
        first = np.unique(flat, return_index=True)[1]
        cell = int(np.setdiff1d(np.arange(len(flat)), first)[0])
        question, column = self._places[cell]
        name = self.ids()[question]
        _fail(
            self._sources[cell],
            f"question {name!r} has the action {self._actions[column].name!r} already; one row for each is "
            "wanted (of several runs: their mean)",
        )


def group_of(prompt: str) -> str:
    """The same for equal prompts, whatever their case and spaces: these are never split between folds."""
    plain = " ".join(prompt.split()).casefold()
    return blake2b(plain.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _prompt(row: Row, source: Source) -> str | None:
    messages = row.get("messages")
    if messages is None:
        question = row.get("question")
        if question is None:
            return None
        return bounded(str(question).strip())
    if not isinstance(messages, list) or not all(isinstance(each, Mapping) for each in messages):
        _fail(source, 'messages: a list of {"role": ..., "content": ...} is wanted')
    return text_of(messages)


def _action(name: str, model: Any, strategy: Any, samples: Any, source: Source) -> Action:
    """What a name and the fields beside it say: "majority@16" is a search, "small" one sample."""
    match = _SEARCH.fullmatch(name)
    try:
        budget = int(samples or (match[2] if match else 1))
    except (TypeError, ValueError):
        _fail(source, f"samples must be a whole number, not {samples!r}")
    how = strategy or (match[1] if match else "direct")
    if how not in get_args(StrategyName):
        _fail(source, f"strategy {how!r}; there are {', '.join(get_args(StrategyName))}")
    if name == SMALL or how != "direct":
        return Action(name, "small", str(model or SMALL), cast("StrategyName", how), budget)
    return Action(str(model) if name == LARGE and model else name, "large", str(model or name))


def _evidence(samples: Sequence[Row]) -> Evidence:
    scores = [each.get("score") for each in samples]
    if not all(score is None or 0 <= score <= 1 for score in scores):
        raise ValueError("a score is not from 0 to 1")
    steps = tuple([tuple(each.get("step_scores") or ()) for each in samples])
    tokens = tuple([each.get("completion_tokens") for each in samples])
    finishes = tuple([each.get("finish_reason") for each in samples])
    return Evidence(
        scores=tuple([np.nan if score is None else score for score in scores]),
        answers=tuple([each["answer"] for each in samples]),
        step_scores=steps if any(steps) else (),
        completion_tokens=() if None in tokens else cast("tuple[int, ...]", tokens),
        finish_reasons=() if None in finishes else cast("tuple[Any, ...]", finishes),
    )


def _count(value: Any, name: str, source: Source) -> float | None:
    """A number of 0 or more, also in text; ``None`` where nobody knows."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        _fail(source, f"{name}: a number of 0 or more is wanted, not {value!r}")
    if not 0 <= number < float("inf"):
        _fail(source, f"{name}: a number of 0 or more is wanted, not {value!r}")
    return number


def _fail(source: Source, problem: str) -> NoReturn:
    raise OutcomesInvalid(f"{source[0]}:{source[1]}: {problem}")
