"""Types of columns that SQLite and PostgreSQL keep alike: money, and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Dialect
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
