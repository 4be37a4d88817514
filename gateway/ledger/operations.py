"""What Redis is told and asked, one operation at a time, as batch.lua reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ledger.spool import Record

Rates = Sequence[tuple[str, int]]
"""Buckets and how many microseconds of each: a minute's worth of requests or tokens is a minute."""


def settling(number: int, record: Record, billed: int, difference: int, rates: Rates = ()) -> str:
    """``difference`` counts where the reservation is still open, ``billed`` where none is."""
    return json.dumps(
        ["s", number, record.id, str(billed), str(difference), record.scopes, record.windows, rates]
    )


def cancelling(record: Record, rates: Rates = ()) -> str:
    return json.dumps(["c", record.id, str(-(record.reserved or 0)), record.scopes, record.windows, rates])


@dataclass(eq=False, slots=True)
class Tell:
    """Nobody waits for it. ``number`` is that of a settled entry; 0 of what is cancelled."""

    op: str
    number: int = 0


@dataclass(eq=False, slots=True)
class Orphans:
    """What a gateway that is gone left to tell.

    It answers whether the counters could take it: else they do not know how much of it they have, and are
    built anew.
    """

    gateway_id: str
    ops: Sequence[Tell]
    answer: asyncio.Future[bool]
