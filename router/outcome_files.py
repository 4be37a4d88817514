"""Reading outcomes: JSON lines (a row a question and action, or a row a question) and CSV."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, cast
from zlib import crc32

import numpy as np
from pydantic_core import from_json  # of the JSON readers that come with Gradus the fastest

from router.errors import OutcomesInvalid
from router.outcome_rows import RowTable, Source
from router.outcome_table import Action, OutcomeTable

CHUNK_QUESTIONS = 20_000


def read_outcomes(paths: Sequence[Path], labels: Path | None = None) -> OutcomeTable:
    """All questions of these files (``.jsonl`` or ``.csv``, also ``.gz``), in the order of their first row.

    Rows of one ``id`` are of one question, wherever they stand. ``labels``: see :func:`with_labels`. Raises
    :class:`OutcomesInvalid`.
    """
    rows = RowTable()
    for path in paths:
        for row, source in _rows(path):
            rows.add(row, source)
    if not len(rows):
        raise OutcomesInvalid(f"{', '.join(map(str, paths))}: no outcomes")
    table = rows.table()
    return table if labels is None else with_labels(table, labels)


def iter_outcomes(
    path: Path,
    chunk_questions: int = CHUNK_QUESTIONS,
    actions: Sequence[Action] = (),
    part: tuple[int, int] = (0, 1),
) -> Iterator[OutcomeTable]:
    """The questions of a file, some at a time, in bounded memory.

    Every table has the columns of those before it, and of ``actions``. Rows of one question stand together.
    ``part`` (k, n): only the k-th of n parts, for n processes; a question's id says in which it is. Raises
    :class:`OutcomesInvalid` as it gets there.
    """
    rows = RowTable(actions)
    given_out: set[int] = set()  # hashes: ids themselves are several times as large
    for row, source in _rows(path):
        name = str(row.get("id")) if isinstance(row, Mapping) else ""
        if part[1] > 1 and crc32(name.encode("utf-8", "replace")) % part[1] != part[0]:
            continue
        if len(rows) >= chunk_questions and name not in rows:
            given_out.update(hash(each) for each in rows.ids())
            yield rows.table()
            rows = RowTable(rows.actions)
        if hash(name) in given_out:
            raise OutcomesInvalid(
                f"{source[0]}:{source[1]}: id {name!r} was further up, behind other questions; "
                "sort the file by id"
            )
        rows.add(row, source)
    if len(rows):
        yield rows.table()


def with_labels(table: OutcomeTable, path: Path) -> OutcomeTable:
    """``table`` with what people said later: rows of ``id`` and ``right``, and an ``action`` where in doubt.

    Without an action the label is of the one that ran and has none yet, as in a record of the gateway. Later
    labels of the same action replace earlier ones. Raises :class:`OutcomesInvalid`.
    """
    row_of = {name: row for row, name in enumerate(table.ids)}
    right = table.right.copy()
    ran = ~np.isnan(np.stack([table.cost_usd, table.completion_tokens, table.seconds])).all(axis=0)
    waiting = ran & np.isnan(table.right)
    for label, (file, line) in _rows(path):
        where = f"{file}:{line}"
        if not isinstance(label, Mapping):
            raise OutcomesInvalid(f'{where}: not an object; a label looks like {{"id": "1", "right": 1}}')
        row = row_of.get(str(label.get("id")))
        if row is None:
            raise OutcomesInvalid(f"{where}: no question has the id {label.get('id')!r}")
        if label.get("action"):
            try:
                column = table.column(str(label["action"]))
            except KeyError as error:
                raise OutcomesInvalid(f"{where}: {error.args[0]}") from error
        else:
            columns = np.flatnonzero(waiting[row])
            if len(columns) != 1:
                raise OutcomesInvalid(
                    f"{where}: question {label['id']!r} has {len(columns)} answers that wait for a label; "
                    'say which "action" is meant'
                )
            column = int(columns[0])
        right[row, column] = _label(label.get("right"), where)
    return replace(table, right=right)


def _label(value: Any, where: str) -> float:
    given = {"true": 1.0, "false": 0.0}.get(value.strip().lower(), value) if isinstance(value, str) else value
    try:
        right = float(given)
    except (TypeError, ValueError):
        right = -1.0
    if not 0 <= right <= 1:
        raise OutcomesInvalid(f"{where}: right must be from 0 (wrong) to 1 (right), not {value!r}")
    return right


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], Source]]:
    name = path.name.removesuffix(".gz")
    if not name.endswith((".jsonl", ".json", ".ndjson", ".csv")):
        raise OutcomesInvalid(f"{path}: outcomes are .jsonl or .csv, also with .gz behind")
    try:
        with cast("IO[bytes]", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            yield from _csv_rows(file, path) if name.endswith(".csv") else _json_rows(file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise OutcomesInvalid(f"{path}: cannot be read: {error}") from error


def _json_rows(file: IO[bytes], path: Path) -> Iterator[tuple[dict[str, Any], Source]]:
    for number, line in enumerate(file, start=1):
        if line.isspace():
            continue
        try:
            row = from_json(line)
        except ValueError as error:
            raise OutcomesInvalid(f"{path}:{number}: not JSON: {error}") from error
        yield row, (path, number)


def _csv_rows(file: IO[bytes], path: Path) -> Iterator[tuple[dict[str, Any], Source]]:
    reader = csv.DictReader(TextIOWrapper(file, "utf-8-sig", newline=""))
    try:
        for row in reader:
            if None in row:
                raise OutcomesInvalid(f"{path}:{reader.line_num}: more fields than the first line names")
            yield {name: value or None for name, value in row.items()}, (path, reader.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise OutcomesInvalid(f"{path}:{reader.line_num}: not CSV in UTF-8: {error}") from error
