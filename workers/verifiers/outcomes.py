"""Labelled outcomes: a JSON Lines file of turns that are known to be right or wrong, a row a turn.

    {"question": "How many?", "text": "... The answer is 3.", "right": true}

A row has ``question`` or ``messages``, ``text`` and ``right``; it may have ``id`` (rows with one id are one
question; by default those with equal messages are), ``task`` (the fields of :class:`router.types.Task`, the
same for all of a question) and ``score`` (from 0 to 1: then no verifier reads it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from router.types import Task
from workers.answers import answers_for
from workers.errors import InvalidTask, WorkerError
from workers.protocols import Candidate, Prompt, Verifier
from workers.verifiers.quality import Judged

_QUESTIONS_AT_ONCE: Final = 8
"""A model verifier reads what several threads ask in one batch."""


class OutcomesInvalid(WorkerError):
    """A row of a file of labelled outcomes is wrong; the message starts with FILE:LINE."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: str


class Outcome(BaseModel):
    """One row."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: str | None = None
    messages: Annotated[tuple[_Message, ...], Field(min_length=1)] | None = None
    text: str
    right: Annotated[bool, Field(strict=True)]
    id: str | int | None = None
    task: Task = Task()
    score: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _asks_once(self) -> Outcome:
        if (self.question is None) == (self.messages is None):
            raise ValueError("a row has either question or messages")
        return self

    @property
    def conversation(self) -> tuple[Mapping[str, Any], ...]:
        if self.messages is None:
            return ({"role": "user", "content": self.question},)
        return tuple(message.model_dump() for message in self.messages)


@dataclass(frozen=True, slots=True)
class Question:
    messages: tuple[Mapping[str, Any], ...]
    task: Task
    outcomes: tuple[Outcome, ...]


def read_outcomes(file: Path) -> list[Question]:
    """The questions of a file, in order. Raises :class:`OutcomesInvalid`."""
    grouped: dict[str, list[Outcome]] = {}
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    _add(_row(line, f"{file}:{number}"), grouped, f"{file}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise OutcomesInvalid(f"{file}: cannot be read: {problem}") from error
    if not grouped:
        raise OutcomesInvalid(f"{file}: holds no outcome; give rows with question, text and right")
    return [Question(rows[0].conversation, rows[0].task, tuple(rows)) for rows in grouped.values()]


def judge(
    questions: Sequence[Question], verifier: Verifier | None, on_judged: Callable[[], object]
) -> list[Judged]:
    """Score what has no score yet; ``on_judged`` is called after each question, by one thread at a time.

    Raises what the verifier raises. Without a verifier every outcome has a score.
    """
    with ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as pool:
        judged = []
        for one in pool.map(lambda question: _judged(question, verifier), questions):
            judged.append(one)
            on_judged()
        return judged


def _judged(question: Question, verifier: Verifier | None) -> Judged:
    answers = answers_for(question.task)
    unscored = [one for one in question.outcomes if one.score is None]
    found: Iterator[float] = iter(())
    if unscored and verifier is not None:
        turns = [Prompt(question.messages, one.text) for one in unscored]
        found = iter([one.score for one in verifier.score(turns, question.task).scored])
    candidates = tuple(
        Candidate(
            one.text,
            "stop",
            answers.extract(one.text),
            score=next(found) if one.score is None else one.score,
        )
        for one in question.outcomes
    )
    return Judged(candidates, tuple(one.right for one in question.outcomes), answers)


def _row(line: str, where: str) -> Outcome:
    try:
        return Outcome.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise OutcomesInvalid(f"{where}: {path + ': ' if path else ''}{problem}") from error
    except ValueError as error:
        raise OutcomesInvalid(f"{where}: is no JSON object: {error}") from error


def _add(row: Outcome, grouped: dict[str, list[Outcome]], where: str) -> None:
    key = json.dumps(row.conversation if row.id is None else row.id, sort_keys=True)
    rows = grouped.setdefault(key, [])
    if not rows:
        try:
            answers_for(row.task)
        except InvalidTask as error:
            raise OutcomesInvalid(f"{where}: task: {error}") from error
    elif (row.conversation, row.task) != (rows[0].conversation, rows[0].task):
        raise OutcomesInvalid(
            f"{where}: an earlier row of its question, or its id, has another question or task"
        )
    rows.append(row)
