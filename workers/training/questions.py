"""Questions with known answers, from a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from workers.training.errors import MissingExtraError, TrainingError


@dataclass(frozen=True, slots=True)
class Question:
    """``id`` is unique in its file: what the file says, else the place of the question, counted from 0."""

    id: str
    question: str
    answer: str


def read_questions(file: Path) -> list[Question]:
    """Rows of {"question", "answer"[, "id"]}: Parquet by that suffix, else JSON lines.

    Raises :class:`TrainingError` with the file and line (in Parquet: row) of what is wrong.
    """
    rows = _parquet_rows(file) if file.suffix == ".parquet" else _json_rows(file)
    found: dict[str, Question] = {}
    for where, row in rows:
        question = _question(row, len(found), where)
        if question.id in found:
            raise TrainingError(
                f"{where}: the id {question.id!r} is there twice; each question needs its own"
            )
        found[question.id] = question
    if not found:
        raise TrainingError(f"{file}: there is no question in it")
    return list(found.values())


def questions_hash(questions: Sequence[Question]) -> str:
    """The sha256 of ids, questions and answers, in order."""
    return hashlib.sha256(json.dumps([astuple(each) for each in questions]).encode()).hexdigest()


def _question(row: Any, at: int, where: str) -> Question:
    fields = row if isinstance(row, dict) else {}
    question, answer, name = fields.get("question"), fields.get("answer"), fields.get("id")
    if not (isinstance(question, str) and question and isinstance(answer, str) and answer):
        raise TrainingError(f'{where}: must be {{"question": "...", "answer": "..."}}, both texts')
    if name is not None and (isinstance(name, bool) or not isinstance(name, int | str)):
        raise TrainingError(f"{where}: the id must be a text or a whole number")
    return Question(str(at) if name is None else str(name), question, answer)


def _json_rows(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield f"{file}:{number}", json.loads(line)
            except ValueError as error:
                raise TrainingError(f"{file}:{number}: not JSON: {error}") from error


def _parquet_rows(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow") from error
    try:
        rows = parquet.read_table(file).to_pylist()
    except (ArrowInvalid, OSError) as error:
        raise _unreadable(file, error) from error
    for number, row in enumerate(rows, start=1):
        yield f"{file}: row {number}", row


def _unreadable(file: Path, error: Exception) -> TrainingError:
    problem = (error.strerror or error) if isinstance(error, OSError) else error
    return TrainingError(f"{file}: cannot be read: {problem}")
