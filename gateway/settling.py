"""What a request is billed: reserved before it begins, settled when all that it consumed is known."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import Final, Protocol

from cost_model.prices import add_usd
from gateway.bill import Bill
from gateway.caller import Caller
from gateway.dispatch import LastWords
from gateway.entries import Entry, Status
from gateway.errors import CostUnknown
from gateway.fallback import Instead
from gateway.ledger.ledger import Ledger
from gateway.ledger.terms import Reservation
from gateway.telemetry.metrics import ended, stage
from router.config import Config
from router.types import Route

_FEES: Final = (
    "A budget holds this request, and nobody knows the most that it may cost with {}: leave that out, or ask "
    "with a key without a budget."
)
CUT_OFF_S: Final = 2.0
POLL_S: Final = 0.02


class Billed(Protocol):
    """A request, as far as its bill is concerned: a chat, or what is passed through.

    ``given_up`` is what is still to be heard of jobs that were given up.
    """

    caller: Caller
    bill: Bill
    began_s: float
    given_up: list[LastWords]

    @property
    def asked_for(self) -> str:
        """The request's ``model``."""
        ...

    @property
    def policy(self) -> str | None: ...

    @property
    def most_usd(self) -> Decimal | None: ...

    @property
    def fees(self) -> tuple[str, ...]:
        """Fields of the request for which nobody knows what it may cost."""
        ...

    def most_tokens(self, config: Config) -> int: ...


class Cashier:
    """Reserves and settles for one gateway process."""

    def __init__(self, ledger: Ledger, config: Config) -> None:
        self._ledger, self._config = ledger, config
        self._late: set[asyncio.Task[None]] = set()
        self._open = 0

    async def stop(self) -> None:
        """Wait a moment for requests that were cut off, then for what is still to be heard of their jobs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_OFF_S):
                while self._open:
                    await asyncio.sleep(POLL_S)
        if self._late:
            await asyncio.wait(self._late)  # who gives up waiting ends none of them, as gather would

    def billing(self, run: Billed) -> Billing:
        """Around a request: reserve the most that it may cost, settle what it came to, whatever ends it.

        Entering raises what :meth:`gateway.ledger.ledger.Ledger.reserve` does, before anything is spent.
        """
        return Billing(self, run)

    async def open(self, run: Billed) -> Reservation:
        """Reserve for a request that begins."""
        caller = run.caller
        tokens = run.most_tokens(self._config) if caller.account.counts_tokens else 0
        with stage("reserve"):
            try:
                held = await self._ledger.reserve(caller.request_id, caller.account, run.most_usd, tokens)
            except CostUnknown as error:
                if run.most_usd is None and run.fees:
                    raise CostUnknown(_FEES.format(", ".join(run.fees)), param=run.fees[0]) from error
                raise
        self._open += 1
        return held

    def close(self, held: Reservation, slip: Slip) -> None:
        """Settle a request that ended, at once or when all is heard of its jobs."""
        self._open -= 1
        if slip.begins_anew:
            self._ledger.cancel(held, begins_anew=True)
        elif slip.run.given_up:
            task = asyncio.create_task(self._settle_late(held, slip))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        else:
            self._settle(held, slip)

    async def give(self, run: Billed, route: Route, model: str, strategy: str) -> None:
        """Enter a request that the cache answered: it costs nothing, and counts as one all the same.

        Raises as :meth:`billing`.
        """
        caller = run.caller
        held = await self._ledger.reserve_nothing(caller.request_id, caller.account)
        slip = Slip(run)
        slip.cached = True
        slip.answer(route, model, strategy, None)
        entry = slip.entry(held)
        self._ledger.settle(held, entry)
        ended(entry)

    async def _settle_late(self, held: Reservation, slip: Slip) -> None:
        for outcome in await asyncio.gather(*slip.run.given_up, return_exceptions=True):
            if outcome is None or isinstance(outcome, BaseException):
                slip.run.bill.lose()
            else:
                slip.run.bill.add(outcome.usage)
        self._settle(held, slip)

    def _settle(self, held: Reservation, slip: Slip) -> None:
        entry = slip.entry(held)
        if slip.status != "answered" and not slip.run.bill.lines and not slip.run.bill.lost:
            self._ledger.cancel(held)
        else:
            self._ledger.settle(held, entry)
        ended(entry)


class Billing:
    """The ``async with`` of :meth:`Cashier.billing`."""

    __slots__ = ("_cashier", "_held", "_slip")

    def __init__(self, cashier: Cashier, run: Billed) -> None:
        self._cashier, self._slip = cashier, Slip(run)

    async def __aenter__(self) -> Slip:
        self._held = await self._cashier.open(self._slip.run)
        return self._slip

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        slip = self._slip
        if isinstance(error, asyncio.CancelledError):
            slip.status = "cancelled"
        elif isinstance(error, Instead):
            slip.begins_anew = True
        elif error is not None:
            slip.status, slip.error = "failed", getattr(error, "code", type(error).__name__)
        self._cashier.close(self._held, slip)


class Slip:
    """What is written of a request while it runs: its :class:`gateway.entries.Entry` in the making."""

    def __init__(self, run: Billed) -> None:
        self.run = run
        self.status: Status = "answered"
        self.error: str | None = None
        self.route: Route | None = None
        self.answered: str | None = None
        self.strategy: str | None = None
        self.upstream_id: str | None = None
        self.cached = False
        self.begins_anew = False

    def answer(self, route: Route, model: str, strategy: str, upstream_id: str | None) -> None:
        """Write down whose answer it is; ``upstream_id`` is its id at the server, which may be no text."""
        self.route, self.answered, self.strategy = route, model, strategy
        self.upstream_id = None if upstream_id is None else str(upstream_id)

    def entry(self, held: Reservation) -> Entry:
        """What is known of the cost; where a part is unknown, what was reserved for all of it."""
        run, lines = self.run, self.run.bill.lines
        known = None if run.bill.lost else add_usd(*[line.cost_usd for line in lines])
        return Entry(
            id=held.id,
            at=held.at,
            status=self.status,
            billed_usd=most_likely_usd(known, held, run),
            lines=lines,
            estimated=known is None or run.bill.is_estimated,
            key_id=held.record.key_id,
            team_id=held.record.team_id,
            asked=run.asked_for,
            policy=run.policy,
            route=self.route,
            answered=self.answered,
            strategy=self.strategy,
            cached=self.cached,
            error=self.error,
            seconds=time.perf_counter() - run.began_s,
            upstream_id=self.upstream_id,
            tags={} if run.caller.account.key is None else run.caller.account.key.tags,
        )


def most_likely_usd(known: Decimal | None, held: Reservation, run: Billed) -> Decimal:
    """``known``; else what was reserved; else (no cap, and no bound on the cost) the part that is known.

    Of calls whose cost is unknown, that part is the price of the tokens that were counted. What is known by
    an estimate is at most what was reserved: no estimate of ours takes anybody over a cap.
    """
    if known is not None and run.bill.is_estimated and held.reserved_usd is not None:
        return min(known, held.reserved_usd)
    if known is not None:
        return known
    if held.reserved_usd is not None:
        return held.reserved_usd
    priced_usd = sum((line.cost_usd for line in run.bill.lines if line.cost_usd is not None), Decimal(0))
    return priced_usd + run.bill.at_least_usd
