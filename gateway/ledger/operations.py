"""What Redis is told and asked, one operation at a time, as batch.lua reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.ledger.spool import Record

Windows = tuple[str, str, str]
"""As :func:`cost_model.budget.windows`."""

Rates = Sequence[tuple[str, int]]
"""Buckets and how many microseconds of each: a minute's worth of requests or tokens is a minute."""


def reserving(record: Record, text: str, names: Windows, rooms: object, slots: object, rates: Rates) -> str:
    """``rooms`` and ``slots`` are what is left free at most, by window and scope; "" and -1: no limit."""
    limits = json.dumps([rooms, slots, rates])[1:]
    where = _where(record.scopes, names)
    return f'["r",{json.dumps(record.id)},{json.dumps(text)},"{record.reserved or 0}",{where},{limits}'


def holding(record: Record, text: str, names: Windows) -> str:
    """Of a request that goes on whatever is left: so that a limit that is set meanwhile knows of it."""
    where = _where(record.scopes, names)
    return f'["h",{json.dumps(record.id)},{json.dumps(text)},"{record.reserved or 0}",{where}]'


def settling(
    number: int, record: Record, names: Windows, billed: int, difference: int, rates: Rates = ()
) -> str:
    """``difference`` counts where the reservation is still open, ``billed`` where none is."""
    where = _where(record.scopes, names)
    return f'["s",{number},{json.dumps(record.id)},"{billed}","{difference}",{where},{json.dumps(rates)}]'


def cancelling(record: Record, rates: Rates = ()) -> str:
    where = _where(record.scopes, record.windows)
    return f'["c",{json.dumps(record.id)},"{-(record.reserved or 0)}",{where},{json.dumps(rates)}]'


@lru_cache(maxsize=4096)
def _where(scopes: tuple[str, ...], names: Windows) -> str:
    return f"{json.dumps(scopes)},{json.dumps(names)}"


@dataclass(eq=False, slots=True)
class Tell:
    """Nobody waits for it. ``number`` is that of a settled entry; 0 of what is held or cancelled.

    ``still``: whether it is to be told yet, where that may end.
    """

    op: str
    number: int = 0
    still: Callable[[], bool] | None = None


@dataclass(eq=False, slots=True)
class Orphans:
    """What a gateway that is gone left to tell.

    It answers whether the counters could take it: else they do not know how much of it they have, and are
    built anew.
    """

    gateway_id: str
    ops: Sequence[Tell]
    answer: asyncio.Future[bool]
