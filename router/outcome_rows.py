"""From rows of outcomes, as files and the gateway's records have them, to an :class:`OutcomeTable`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NoReturn

import numpy as np

from router.features.conversation import bounded, text_of
from router.outcome_cells import CELL, Cells, Indices, Row, Source, fail, number
from router.outcome_table import Action, OutcomeTable
from router.types import Evidence


class RowTable:
    """Takes rows in any order, and makes a table of them.

    ``actions`` are columns that the table has even where no row names them, in front of all others.
    """

    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._cells = Cells(actions)
        self._places: dict[str, int] = {}
        self._prompts: list[str] = []
        self._groups: list[str] = []
        self._segments: list[str] = []
        self._evidence: list[Evidence | None] = []
        self._prompt_tokens: list[float | None] = []
        self._probe_usd: list[float | None] = []

    def __len__(self) -> int:
        return len(self._prompts)

    def __contains__(self, question_id: str) -> bool:
        return question_id in self._places

    def add(self, row: Row, source: Source) -> None:
        """A row a question and action (it has an ``action``), or a row a question (``actions``)."""
        if not isinstance(row, Mapping):
            fail(source, 'not an object; a row looks like {"id": "1", "question": "...", "action": ...}')
        if "action" in row:
            name = row["action"]
            if not isinstance(name, str) or not name:
                fail(source, f'action: a name is wanted ("small", "majority@16", a model), not {name!r}')
            question = self._question(row, source)
            self._cells.add(question, ((name, row),), source)
        elif isinstance(row.get("actions"), Mapping):
            question = self._question(row, source)
            self._cells.add(question, row["actions"].items(), source)
            if row.get("prompt_tokens") is not None:
                self._prompt_tokens[question] = number(row["prompt_tokens"], "prompt_tokens", source)
        else:
            fail(source, 'neither "action" (a row a question and action) nor "actions" (a row a question)')
        if row.get("probe") is not None:
            self._add_probe(question, row["probe"], source)

    def table(self) -> OutcomeTable:
        """All that was added. Raises :class:`OutcomesInvalid` for numbers that are none, or out of range."""
        cells = self._cells
        columns, questions = cells.columns(), cells.questions()
        for cell, tokens in cells.prompt_tokens(columns).items():
            question = questions[cell]
            if self._prompt_tokens[question] is None:
                self._prompt_tokens[question] = tokens
        size, actions = len(self), len(cells.actions)
        flat = questions * actions + columns
        values = np.full((len(CELL), size * actions), np.nan)
        values[:, flat] = cells.numbers()
        if np.bincount(flat, minlength=1).max() > 1:
            self._fail_at_repetition(flat)
        by_name = {name: values[k].reshape(size, actions) for k, name in enumerate(CELL)}
        return OutcomeTable(
            ids=tuple(self._places),
            prompts=tuple(self._prompts),
            groups=tuple(self._groups),
            segments=tuple(self._segments),
            actions=cells.actions,
            prompt_tokens=np.array(self._prompt_tokens, dtype=np.float64),
            probe_usd=np.array(self._probe_usd, dtype=np.float64),
            evidence=tuple(self._evidence),
            **by_name,
        )

    def _question(self, row: Row, source: Source) -> int:
        """Where the row's question stands; a new one is added."""
        name = row.get("id")
        if name is None:
            fail(source, 'no "id"; rows of one question share one')
        question_id = str(name)
        known = self._places.get(question_id)
        prompt = _prompt(row, source)
        if known is not None:
            if prompt is not None and prompt != self._prompts[known]:
                fail(source, f"id {question_id!r} is another question further up; give each its own id")
            return known
        if prompt is None:
            fail(source, 'neither "question" (a text) nor "messages" (as OpenAI has them)')
        self._places[question_id] = len(self._prompts)
        self._prompts.append(prompt)
        group = row.get("group")
        self._groups.append(group_of(prompt) if group in (None, "") else str(group))
        self._segments.append(str(row.get("segment") or ""))
        self._evidence.append(None)
        self._prompt_tokens.append(None)
        self._probe_usd.append(None)
        return len(self._prompts) - 1

    def _add_probe(self, question: int, probe: Any, source: Source) -> None:
        try:
            self._evidence[question] = _evidence(probe["samples"])
            self._probe_usd[question] = number(probe.get("cost_usd"), "probe: cost_usd", source)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            fail(source, f'probe: "samples" of "answer" and "score" (0 to 1) are wanted: {error}')

    def _fail_at_repetition(self, flat: Indices) -> NoReturn:
        first = np.unique(flat, return_index=True)[1]
        cell = int(np.setdiff1d(np.arange(len(flat)), first)[0])
        question, column = divmod(int(flat[cell]), len(self._cells.actions))
        fail(
            self._cells.source(cell),
            f"question {tuple(self._places)[question]!r} has the action "
            f"{self._cells.actions[column].name!r} already; one row for each is wanted (of several runs: "
            "their mean)",
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
        fail(source, 'messages: a list of {"role": ..., "content": ...} is wanted')
    return text_of(messages)


def _evidence(samples: Sequence[Row]) -> Evidence:
    scores = [each.get("score") for each in samples]
    if [score for score in scores if score is not None and not 0 <= score <= 1]:
        raise ValueError("a score is not from 0 to 1")
    steps = [each.get("step_scores") for each in samples]
    tokens: list[Any] = [each.get("completion_tokens") for each in samples]
    finishes: list[Any] = [each.get("finish_reason") for each in samples]
    return Evidence(
        scores=tuple([np.nan if score is None else score for score in scores]),
        answers=tuple([each["answer"] for each in samples]),
        step_scores=tuple([tuple(each or ()) for each in steps]) if any(steps) else (),
        completion_tokens=() if None in tokens else tuple(tokens),
        finish_reasons=() if None in finishes else tuple(finishes),
    )
