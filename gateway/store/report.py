"""Usage as rows of plain values, for JSON, CSV and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.bill import decimal_text
from gateway.store.database import Database
from gateway.store.usage import Dimension, Used, Wanted, names, used

COUNTED: Final = (
    "requests",
    "calls",
    "prompt_tokens",
    "completion_tokens",
    "cached_prompt_tokens",
    "reasoning_tokens",
)
MONEY: Final = ("usd", "estimated_usd")


def report(database: Database, by: Sequence[Dimension], wanted: Wanted) -> list[dict[str, Any]]:
    """Groups by their names, numbers, and money as decimals in text. Keys and teams come with their names."""
    called = names(database) if {"key", "team"} & set(by) else {}
    return [_row(each, called) for each in used(database, by, wanted)]


def total(database: Database, wanted: Wanted) -> dict[str, Any]:
    """All groups together; requests that have a part in several are counted once."""
    return report(database, (), wanted)[0]


def columns(by: Sequence[Dimension]) -> list[str]:
    """What the rows of a report have, in order."""
    grouped = [column for name in by for column in _grouped(name)]
    return [*grouped, *COUNTED, *MONEY]


def as_csv(rows: Sequence[Mapping[str, Any]], by: Sequence[Dimension]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(by), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _grouped(name: Dimension) -> tuple[str, ...]:
    return (name, f"{name}_name") if name in ("key", "team") else (name,)


def _row(found: Used, called: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in found.group.items():
        row[name] = None if value is None else str(value)
        if name in ("key", "team"):
            row[f"{name}_name"] = called.get(str(value))
    row |= {name: getattr(found, name) for name in COUNTED}
    return row | {name: decimal_text(getattr(found, name)) for name in MONEY}
