"""Types of columns that SQLite and PostgreSQL keep alike: money, and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, DateTime, Dialect, func, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator

from cost_model.budget import MAX_PICODOLLARS, picodollars, usd


class Usd(TypeDecorator[Decimal]):
    """US dollars as a whole number of picodollars, as in the ledger's counters: any database adds them up."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _: Dialect) -> int | None:
        amount = None if value is None else picodollars(value)
        if amount is not None and abs(amount) > MAX_PICODOLLARS:
            raise ValueError(f"{value} USD is more than one amount may be")
        return amount

    def process_result_value(self, value: int | Decimal | None, _: Dialect) -> Decimal | None:
        return None if value is None else usd(int(value))


class Utc(TypeDecorator[datetime]):
    """A moment. SQLite knows no time zones: there it is written in UTC, and read as that."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_THOUSANDTH: Final = 10**9


def summed(
    amounts: ColumnElement[Any] | InstrumentedAttribute[Any],
) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """What :func:`together` makes a sum of: whole thousandths of a dollar, and what is beyond them.

    SQLite adds up in 64 bits, which end at 9.2 million USD; so it can add up as many times that as lines.
    """
    whole = type_coerce(amounts, BigInteger)
    return func.sum(whole // _THOUSANDTH), func.sum(whole % _THOUSANDTH)


def together(thousandths: int | Decimal | None, beyond: int | Decimal | None) -> Decimal:
    """USD; of no amounts 0. PostgreSQL adds whole numbers up to decimals."""
    return usd(int(thousandths or 0) * _THOUSANDTH + int(beyond or 0))
