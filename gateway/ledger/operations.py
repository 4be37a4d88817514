"""What Redis is told and asked, one operation at a time, as batch.lua reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.ledger.spool import Record, Where, to_json

Rates = Sequence[tuple[str, int]]
"""Buckets and how many microseconds of each: a minute's worth of requests or tokens is a minute."""


def reserving(record: Record, text: str, where: Where, rooms: object, slots: object, rates: Rates) -> bytes:
    """``rooms`` and ``slots`` are what is left free at most, by window and scope; "" and -1: no limit."""
    return to_json(("r", record.id, text, str(record.reserved or 0), *where, rooms, slots, rates))


def holding(record: Record, text: str, where: Where) -> bytes:
    """Of a request that goes on whatever is left: so that a limit that is set meanwhile knows of it."""
    return to_json(("h", record.id, text, str(record.reserved or 0), *where))


def settling(
    number: int, record: Record, where: Where, billed: int, difference: int, rates: Rates = ()
) -> bytes:
    """``difference`` counts where the reservation is still open, ``billed`` where none is."""
    return to_json(("s", number, record.id, str(billed), str(difference), *where, rates))


def cancelling(record: Record, where: Where, rates: Rates = ()) -> bytes:
    return to_json(("c", record.id, str(-(record.reserved or 0)), *where, rates))


@dataclass(eq=False, slots=True)
class Tell:
    """Nobody waits for it. ``number`` is that of a settled entry; 0 of what is held or cancelled.

    ``still``: whether it is to be told yet, where that may end.
    """

    op: bytes
    number: int = 0
    still: Callable[[], bool] | None = None


@dataclass(eq=False, slots=True)
class Orphans:
    """What a gateway that is gone left to tell; ``number`` is that of the last entry which it settled.

    It answers whether the counters could take it: else they do not know how much of it they have, and are
    built anew.
    """

    gateway_id: str
    ops: Sequence[Tell]
    number: int
    answer: asyncio.Future[bool]
