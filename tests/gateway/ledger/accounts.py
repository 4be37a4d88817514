"""Short ways to say who asks and what it came to; light, because spender.py imports it too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from gateway.accounts import Account, Key, Limits, Team
from gateway.entries import Entry
from gateway.ledger.terms import Reservation

NO_LIMITS = Limits()
GIVE_UP_S = 60.0


async def eventually(true: Callable[[], object]) -> None:
    """Wait for what goes on in the background; fails after a while."""
    async with asyncio.timeout(GIVE_UP_S):
        while not true():
            await asyncio.sleep(0.005)


def account(limits: Limits = NO_LIMITS, team: Limits | None = None, **options: object) -> Account:
    shared = None if team is None else Team("t", "t", team)
    return Account(Key("k", "k", "k", shared, limits, **options))  # type: ignore[arg-type]


def entry(reservation: Reservation, billed_usd: Decimal | str, **options: object) -> Entry:
    return Entry(reservation.id, reservation.at, "answered", Decimal(billed_usd), **options)  # type: ignore[arg-type]
