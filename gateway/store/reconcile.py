"""A provider's bill against the journal: request by request where it names them, else by day and model."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cost_model.budget import picodollars
from cost_model.budget import usd as dollars
from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.store.columns import summed, together
from gateway.store.database import REPORT_PATIENCE_S, Database
from gateway.store.invoices import InvoiceLine
from gateway.store.models import EntryRow, LineRow

Verdict = Literal["same", "differs", "not in the journal", "not in the invoice"]
Ours = Callable[[str], frozenset[str]]
"""Which of our models an invoice means by a name."""

_AT_PROVIDERS: Final = ("direct", "escalation")
"""Purposes of the lines whose server's name for the answer an entry has."""
_ASKED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Booked:
    """What the journal says."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    usd: Decimal = Decimal(0)

    def __add__(self, other: Booked) -> Booked:
        return Booked(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.usd + other.usd,
        )


@dataclass(frozen=True, slots=True)
class Billed:
    """What the invoice says, ``None`` where it says nothing. Its USD may be off by ``rounding_usd``."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    usd: Decimal | None = None
    rounding_usd: Decimal = Decimal(0)

    def agrees(self, ours: Booked) -> bool:
        tokens = (
            (self.prompt_tokens, ours.prompt_tokens),
            (self.completion_tokens, ours.completion_tokens),
            (self.cached_tokens, ours.cached_tokens),
        )
        return self.more_usd(ours) == 0 and all(said is None or said == counted for said, counted in tokens)

    def more_usd(self, ours: Booked) -> Decimal:
        """By how much it is higher; 0 where it names no amount, or only rounding is between them."""
        more = Decimal(0) if self.usd is None else self.usd - ours.usd
        return Decimal(0) if abs(more) <= self.rounding_usd else more


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing that is billed: of a ``request`` (its id at the provider), or of a day and a model of ours.

    ``lines`` are those of the invoice; ``entry`` is what the request was booked as.
    """

    subject: str
    lines: tuple[int, ...]
    verdict: Verdict
    ours: Booked
    theirs: Billed
    day: date | None
    model: str | None
    request: str | None = None
    entry: Entry | None = None

    @property
    def more_usd(self) -> Decimal:
        """By how much the invoice is higher."""
        return -self.ours.usd if self.verdict == "not in the invoice" else self.theirs.more_usd(self.ours)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """``elsewhere`` is what came in those days to models that the invoice never names."""

    compared: tuple[Compared, ...]
    elsewhere: Mapping[str, Decimal]

    @property
    def differences(self) -> tuple[Compared, ...]:
        return tuple(each for each in self.compared if each.verdict != "same")


def reconcile(database: Database, invoice: Sequence[InvoiceLine], ours: Ours) -> Reconciled:
    """Raises :class:`gateway.store.errors.DatabaseUnavailable`."""
    with database.read(REPORT_PATIENCE_S) as session:
        by_request = list(_by_request(session, invoice))
        by_day, elsewhere = _by_day(session, [line for line in invoice if line.request is None], ours)
    return Reconciled((*by_request, *by_day), elsewhere)


def adjustments(found: Reconciled, now: datetime) -> list[Entry]:
    """An entry for every difference; the same differences make the same entries.

    It counts where and when the request did, else on the invoice's day, and then for nobody's key.
    """
    return [_adjustment(each, now) for each in found.differences]


def _by_request(session: Session, invoice: Iterable[InvoiceLine]) -> Iterator[Compared]:
    grouped: dict[str, list[InvoiceLine]] = defaultdict(list)
    for line in invoice:
        if line.request is not None:
            grouped[line.request].append(line)
    known = _requests(session, list(grouped))
    for request, lines in grouped.items():
        entry, ours = known.get(request, (None, Booked()))
        day = lines[0].day if entry is None else entry.at.date()
        model = lines[0].model if entry is None else entry.answered
        numbers, theirs = tuple(line.line for line in lines), _billed(lines)
        verdict = _verdict(ours, theirs, known=entry is not None)
        yield Compared(f"request {request}", numbers, verdict, ours, theirs, day, model, request, entry)


def _requests(session: Session, requests: Sequence[str]) -> dict[str, tuple[Entry, Booked]]:
    """What each was first booked as, and what that comes to with its corrections."""
    found: dict[str, tuple[Entry, Booked]] = {}
    for start in range(0, len(requests), _ASKED_AT_ONCE):
        asked = (
            select(EntryRow, *_SUMS)
            .outerjoin(LineRow, (LineRow.entry_id == EntryRow.id) & LineRow.purpose.in_(_AT_PROVIDERS))
            .where(EntryRow.upstream_id.in_(requests[start : start + _ASKED_AT_ONCE]))
            .group_by(EntryRow.id)
            .order_by(EntryRow.status == "adjusted", EntryRow.at)
        )
        for row, *sums in session.execute(asked):
            request = row.upstream_id or ""
            first, before = found.get(request, (_entry(row), Booked()))
            found[request] = (first, before + _booked(sums))
    return found


def _by_day(
    session: Session, lines: Sequence[InvoiceLine], ours: Ours
) -> tuple[list[Compared], dict[str, Decimal]]:
    grouped: dict[tuple[date, tuple[str, ...]], list[InvoiceLine]] = defaultdict(list)
    for line in lines:
        if line.day is not None and line.model is not None:
            grouped[line.day, tuple(sorted(ours(line.model) or {line.model}))].append(line)
    if not grouped:
        return [], {}
    days = [day for day, _ in grouped]
    booked = _days(session, min(days), max(days))
    compared = []
    for (day, models), billed in sorted(grouped.items()):
        here = [booked[day, model] for model in models if (day, model) in booked]
        sums, theirs = sum(here, Booked()), _billed(billed)
        verdict = _verdict(sums, theirs, known=bool(here))
        subject = f"{day} {', '.join(dict.fromkeys(line.model or '' for line in billed))}"
        numbers = tuple(line.line for line in billed)
        compared.append(Compared(subject, numbers, verdict, sums, theirs, day, models[0]))
    named = {model for _, models in grouped for model in models}
    told = {(day, model) for day, models in grouped for model in models}
    for (day, model), sums in sorted(booked.items()):
        if model in named and (day, model) not in told and sums != Booked():
            nothing = Compared(f"{day} {model}", (), "not in the invoice", sums, Billed(), day, model)
            compared.append(nothing)
    elsewhere: dict[str, Decimal] = defaultdict(Decimal)
    for (_, model), sums in booked.items():
        if model not in named and sums.usd:
            elsewhere[model] += sums.usd
    return compared, dict(elsewhere)


def _days(session: Session, first: date, last: date) -> dict[tuple[date, str], Booked]:
    asked = (
        select(EntryRow.day, LineRow.model, *_SUMS)
        .join(LineRow, LineRow.entry_id == EntryRow.id)
        .where(EntryRow.day.between(first, last))
        .group_by(EntryRow.day, LineRow.model)
    )
    return {(day, model): _booked(sums) for day, model, *sums in session.execute(asked)}


_SUMS: Final = (
    func.sum(LineRow.prompt_tokens),
    func.sum(LineRow.completion_tokens),
    func.sum(LineRow.cached_prompt_tokens),
    *summed(LineRow.billed_usd),
)


def _booked(sums: Sequence[Any]) -> Booked:
    prompt, completion, cached, *usd = sums
    return Booked(int(prompt or 0), int(completion or 0), int(cached or 0), together(*usd))


def _billed(lines: Sequence[InvoiceLine]) -> Billed:
    """The lines together; an amount that one of them does not say is not known of all."""

    def together(amounts: Sequence[int | None]) -> int | None:
        said = [amount for amount in amounts if amount is not None]
        return sum(said) if len(said) == len(lines) else None

    usd = [line.usd for line in lines if line.usd is not None]
    return Billed(
        together([line.prompt_tokens for line in lines]),
        together([line.completion_tokens for line in lines]),
        together([line.cached_tokens for line in lines]),
        sum(usd, Decimal(0)) if len(usd) == len(lines) else None,
        sum((line.rounding_usd for line in lines), Decimal(0)),
    )


def _verdict(ours: Booked, theirs: Billed, *, known: bool) -> Verdict:
    if theirs.agrees(ours):
        return "same"
    return "differs" if known else "not in the journal"


def _adjustment(found: Compared, now: datetime) -> Entry:
    """Tokens too, as far as the invoice says them: the journal then says what the invoice does."""
    ours, theirs, model = found.ours, found.theirs, found.model or "unknown"
    missing = found.verdict == "not in the invoice"
    more = [
        -counted if missing else 0 if said is None else said - counted
        for said, counted in (
            (theirs.prompt_tokens, ours.prompt_tokens),
            (theirs.completion_tokens, ours.completion_tokens),
            (theirs.cached_tokens, ours.cached_tokens),
        )
    ]
    usd = dollars(picodollars(found.more_usd))
    line = Usage(
        "direct",
        model,
        prompt_tokens=more[0],
        completion_tokens=more[1],
        cached_prompt_tokens=more[2],
        cost_usd=usd,
    )
    said = "\n".join(map(str, (found.subject, model, ours, theirs)))
    first = found.entry
    noon = now if found.day is None else datetime.combine(found.day, time(12), UTC)
    return Entry(
        id=f"adjust-{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:32]}",
        at=noon if first is None else first.at,
        status="adjusted",
        billed_usd=usd,
        lines=(line,),
        key_id=None if first is None else first.key_id,
        team_id=None if first is None else first.team_id,
        answered=model,
        upstream_id=found.request,
    )


def _entry(row: EntryRow) -> Entry:
    """As far as a correction of it needs it."""
    return Entry(
        id=row.id,
        at=row.at,
        status="answered",
        billed_usd=row.billed_usd,
        key_id=row.key_id,
        team_id=row.team_id,
        answered=row.answered,
        upstream_id=row.upstream_id,
    )
