"""Budgets: what is held against a cap, spent or reserved, never exceeds it. Amounts are whole picodollars.

These are the rules; a gateway's Redis follows the same ones, and its tests hold it to this form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from functools import lru_cache

PICODOLLARS_PER_USD = 10**12
MAX_PICODOLLARS = 2**63 - 1
"""What a counter of 64 bits holds: about 9.2 million USD."""
MAX_REQUEST_PICODOLLARS = 10**17
"""The most that one request may be reserved or billed, 100,000 USD: far above any, and counters hold many."""

_EXACT = Context(prec=40)


def picodollars(usd: Decimal) -> int:
    """A bill as counters keep it: rounded up, once."""
    numerator, denominator = usd.as_integer_ratio()
    return -(-numerator * PICODOLLARS_PER_USD // denominator)


def usd(amount: int) -> Decimal:
    """The amount of picodollars in USD, exactly."""
    return Decimal(amount).scaleb(-12, _EXACT)


def windows(at: datetime) -> tuple[str, str, str]:
    """What a request that begins then counts in: always, its month and its day, by the calendar in UTC."""
    return _windows(at.astimezone(UTC).date())


@lru_cache(maxsize=8)
def _windows(day: date) -> tuple[str, str, str]:
    return "total", f"{day:%Y-%m}", f"{day:%Y-%m-%d}"


def resets_at(window: str) -> datetime | None:
    """When the next window of its kind begins; ``None`` for the total, which is never reset."""
    if window == "total":
        return None
    year, month, *day = map(int, window.split("-"))
    if day:
        after = date(year, month, day[0]) + timedelta(days=1)
    else:
        after = date(year + month // 12, month % 12 + 1, 1)
    return datetime.combine(after, time(), UTC)


@dataclass(frozen=True, slots=True)
class Charge:
    """One counter that a request counts in, and the cap on it; ``None``: counted, not capped."""

    scope: str
    window: str
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class _Reserved:
    amount: int
    charges: tuple[Charge, ...]


@dataclass(slots=True)
class Books:
    """Every counter, and the reservations that are open."""

    _held: dict[tuple[str, str], int] = field(default_factory=dict)
    _open: dict[str, _Reserved] = field(default_factory=dict)

    def held(self, scope: str, window: str) -> int:
        """Spent and reserved together."""
        return self._held.get((scope, window), 0)

    def reserve(self, id: str, amount: int, charges: tuple[Charge, ...]) -> Charge | None:
        """Hold the amount in all counters, or in none: then the first that has no room for it is returned.

        What is open already is granted again, and held once.
        """
        if id in self._open:
            return None
        for charge in charges:
            if charge.cap is not None and self.held(charge.scope, charge.window) + amount > charge.cap:
                return charge
        self._open[id] = _Reserved(amount, charges)
        self._add(amount, charges)
        return None

    def settle(self, id: str, billed: int) -> int:
        """Turn what was reserved into what it came to, in full; returns by how much that was more.

        A second time, or for what was never reserved, nothing changes.
        """
        reserved = self._open.pop(id, None)
        if reserved is None:
            return 0
        self._add(billed - reserved.amount, reserved.charges)
        return max(billed - reserved.amount, 0)

    def cancel(self, id: str) -> None:
        """Nothing was spent."""
        self.settle(id, 0)

    def book(self, billed: int, charges: tuple[Charge, ...]) -> None:
        """Count what was spent without a reservation, whatever the caps."""
        self._add(billed, charges)

    def _add(self, amount: int, charges: Iterable[Charge]) -> None:
        for charge in charges:
            at = (charge.scope, charge.window)
            self._held[at] = self._held.get(at, 0) + amount
