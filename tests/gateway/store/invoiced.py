"""Invoices of a provider, and their lines."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from gateway.store.invoices import InvoiceLine

DAY = date(2026, 11, 22)


def line(number: int, usd: str | None = None, **more: object) -> InvoiceLine:
    """Of the model "gpt" on :data:`DAY`."""
    known = {"request": None, "day": DAY, "model": "gpt", "prompt_tokens": None, "completion_tokens": None}
    amount = None if usd is None else Decimal(usd)
    return InvoiceLine(line=number, **{**known, "cached_tokens": None, **more}, usd=amount)  # type: ignore[arg-type]


def write(folder: Path, text: str) -> Path:
    """A file with this in it."""
    file = folder / "invoice.csv"
    file.write_text(text, "utf-8")
    return file
