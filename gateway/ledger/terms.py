"""What an account's limits ask of Redis, and what a refusal says to the client."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from cost_model.budget import (
    MAX_PICODOLLARS,
    MAX_REQUEST_PICODOLLARS,
    Charge,
    picodollars,
    resets_at,
    usd,
    windows,
)
from gateway.accounts import Account, Limits
from gateway.bill import decimal_text
from gateway.entries import Entry
from gateway.errors import BudgetExceeded, GatewayError, RateLimited
from gateway.ledger.operations import cancelling, holding, reserving, settling
from gateway.ledger.spool import Record, Where, encode

log = logging.getLogger(__name__)

MINUTE_US = 60_000_000
SLOT_WAIT_S = 1.0  # nobody knows when a running request ends
MOST_TOKENS = 10**11  # more nobody used, or may: in microseconds of a bucket 64 bits hold them


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for one request until it is settled or cancelled.

    ``at`` is the moment whose day and month it counts in; ``tokens`` is the most that it may use.
    """

    record: Record
    at: datetime
    windows: tuple[str, str, str]
    text: str
    tokens: int
    terms: Terms

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def where(self) -> Where:
        return self.terms.scopes, self.windows

    @property
    def reserved_usd(self) -> Decimal | None:
        return None if self.record.reserved is None else usd(self.record.reserved)


@dataclass(frozen=True, slots=True)
class Terms:
    """An account's limits, worked out once. ``caps`` are picodollars by window, then by scope.

    ``rooms`` are the same, but empty of a window in which nothing is capped.
    """

    account: Account
    key_id: str | None
    team_id: str | None
    scopes: tuple[str, ...]
    caps: tuple[tuple[int | None, ...], ...]
    rooms: tuple[tuple[int | None, ...], ...]
    slots: tuple[int, ...]
    requests: tuple[tuple[str, int], ...]
    tokens: tuple[tuple[str, int], ...]
    is_limited: bool

    def reservation(self, id: str, at: datetime, reserved: int | None, tokens: int) -> Reservation:
        record = Record(id, at.isoformat(), reserved, self.key_id, self.team_id)
        return Reservation(record, at, windows(at), encode(record), min(tokens, MOST_TOKENS), self)

    def settling(self, reservation: Reservation, number: int, billed: int, tokens: int) -> bytes:
        """The operation that turns what was reserved into what it came to (batch.lua)."""
        record = reservation.record
        difference = billed - (record.reserved or 0)
        rates = [
            (name, _share(min(tokens, MOST_TOKENS), limit) - _share(reservation.tokens, limit))
            for name, limit in self.tokens
        ]
        return settling(number, record, reservation.where, billed, difference, rates)

    def cancelling(self, reservation: Reservation, *, begins_anew: bool = False) -> bytes:
        """The operation that gives all of it back; the request was counted, unless it begins anew."""
        rates = [(name, -_share(reservation.tokens, limit)) for name, limit in self.tokens]
        if begins_anew:
            rates += [(name, -_share(1, limit)) for name, limit in self.requests]
        return cancelling(reservation.record, reservation.where, rates)

    def holding(self, reservation: Reservation) -> bytes:
        """The operation that holds what goes on whatever is left (batch.lua)."""
        return holding(reservation.record, reservation.text, reservation.where)

    def ask(self, reservation: Reservation) -> bytes:
        """The operation that reserves (batch.lua)."""
        amount = reservation.record.reserved or 0
        rooms = [["" if cap is None else str(cap - amount) for cap in caps] for caps in self.rooms]
        rates = [(name, _share(1, limit)) for name, limit in self.requests]
        rates += [(name, _share(reservation.tokens, limit)) for name, limit in self.tokens]
        return reserving(reservation.record, reservation.text, reservation.where, rooms, self.slots, rates)

    def leases(self, lease: int) -> tuple[Charge, ...]:
        """What a lease counts in while no budget can be looked up: who shares a budget shares a lease."""
        found = []
        for scope, *caps in zip(self.scopes, *self.caps, strict=True):
            known = [cap for cap in caps if cap is not None]
            if known:
                found.append(Charge(scope, "lease", min(lease, *known)))
        return tuple(found)

    def refusal(self, reservation: Reservation, answer: Sequence[bytes | int], now: datetime) -> GatewayError:
        """What Redis answered, said to the client."""
        kind = answer[0]
        if kind == b"budget":
            scope, window = int(answer[1]) - 1, int(answer[2]) - 1
            return self._over_budget(reservation, scope, window, int(answer[3]), now)
        if kind == b"slots":
            scope = int(answer[1]) - 1
            most = self.slots[scope]
            said = f"{self._whose(scope)} runs {most} request(s) at once, and all are busy."
            return RateLimited(said, retry_after_s=SLOT_WAIT_S)
        return self._over_rate(reservation, int(answer[1]) - 1, int(answer[2]))

    def _over_budget(
        self, reservation: Reservation, scope: int, window: int, held: int, now: datetime
    ) -> BudgetExceeded:
        cap = self.caps[window][scope] or 0
        name = reservation.windows[window]
        left, most = max(cap - held, 0), reservation.record.reserved or 0
        reset = resets_at(name)
        said = (
            f"{self._whose(scope)} has {_dollars(left)} left of {_dollars(cap)}"
            f"{'' if reset is None else f' for {name}'}, and this request may cost {_dollars(most)}."
        )
        if reset is None or most > cap:
            return BudgetExceeded(said)
        wait_s = math.ceil((reset - now).total_seconds())
        return BudgetExceeded(f"{said} It is reset at {reset:%Y-%m-%d %H:%M} UTC.", retry_after_s=wait_s)

    def _over_rate(self, reservation: Reservation, rate: int, wait_us: int) -> RateLimited:
        name, limit = (*self.requests, *self.tokens)[rate]
        scope = self.scopes.index(name.removeprefix("rate:").rpartition(":")[0])
        if rate < len(self.requests):
            said = f"{self._whose(scope)} may make {limit} request(s) a minute."
        elif reservation.tokens > limit:
            # No wait helps: OpenAI's clients would ask again all the same, so they are told not to.
            return RateLimited(
                f"{self._whose(scope)} may use {limit} tokens a minute, and this request alone may use "
                f"{reservation.tokens}; ask for fewer (max_tokens).",
                code="request_over_rate_limit",
            )
        else:
            said = (
                f"{self._whose(scope)} may use {limit} tokens a minute, and this request may use "
                f"{reservation.tokens}."
            )
        return RateLimited(said, retry_after_s=math.ceil(wait_us / 1_000_000))

    def _whose(self, scope: int) -> str:
        kind = self.scopes[scope].partition(":")[0]
        return {"all": "This gateway", "key": "This key", "team": "This key's team"}[kind]


