"""Reading outcomes: JSON lines (a row a question and action, or a row a question) and CSV."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from io import TextIOWrapper
from itertools import count, islice
from pathlib import Path
from typing import IO, Any, Final, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from router.errors import OutcomesInvalid
from router.outcome_cells import Source, fail
from router.outcome_fields import FieldSets, RowFields, check_names
from router.outcome_rows import RowTable
from router.outcome_table import Action, OutcomeTable

CHUNK_QUESTIONS: Final = 20_000
_STRETCH: Final = 256
"""Rows: so many that to read the ends twice costs little, so few that long prompts fit in memory."""

_LOOKED_AT: Final = 1000
"""Lines, for misspelled fields: what writes a million rows writes all alike, and each look costs."""

T = TypeVar("T")

_READ: Final = msgspec.json.Decoder(RowFields, strict=False).decode


def read_outcomes(paths: Sequence[Path], labels: Path | None = None) -> OutcomeTable:
    """All questions of these files (``.jsonl`` or ``.csv``, also ``.gz``), in the order of their first row.

    Rows of one ``id`` are of one question, wherever they stand. ``labels``: see :func:`with_labels`. Raises
    :class:`OutcomesInvalid`.
    """
    rows = RowTable()
    for path in paths:
        for row, source in _outcomes(path):
            rows.add(row, source)
    if not len(rows):
        raise OutcomesInvalid(f"{', '.join(map(str, paths))}: no outcomes")
    table = rows.table()
    if empty := table.prompts.count(""):
        table = replace(table, notes=(f"{empty} of {len(table)} questions have an empty text",))
    return table if labels is None else with_labels(table, labels)


def iter_outcomes(
    path: Path,
    chunk_questions: int = CHUNK_QUESTIONS,
    actions: Sequence[Action] = (),
    part: tuple[int, int] = (0, 1),
) -> Iterator[OutcomeTable]:
    """The questions of a file, some at a time, in bounded memory.

    Every table has the columns of those before it, and of ``actions``. Rows of one question are to stand
    together: whoever takes the tables looks whether they did (:func:`check_together`). ``part`` (k, n): only
    the k-th of n parts, for n processes. Raises :class:`OutcomesInvalid` as it gets there.
    """
    rows = RowTable(actions)
    for row, source in _outcomes(path, part):
        if len(rows) >= chunk_questions and _id_of(row) not in rows:
            table = rows.table()
            yield table
            rows = RowTable(table.actions)
        rows.add(row, source)
    if len(rows):
        yield rows.table()


class Together:
    """Which questions there were, in eight bytes each: :func:`check_together` looks for any twice."""

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.uint64]] = []

    def add(self, ids: Sequence[str]) -> None:
        self._hashes.append(np.frombuffer(b"".join(map(_hash, ids)), dtype=np.uint64))

    def hashes(self) -> NDArray[np.uint64]:
        return np.concatenate(self._hashes) if self._hashes else np.empty(0, dtype=np.uint64)


def check_together(paths: Sequence[Path], parts: Sequence[Together]) -> None:
    """For all ``paths``, in parts. Raises :class:`OutcomesInvalid`, with the first line that is too late."""
    hashes = np.sort(np.concatenate([each.hashes() for each in parts]))
    twice = hashes[1:][hashes[1:] == hashes[:-1]]
    if len(twice):
        _fail_at_return(paths, {each.tobytes() for each in twice})


def _fail_at_return(paths: Sequence[Path], hashes: Collection[bytes]) -> None:
    """Of questions with such hashes."""
    known: dict[str, int] = {}
    for number, path in enumerate(paths):
        last = None
        for row, (file, line) in _outcomes(path):
            name = _id_of(row)
            if name != last and _hash(name) in hashes:
                if name in known:
                    where = (
                        "further up, behind other questions; sort the file by id"
                        if known[name] == number
                        else f"in {paths[known[name]]} already; all rows of a question stand in one file"
                    )
                    raise OutcomesInvalid(f"{file}:{line}: id {name!r} was {where}")
                known[name] = number
            last = name


def _hash(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()


def with_labels(table: OutcomeTable, path: Path) -> OutcomeTable:
    """``table`` with what people said later: rows of ``id`` and ``right``, and an ``action`` where in doubt.

    Without an action the label is of the one that ran and has none yet, as in a record of the gateway. Later
    labels of the same action replace earlier ones. Those of other questions are left out, which is noted in
    ``table.notes``. Raises :class:`OutcomesInvalid`, also where none fits.
    """
    row_of = {name: row for row, name in enumerate(table.ids)}
    right = table.right.copy()
    ran = ~np.isnan(np.stack([table.cost_usd, table.completion_tokens, table.seconds])).all(axis=0)
    waiting = ran & np.isnan(table.right)
    read, strangers = 0, list[str]()
    for label, (file, line) in rows_of(path):
        where = f"{file}:{line}"
        if not isinstance(label, Mapping):
            raise OutcomesInvalid(f'{where}: not an object; a label looks like {{"id": "1", "right": 1}}')
        read += 1
        row = row_of.get(str(label.get("id")))
        if row is None:
            strangers.append(f"{where}: no question has the id {label.get('id')!r}")
            continue
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
    if not strangers:
        return replace(table, right=right)
    if len(strangers) == read:
        raise OutcomesInvalid(f"{strangers[0]}, and no other label fits either")
    left_out = f"{len(strangers)} of {read} labels are of questions that are not here (first {strangers[0]})"
    return replace(table, right=right, notes=(*table.notes, left_out))


def _label(value: Any, where: str) -> float:
    given = {"true": 1.0, "false": 0.0}.get(value.strip().lower(), value) if isinstance(value, str) else value
    try:
        right = float(given)
    except (TypeError, ValueError):
        right = -1.0
    if not 0 <= right <= 1:
        raise OutcomesInvalid(f"{where}: right must be from 0 (wrong) to 1 (right), not {value!r}")
    return right


def rows_of(path: Path) -> Iterator[tuple[Any, Source]]:
    """The rows of a file, as JSON or CSV has them, with where they stand. Raises :class:`OutcomesInvalid`."""
    return _rows(path, _from_json)


def _outcomes(path: Path, part: tuple[int, int] = (0, 1)) -> Iterator[tuple[Any, Source]]:
    """The same of outcomes, whose fields are known: some are numbers already, and others left out."""
    return _rows(path, partial(_outcome, FieldSets()), part)


def _rows(
    path: Path, read: Callable[[bytes, Source], Any], part: tuple[int, int] = (0, 1)
) -> Iterator[tuple[Any, Source]]:
    name = path.name.removesuffix(".gz")
    if not name.endswith((".jsonl", ".json", ".ndjson", ".csv")):
        raise OutcomesInvalid(f"{path}: outcomes are .jsonl or .csv, also with .gz behind")
    try:
        with cast("IO[bytes]", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            if name.endswith(".csv"):
                yield from _part_of(_csv_rows(file, path), _as_it_is, part)
            else:
                for line, source in _part_of(_lines(file, path), read, part):
                    yield read(line, source), source
    except (OSError, EOFError, zlib.error) as error:
        raise OutcomesInvalid(f"{path}: cannot be read: {error}") from error


def _part_of(
    items: Iterator[tuple[T, Source]], row_of: Callable[[T, Source], Any], part: tuple[int, int]
) -> Iterator[tuple[T, Source]]:
    """The k-th of n parts: every n-th stretch. Of what is not in it only the ends are read as rows.

    A question that begins in a stretch is in its part, with all its rows.
    """
    turn, parts = part
    if parts == 1:
        yield from items
        return
    ours, last = False, None
    for number in count():
        stretch = list(islice(items, _STRETCH))
        if not stretch:
            return
        begins = 0
        while begins < len(stretch) and _id_of(row_of(*stretch[begins])) == last:
            begins += 1
        if ours:
            yield from stretch[:begins]
        if begins < len(stretch):
            ours, last = number % parts == turn, _id_of(row_of(*stretch[-1]))
            if ours:
                yield from stretch[begins:]


def _id_of(row: Any) -> str:
    return str(row.get("id")) if isinstance(row, dict) else ""


def _lines(file: IO[bytes], path: Path) -> Iterator[tuple[bytes, Source]]:
    for number, line in enumerate(file, start=1):
        if not line.isspace():
            yield line, (path, number)


def _outcome(seen: FieldSets, line: bytes, source: Source) -> Any:
    if source[1] <= _LOOKED_AT:
        whole = _from_json(line, source)
        if isinstance(whole, dict) and seen.is_new(whole):
            check_names(whole, source)
    try:
        return _READ(line)
    except msgspec.MsgspecError:  # if anything is wrong with it, that is told where it is looked at
        return _from_json(line, source)


def _from_json(line: bytes, source: Source) -> Any:
    try:
        return from_json(line)
    except ValueError as error:
        raise OutcomesInvalid(f"{source[0]}:{source[1]}: not JSON: {error}") from error


def _as_it_is(row: dict[str, Any], source: Source) -> dict[str, Any]:  # noqa: ARG001 (one of two readers)
    return row


def _csv_rows(file: IO[bytes], path: Path) -> Iterator[tuple[dict[str, Any], Source]]:
    reader = csv.DictReader(TextIOWrapper(file, "utf-8-sig", newline=""))
    try:
        check_names(dict.fromkeys(reader.fieldnames or ()), (path, 1))
        for row in reader:
            source = path, reader.line_num
            if None in row:
                fail(source, "more fields than the first line names")
            if None in row.values():
                missing = [name for name, value in row.items() if value is None]
                fail(source, f"no field for {', '.join(missing)}: leave it empty between commas if unknown")
            yield {name: value or None for name, value in row.items()}, source
    except (csv.Error, UnicodeDecodeError) as error:
        raise OutcomesInvalid(f"{path}:{reader.line_num}: not CSV in UTF-8: {error}") from error
