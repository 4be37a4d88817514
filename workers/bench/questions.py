"""Questions with known answers: from a file, or the embedded models' own held-out ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from workers.bench.errors import BenchError

# Of the problems that the generator makes, the share of the test split is one in twenty.
_MADE_FOR_ONE = 40
_SEED = 20_261_122


@dataclass(frozen=True, slots=True)
class Question:
    question: str
    answer: str


def read_questions(file: Path) -> list[Question]:
    """JSON lines of ``{"question": ..., "answer": ...}``. Raises :class:`BenchError` with file and line."""
    found = []
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise BenchError(f"{file}: cannot be read: {problem}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.append(_question(line, f"{file}:{number}"))
    if not found:
        raise BenchError(f"{file}: there is no question in it")
    return found


def _question(line: str, where: str) -> Question:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BenchError(f"{where}: not JSON: {error}") from error
    question, answer = (row.get("question"), row.get("answer")) if isinstance(row, dict) else (None, None)
    if not (isinstance(question, str) and question and isinstance(answer, str) and answer):
        raise BenchError(f'{where}: must be {{"question": "...", "answer": "..."}}, both texts')
    return Question(question, answer)


def abacus_questions(count: int) -> list[Question]:
    """Problems of the test split, which no embedded model was trained on.

    Raises :class:`workers.training.errors.MissingExtraError`.
    """
    from workers.training.abacus.tasks import generate

    made = (each for each in generate(_SEED, count * _MADE_FOR_ONE) if each.split == "test")
    return [Question(each.question, each.answer) for each in islice(made, count)]