def terms_of(account: Account) -> Terms:
    key = account.key
    named = account.scopes
    limits = [each for _, each in named]
    caps = tuple(
        tuple(_cap(each, field) for each in limits)
        for field in ("usd_total", "usd_per_month", "usd_per_day")  # as cost_model.budget.windows
    )
    return Terms(
        account=account,
        key_id=None if key is None else key.id,
        team_id=None if key is None or key.team is None else key.team.id,
        scopes=tuple(name for name, _ in named),
        caps=caps,
        rooms=tuple(each if any(cap is not None for cap in each) else () for each in caps),
        slots=_slots(limits),
        requests=tuple(
            (f"rate:{name}:requests", each.requests_per_minute)
            for name, each in named
            if each.requests_per_minute is not None
        ),
        tokens=tuple(
            (f"rate:{name}:tokens", each.tokens_per_minute)
            for name, each in named
            if each.tokens_per_minute is not None
        ),
        is_limited=any(each != Limits() for each in limits),
    )


def plausible(entry: Entry) -> Entry:
    """A server that says it used 10**17 tokens must not fill the counters; what it did cost nobody knows."""
    if picodollars(entry.billed_usd) <= MAX_REQUEST_PICODOLLARS:
        return entry
    most = usd(MAX_REQUEST_PICODOLLARS)
    log.error("request %s is said to have cost %s USD; billed are %s USD", entry.id, entry.billed_usd, most)
    lines = tuple([replace(line, cost_usd=None) for line in entry.lines])
    return replace(entry, billed_usd=most, lines=lines, estimated=True)


def _cap(limits: Limits, field: str) -> int | None:
    """A cap beyond what counters hold is the most that they hold."""
    cap = getattr(limits, field)
    return None if cap is None else min(int(cap * 10**12), MAX_PICODOLLARS)


def _slots(limits: Sequence[Limits]) -> tuple[int, ...]:
    most = tuple(
        -1 if each.max_concurrent_requests is None else each.max_concurrent_requests for each in limits
    )
    return () if set(most) == {-1} else most


def _share(count: int, limit: int) -> int:
    """Rounded down, so that as many fit into an empty bucket as the limit says; of no limit's bucket none."""
    return count * MINUTE_US // limit if limit else count * (MINUTE_US + 1)


def _dollars(amount: int) -> str:
    return f"${decimal_text(usd(amount))}"
