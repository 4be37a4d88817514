"""A provider's bill: a CSV file whose columns may be called what providers call them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from gateway.store.errors import InvoiceInvalid

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "request": ("request_id", "upstream_id", "response_id", "completion_id", "generation_id", "id"),
    "day": (
        "day",
        "date",
        "usage_date",
        "usage_date_utc",
        "start_time_iso",
        "start_time",
        "timestamp",
        "time",
    ),
    "model": ("model", "model_id", "model_name", "model_version", "snapshot_id"),
    "prompt_tokens": ("prompt_tokens", "input_tokens", "tokens_prompt", "n_context_tokens_total"),
    "completion_tokens": (
        "completion_tokens",
        "output_tokens",
        "tokens_completion",
        "n_generated_tokens_total",
    ),
    "cached_tokens": ("cached_tokens", "input_cached_tokens", "cached_input_tokens", "cached_prompt_tokens"),
    "usd": (
        "usd",
        "cost",
        "cost_usd",
        "amount",
        "amount_usd",
        "amount_value",
        "total",
        "total_usd",
        "cost_in_usd",
    ),
    "currency": ("currency", "amount_currency"),
}
"""What a column may be called: words in any case, with spaces, dashes, dots or brackets between them."""
_BRACKETS: Final = "()[]"
_CENT: Final = Decimal("0.005")
_PICODOLLAR: Final = Decimal("1e-12")
_MOST: Final = 10**15
"""USD or tokens that no line has."""
_UNIX: Final = re.compile(r"\d{9,10}(\.\d+)?")
_COMPACT_DAY: Final = re.compile(r"\d{8}")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line; what it does not say is ``None``.

    ``rounding_usd`` is what rounding may have changed: half of the last digit that ``usd`` was written with,
    half a cent at most, and no less than the picodollar that the journal rounds to.
    """

    line: int
    request: str | None
    day: date | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    usd: Decimal | None
    rounding_usd: Decimal = Decimal(0)


def read_invoice(file: Path) -> list[InvoiceLine]:
    """Raises :class:`InvoiceInvalid` with file and line, :class:`OSError`."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, strict=True)
            header = next(rows, [])
            places = _places(file, header)
            lines = [
                _line(file, rows.line_num, _values(file, rows.line_num, header, row, places))
                for row in rows
                if any(cell.strip() for cell in row)
            ]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvoiceInvalid(f"{file}: is not CSV in UTF-8: {error}") from error
    if not lines:
        raise InvoiceInvalid(f"{file}: has no lines under its header")
    return lines


def _places(file: Path, header: Sequence[str]) -> dict[str, int]:
    """Where each column is. Raises :class:`InvoiceInvalid` where one is missing, or there twice."""
    words = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in header]
    places: dict[str, int] = {}
    for column, known in COLUMNS.items():
        found = [index for name in known for index, word in enumerate(words) if word == name]
        if found:
            places[column] = found[0]
    if "request" not in places and not {"day", "model"} <= places.keys():
        raise InvoiceInvalid(
            f"{file}:1: needs the columns day and model, or request_id; found "
            f"{', '.join(header) or 'nothing'}"
        )
    if not {"usd", "prompt_tokens", "completion_tokens"} & places.keys():
        raise InvoiceInvalid(
            f"{file}:1: needs a column usd (or cost, amount), or prompt_tokens and completion_tokens; "
            f"found {', '.join(header)}"
        )
    return places


def _values(
    file: Path, line: int, header: Sequence[str], row: Sequence[str], places: Mapping[str, int]
) -> dict[str, str]:
    if len(row) != len(header):
        raise InvoiceInvalid(f"{file}:{line}: has {len(row)} cells; the header has {len(header)}")
    return {column: row[index].strip() for column, index in places.items() if row[index].strip()}


def _line(file: Path, line: int, values: Mapping[str, str]) -> InvoiceLine:
    where = f"{file}:{line}"
    currency = values.get("currency", "USD").upper()
    if currency not in ("USD", "US$", "$"):
        raise InvoiceInvalid(f"{where}: is in {currency}; only USD can be compared")
    if "request" not in values and not {"day", "model"} <= values.keys():
        raise InvoiceInvalid(f"{where}: has neither a request's id nor both day and model")
    usd = None if "usd" not in values else _usd(where, values["usd"])
    return InvoiceLine(
        line=line,
        request=values.get("request"),
        day=None if "day" not in values else _day(where, values["day"]),
        model=values.get("model"),
        prompt_tokens=_count(where, "prompt_tokens", values),
        completion_tokens=_count(where, "completion_tokens", values),
        cached_tokens=_count(where, "cached_tokens", values),
        usd=usd,
        rounding_usd=Decimal(0) if usd is None else _rounding(usd),
    )


def _day(where: str, text: str) -> date:
    """The day in UTC: ISO 8601, or seconds since 1970."""
    try:
        if _UNIX.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC).date()
        if _COMPACT_DAY.fullmatch(text):
            return date.fromisoformat(text)
        read = datetime.fromisoformat(text.removesuffix(" UTC"))
        return (read if read.tzinfo is None else read.astimezone(UTC)).date()
    except (ValueError, OverflowError):
        raise InvoiceInvalid(f"{where}: {text!r} is not a day; write it as 2026-11-22") from None


def _count(where: str, column: str, values: Mapping[str, str]) -> int | None:
    if column not in values:
        return None
    number = _number(where, values[column])
    if number != number.to_integral_value() or number < 0:
        raise InvoiceInvalid(f"{where}: {values[column]!r} is not a number of tokens")
    return int(number)


def _usd(where: str, text: str) -> Decimal:
    negative = text.startswith("(") and text.endswith(")")  # as accountants write it
    number = _number(where, text.strip(_BRACKETS).replace("$", "").replace("USD", ""))
    return -number if negative else number


def _number(where: str, text: str) -> Decimal:
    """With a point before decimals; commas may part thousands."""
    plain = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", text.strip())
    try:
        number = Decimal(plain)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvoiceInvalid(f"{where}: {text!r} is not a number, as 1234.56")
    if abs(number) >= _MOST:
        raise InvoiceInvalid(f"{where}: {text!r} is more than anything is billed")
    return number


def _rounding(usd: Decimal) -> Decimal:
    exponent = usd.as_tuple().exponent
    assert isinstance(exponent, int)
    return min(max(Decimal(5).scaleb(exponent - 1), _PICODOLLAR), _CENT)
