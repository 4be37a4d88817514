"""What the ledger says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gateway.ledger.channel import State


@dataclass(frozen=True, slots=True)
class Numbers:
    """What health and metrics show. ``overruns`` cost more than was reserved, ``lost`` were never settled.

    ``forgetful``: Redis drops keys when its memory is full. ``spool_fault``: why nothing can be written down.
    """

    state: State
    open: int
    unjournaled: int
    spool_bytes: int
    untold: int
    overruns: int
    overrun_usd: Decimal
    lost: int
    rebuilds: int
    journal_is_up: bool
    forgetful: bool
    spool_fault: str | None
