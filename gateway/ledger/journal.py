"""What the ledger asks of the database: to keep entries, to add them up, and to say which gateways live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.entries import Entry


@dataclass(frozen=True, slots=True)
class Numbered:
    """An entry with its number in the spool of its gateway, from 1 up, without gaps.

    Its ``billed_usd`` is a whole number of picodollars, so :func:`cost_model.budget.picodollars` of it is
    exact; its ``at`` is when the request was reserved: the day and month (UTC) that it counts in.
    """

    number: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Presence:
    """A gateway that the journal knows.

    ``age_s`` is how long ago it beat, by the database's clock; ``None`` if it never did. ``journaled`` is the
    highest number of its entries in the journal, 0 without any.
    """

    age_s: float | None
    journaled: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The journal at one moment: everything here was read in one transaction.

    ``spent`` has picodollars by scope (as in :attr:`gateway.accounts.Account.scopes`: "all", "key:ID",
    "team:ID") and window (as in :func:`cost_model.budget.windows`: "total", "2026-11-22", "2026-11"); what
    is not in it is 0.
    """

    spent: Mapping[tuple[str, str], int]
    gateways: Mapping[str, Presence]


class Journal(Protocol):
    """Called from threads, two at once at most; every call ends by itself, also while the database hangs.

    Any exception means that the database is away for now; the call is made again later, and nothing that it
    was given is forgotten in between.
    """

    def append(self, gateway_id: str, entries: Sequence[Numbered]) -> None:
        """Write entries, each once by its id whoever writes it again, and the gateway's highest number.

        All in one transaction. ``journaled`` never goes down, and a gateway that was unknown is known after
        (without having beaten).
        """

    def standing(self, since: datetime) -> Standing:
        """What every scope spent in the windows of that moment and in all later ones, and all gateways.

        An entry counts for "all", for its key and for its team (``key_id``, ``team_id``), in "total" and in
        the day and the month of its ``at``, in UTC.
        """

    def beat(self, gateway_id: str) -> None:
        """Say that this gateway lives, and may hold money that the journal does not know of."""

    def forget(self, gateway_id: str) -> None:
        """This gateway ended, and all it had to say is in the journal. An unknown one is no error."""
