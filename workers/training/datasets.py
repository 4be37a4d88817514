"""The data sets between the commands: a log of JSON lines while one is made, Parquet and a card when it is.

`gradus train rollouts` writes attempts for `prm` and `orm`, `gradus train revision-data` examples for
`revision`. A log has one line a question, in the order of the questions; a kill cuts at most its last line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from workers.training import files
from workers.training.errors import MissingExtraError, TrainingError

ATTEMPTS = "attempts.parquet"
REVISIONS = "revisions.parquet"
OUTCOMES = "outcomes.parquet"
CARD = "README.md"
TURNS = "turns.jsonl"
"""Beside a data set: turns known to be right or wrong, as `gradus quality` reads them."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A distinct sample of a question, drawn ``count`` times.

    ``history`` holds the earlier attempts that it was shown, oldest first. ``labels`` has one a step as the
    recipe's model splits them: the share of rollouts from the step's end that were right, ``None`` where
    none were made; the last step's is 1.0 or 0.0, right or wrong.
    """

    id: str
    question: str
    answer: str
    history: tuple[str, ...]
    text: str
    count: int
    labels: tuple[float | None, ...]
    right: bool


@dataclass(frozen=True, slots=True)
class RevisionExample:
    """0 to 4 wrong ``attempts`` at a question, the last the nearest to ``target``, which is right."""

    id: str
    question: str
    attempts: tuple[str, ...]
    target: str


def read_attempts(folder: Path) -> list[Attempt]:
    """What `gradus train rollouts` wrote. Raises :class:`TrainingError` if it has not, or not finished."""
    rows = _read(folder, ATTEMPTS, Attempt, "rollouts")
    return [
        Attempt(**{**row, "history": tuple(row["history"]), "labels": tuple(row["labels"])}) for row in rows
    ]


def read_revisions(folder: Path) -> list[RevisionExample]:
    """What `gradus train revision-data` wrote. Raises :class:`TrainingError` as :func:`read_attempts`."""
    rows = _read(folder, REVISIONS, RevisionExample, "revision-data")
    return [RevisionExample(**{**row, "attempts": tuple(row["attempts"])}) for row in rows]


def write_attempts(folder: Path, attempts: Sequence[Attempt]) -> None:
    """Raises :class:`workers.training.errors.MissingExtraError`."""
    _write(folder / ATTEMPTS, Attempt, attempts)


def write_revisions(folder: Path, examples: Sequence[RevisionExample]) -> None:
    """Raises :class:`workers.training.errors.MissingExtraError`."""
    _write(folder / REVISIONS, RevisionExample, examples)


def data_hash(folder: Path) -> str:
    """The sha256 of the data set in a folder: what a model's card says that it was trained on."""
    for name in (ATTEMPTS, REVISIONS, OUTCOMES):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    raise TrainingError(f"{folder}: there is no {ATTEMPTS}, {REVISIONS} or {OUTCOMES} in it")


def write_card(folder: Path, title: str, about: str, numbers: Mapping[str, object], recipe: str) -> None:
    """The README.md of a data set: what it is, its numbers, its hash, and the ``recipe`` as YAML."""
    rows = {**numbers, "sha256 of the Parquet": data_hash(folder)}
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    text = f"# {title}\n\n{about}\n\n| | |\n|---|---|\n{table}\n## Recipe\n\n```yaml\n{recipe}```\n"
    files.replace_file(folder / CARD, lambda target: target.write_text(text, "utf-8"))


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a log; a last line that a kill cut short is taken out of the file.

    Raises :class:`TrainingError` with the line of one that is none of JSON.
    """
    if not path.exists():
        return
    with path.open("rb+") as file:
        whole = 0
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                os.truncate(path, whole)
                return
            whole += len(line)
            try:
                yield json.loads(line)
            except ValueError as error:
                raise TrainingError(f"{path}:{number}: not JSON: {error}") from error


def _read(folder: Path, name: str, row: type, command: str) -> list[dict[str, Any]]:
    pa, parquet = _arrow()
    if not (folder / name).is_file():
        raise TrainingError(f"{folder}: there is no {name} in it; `gradus train {command}` writes it")
    columns = [each.name for each in fields(row)]
    try:
        return list(parquet.read_table(folder / name, columns=columns).to_pylist())
    except (pa.ArrowInvalid, OSError) as error:
        raise TrainingError(f"{folder / name}: cannot be read: {error}") from error


def _write(path: Path, row: type, rows: Sequence[Attempt] | Sequence[RevisionExample]) -> None:
    pa, parquet = _arrow()
    texts = pa.list_(pa.string())
    types = {"history": texts, "attempts": texts, "count": pa.int64(), "right": pa.bool_()}
    types["labels"] = pa.list_(pa.float64())
    schema = pa.schema([(each.name, types.get(each.name, pa.string())) for each in fields(row)])
    table = pa.Table.from_pylist([asdict(each) for each in rows], schema=schema)
    files.replace_file(path, lambda target: parquet.write_table(table, target))


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow") from error
    return pyarrow, parquet
