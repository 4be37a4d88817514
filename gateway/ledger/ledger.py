"""Money and limits of every request: reserved before anything is spent, settled when it is known.

What is held against a cap, spent and reserved together, never exceeds it: one script in Redis takes all of a
request's budgets and limits, or none (batch.lua). What it takes is written to a file before the request goes
on, and what it came to is on its way to the journal (spool.py, writer.py). Of what is in Redis nothing has to
last (generations.py), and of a gateway that is killed nothing is lost (sweeper.py).

Tokens a minute are counted as OpenAI does: the most that a request may use when it is reserved, corrected to
what it used when it is settled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from cost_model.budget import MAX_REQUEST_PICODOLLARS, Books, picodollars, usd
from gateway.accounts import Account
from gateway.entries import Entry
from gateway.errors import CostUnknown, LedgerUnavailable
from gateway.ledger.channel import Channel, State, unavailable
from gateway.ledger.connection import KEEPS_ALL
from gateway.ledger.generations import Generations, clock
from gateway.ledger.journal import Journal
from gateway.ledger.numbers import Numbers
from gateway.ledger.spool import Spool
from gateway.ledger.sweeper import Sweeper
from gateway.ledger.terms import Reservation, Terms, plausible, terms_of
from gateway.ledger.writer import Writer

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
DRAIN_S = 5.0
POLL_S = 0.02
MOST_TERMS = 10_000

_WORST_UNKNOWN = (
    "A budget holds this request, and nobody knows the most that it may cost: give the model a price and "
    "max_tokens, or ask for one that has both."
)
_WORST_ABSURD = (
    f"The most that this request may cost is above {usd(MAX_REQUEST_PICODOLLARS):,.0f} USD, which none may: "
    "ask for less (max_tokens, n)."
)


class Ledger:
    """One per gateway process, in its event loop, between :meth:`start` and :meth:`stop`.

    ``gateway_id`` is used once: another process, and the same after a restart, has another. ``spool_dir`` is
    on a disk that outlives the process; gateways on one machine share it.
    """

    def __init__(
        self,
        redis_url: str,
        journal: Journal,
        spool_dir: Path,
        gateway_id: str,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._redis_url, self._journal, self._folder = redis_url, journal, spool_dir
        self._gateway_id, self._patience_s = gateway_id, patience_s
        self._open: dict[str, Reservation] = {}
        self._terms: dict[int, Terms] = {}
        self._leases = Books()
        self._leased = False
        self._overruns = self._overrun = 0

    async def start(self) -> None:
        """Redis and the database need not be there yet. Raises :class:`OSError` if the folder is no use."""
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="gradus-journal")
        self._spool = Spool(self._folder, self._gateway_id)
        self._writer = Writer(
            self._journal,
            self._spool,
            self._gateway_id,
            self._executor,
            lambda: [each.text for each in self._open.values()],
        )
        self._generations = Generations(
            self._journal, self._writer, self._spool, self._executor, self._open, clock
        )
        self._channel = Channel(
            self._redis_url,
            self._gateway_id,
            self._generations.join,
            self._open,
            self._granted,
            patience_s=self._patience_s,
        )
        self._sweeper = Sweeper(self._journal, self._folder, self._channel, self._executor)
        await self._channel.start()
        self._writer.start()
        self._sweeps = asyncio.create_task(self._sweeper.run(), name="gradus-sweeper")

    async def stop(self) -> None:
        """Give Redis and the journal a moment to hear the rest; what they do not hear stays in the spool."""
        self._sweeps.cancel()
        await asyncio.gather(self._sweeps, return_exceptions=True)
        done = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                done = await self._drained()
        await self._channel.stop()
        await self._writer.stop()
        if done:
            with contextlib.suppress(Exception):
                await self._in_thread_forget()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._spool.close(delete=done)

    @property
    def state(self) -> State:
        return self._channel.state

    def numbers(self) -> Numbers:
        return Numbers(
            state=self._channel.state,
            open=len(self._open),
            unjournaled=self._writer.backlog,
            spool_bytes=self._spool.size,
            untold=self._channel.queued,
            overruns=self._overruns,
            overrun_usd=usd(self._overrun),
            lost=self._sweeper.lost,
            rebuilds=self._generations.rebuilds,
            journal_is_up=self._writer.is_up,
            forgetful=self._channel.redis.eviction != KEEPS_ALL,
            spool_fault=self._spool.fault,
        )

    async def reserve(
        self, request_id: str, account: Account, worst_usd: Decimal | None, tokens: int
    ) -> Reservation:
        """Hold the most that the request may cost, and its share of all limits; nothing is spent before.

        ``tokens`` is the most that it may use, of all models. Raises :class:`BudgetExceeded`,
        :class:`RateLimited`, :class:`CostUnknown` or :class:`LedgerUnavailable`.
        """
        terms = self._terms_of(account)
        if worst_usd is None and account.caps_money:
            raise CostUnknown(_WORST_UNKNOWN)
        at = clock()
        reserved = None if worst_usd is None else picodollars(worst_usd)
        if reserved is not None and reserved > MAX_REQUEST_PICODOLLARS:
            raise CostUnknown(_WORST_ABSURD)
        reservation = terms.reservation(request_id, at, reserved, tokens)
        if not terms.is_limited:
            return self._go_on(reservation)
        if self._channel.state == "redis down":
            return self._without_redis(reservation)
        try:
            answer = await self._channel.ask(terms.ask(reservation), reservation)
        except LedgerUnavailable:
            return self._without_redis(reservation)
        except OSError as error:
            raise _unwritable(error) from error
        except asyncio.CancelledError:
            self.cancel(reservation)  # it may have been granted just now
            raise
        if isinstance(answer, int):
            self._end_leases()
            return reservation
        raise terms.refusal(reservation, answer, clock())

    async def reserve_nothing(self, request_id: str, account: Account) -> Reservation:
        """For a request that costs nothing, and is settled at once.

        Where requests are limited (a minute, at once) it is reserved like any, and raises as :meth:`reserve`;
        elsewhere nothing refuses it, and nothing is held, in no file either.
        """
        terms = self._terms_of(account)
        if terms.requests or terms.slots:
            return await self.reserve(request_id, account, Decimal(0), 0)
        reservation = terms.reservation(request_id, clock(), 0, 0)
        self._open[reservation.id] = reservation
        return reservation

    def settle(self, reservation: Reservation, entry: Entry) -> None:
        """Bill what the request came to, in full, and release the rest; a second time changes nothing.

        The entry's id, time and account are the reservation's; ``billed_usd`` is rounded up to picodollars,
        and an absurd one is billed as the most that any request may cost. Never waits.
        """
        if self._open.pop(reservation.id, None) is None:
            return
        entry = plausible(entry)
        record, billed = reservation.record, picodollars(entry.billed_usd)
        if _says(entry) != (record.id, reservation.at, usd(billed), record.key_id, record.team_id):
            entry = replace(
                entry,
                id=record.id,
                at=reservation.at,
                billed_usd=usd(billed),
                key_id=record.key_id,
                team_id=record.team_id,
            )
        if record.reserved is not None and billed > record.reserved:
            self._overruns += 1
            self._overrun += billed - record.reserved
            log.warning(
                "request %s cost %s USD more than was reserved", record.id, usd(billed - record.reserved)
            )
        self._leases.settle(record.id, billed)
        number = self._spool.settled(entry, record.reserved or 0)
        used = sum([line.total_tokens for line in entry.lines])
        self._channel.tell(reservation.terms.settling(reservation, number, billed, used), number)
        self._writer.wake()

    def cancel(self, reservation: Reservation, *, begins_anew: bool = False) -> None:
        """Nothing was spent: give all of it back, but the request that was counted, unless it begins anew.

        Never waits; after a settlement nothing changes.
        """
        if self._open.pop(reservation.id, None) is None:
            return
        self._leases.cancel(reservation.id)
        self._spool.cancelled(reservation.id)
        self._channel.tell(reservation.terms.cancelling(reservation, begins_anew=begins_anew))

    def _go_on(self, reservation: Reservation) -> Reservation:
        try:
            self._granted([reservation])
        except OSError as error:
            raise _unwritable(error) from error
        # One that is settled is not held any more: the counters may have been built with it already.
        self._channel.tell(reservation.terms.holding(reservation), still=lambda: reservation.id in self._open)
        return reservation

    def _granted(self, reservations: Sequence[Reservation]) -> None:
        self._spool.reserved([each.text for each in reservations])
        for each in reservations:
            self._open[each.id] = each

    def _without_redis(self, reservation: Reservation) -> Reservation:
        """Only money is held back while nobody can count; a key may have a lease, to spend all the same."""
        account, reserved = reservation.terms.account, reservation.record.reserved
        if not account.caps_money:
            return self._go_on(reservation)
        key = account.key
        if key is None or key.without_redis == "refuse" or reserved is None:
            raise unavailable(self._channel.state)
        leases = reservation.terms.leases(int(key.lease_usd * 10**12))
        if self._leases.reserve(reservation.id, reserved, leases) is not None:
            raise unavailable(self._channel.state)
        self._leased = True
        return self._go_on(reservation)

    def _end_leases(self) -> None:
        """They hold for one time without Redis; what was spent of them is told to it like everything."""
        if self._leased:
            self._leases, self._leased = Books(), False

    def _terms_of(self, account: Account) -> Terms:
        """Accounts are the same objects until something about them changes."""
        known = self._terms.get(id(account))
        if known is not None and known.account is account:
            return known
        if len(self._terms) >= MOST_TERMS:
            self._terms.clear()
        terms = self._terms[id(account)] = terms_of(account)
        return terms

    async def _drained(self) -> bool:
        while self._channel.queued or self._writer.backlog:
            if self._channel.state == "redis down" or not self._writer.is_up:
                return False
            await asyncio.sleep(POLL_S)
        if self._open or self._channel.state != "ready":
            return False
        return await self._channel.tell_for(self._gateway_id, [], self._spool.number)

    async def _in_thread_forget(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._journal.forget, self._gateway_id)


def _says(entry: Entry) -> tuple[object, ...]:
    return entry.id, entry.at, entry.billed_usd, entry.key_id, entry.team_id


def _unwritable(error: OSError) -> LedgerUnavailable:
    return LedgerUnavailable(f"The gateway cannot write down what it is about to spend: {error}.")
