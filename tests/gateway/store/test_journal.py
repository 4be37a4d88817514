"""The journal does what the ledger asks of it, to the picodollar, and nothing keeps an entry out of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from cost_model.budget import MAX_PICODOLLARS, MAX_REQUEST_PICODOLLARS, picodollars, usd, windows
from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.ledger.journal import Journal, Numbered
from gateway.store.database import Database
from gateway.store.journal import UNSTORABLE, StoredJournal, append, spent_by
from gateway.store.models import EntryRow, LineRow
from gateway.store.rows import shares
from gateway.store.usage import Wanted, used
from tests.gateway.ledger.journal_conformance import JournalConformance

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)

_LINE = Usage("direct", "m", cost_usd=Decimal(1))
_usd = st.decimals("0", "1", places=15, allow_nan=False)
_lines = st.lists(
    st.builds(
        Usage,
        st.sampled_from(["probe", "direct", "verifier"]),
        st.sampled_from(["small", "large"]),
        prompt_tokens=st.integers(0, 10**6),
        cost_usd=st.none() | _usd,
    ),
    max_size=4,
)


@st.composite
def _entries(draw: st.DrawFn) -> Entry:
    lines = tuple(draw(_lines))
    known = all(line.cost_usd is not None for line in lines)
    costs = sum((line.cost_usd or Decimal(0) for line in lines), Decimal(0))
    billed = costs if known and lines else draw(_usd)
    return Entry(
        id=f"{draw(st.integers(0, 10**12))}",
        at=AT + timedelta(hours=draw(st.integers(-24 * 40, 24 * 40))),
        status=draw(st.sampled_from(["answered", "failed", "lost"])),
        billed_usd=Decimal(picodollars(billed)).scaleb(-12),
        lines=lines,
        estimated=not known,
        key_id=draw(st.none() | st.sampled_from(["key_1", "key_2"])),
        team_id=draw(st.none() | st.just("team_1")),
    )


@pytest.mark.parametrize(
    "bad",
    [
        Entry("b", AT, "answered", Decimal(10**9), key_id="key_1"),
        Entry("b", AT, "answered", Decimal(1), (Usage("direct", "m", cost_usd=Decimal(10**12)),) * 2),
        Entry("b", AT, "answered", Decimal(1), (Usage("direct", None, cost_usd=Decimal(1)),)),  # type: ignore[arg-type]
    ],
    ids=["billed", "cost", "null"],
)
def test_an_entry_that_cannot_be_stored_holds_up_no_other_and_is_stored_as_what_it_was_billed(
    database: Database, bad: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    good = [Entry(name, AT, "answered", Decimal(1)) for name in "ac"]

    StoredJournal(database).append("g", [Numbered(i + 1, e) for i, e in enumerate([good[0], bad, good[1]])])

    with database.read() as session:
        found = {row.id: (row.billed_usd, row.status, row.error) for row in session.scalars(select(EntryRow))}
    billed = min(bad.billed_usd, usd(MAX_REQUEST_PICODOLLARS))
    assert found["b"] == (billed, "lost", UNSTORABLE)
    assert [found[name][:2] for name in "ac"] == [(Decimal(1), "answered")] * 2
    standing = StoredJournal(database).standing(AT)
    assert standing.spent["all", "total"] == picodollars(2 + billed)
    assert standing.gateways["g"].journaled == 3
    assert "stored without its lines" in caplog.text


class TestStoredJournal(JournalConformance):
    @pytest.fixture
    def journal(self, database: Database) -> Journal:
        return StoredJournal(database)


@given(_entries())
def test_the_shares_of_lines_add_up_to_the_bill(entry: Entry) -> None:
    found = shares(entry)

    assert sum(found) == (entry.billed_usd if entry.lines else 0)
    for line, share in zip(entry.lines, found, strict=True):
        if line.cost_usd is not None and not entry.estimated:
            assert abs(share - line.cost_usd) < Decimal("1e-12")


@SHARED
@given(st.lists(_entries(), max_size=8, unique_by=lambda each: each.id))
def test_every_sum_is_that_of_the_entries(database: Database, entries: list[Entry]) -> None:
    journal = StoredJournal(database)
    entries = [*_fresh(database, entries)]
    asked = ["total", *windows(AT)[1:]]
    before, all_before = journal.standing(AT).spent, used(database, (), Wanted())[0].usd

    journal.append("g", [Numbered(number, each) for number, each in enumerate([*entries, *entries], 1)])

    after = journal.standing(AT).spent
    for scope, of in (("all", None), ("key:key_1", "key_1"), ("key:key_2", "key_2")):
        for window in asked:
            expected = sum(
                picodollars(each.billed_usd)
                for each in entries
                if of in (None, each.key_id) and window in windows(each.at)
            )
            assert after.get((scope, window), 0) - before.get((scope, window), 0) == expected
    billed = sum((each.billed_usd for each in entries), Decimal(0))
    assert used(database, (), Wanted())[0].usd - all_before == billed
    for by in (("model", "purpose"), ("day",), ("key", "team", "policy", "route")):
        assert sum(row.usd for row in used(database, by, Wanted())) == all_before + billed


def _fresh(database: Database, entries: list[Entry]) -> list[Entry]:
    """Those whose ids an earlier example did not use."""
    with database.read() as session:
        known = set(session.scalars(select(EntryRow.id)))
    return [each for each in entries if each.id not in known]


def test_what_several_gateways_write_at_once_counts_once(database: Database) -> None:
    """As where two found the spool of a third; each has an entry of its own between them."""
    journal = StoredJournal(database)
    shared = [Entry(f"{number}", AT, "answered", Decimal(1), (_LINE,)) for number in range(40)]
    together = Barrier(4)

    def write(gateway: int) -> None:
        own = Entry(f"2 of {gateway}", AT, "answered", Decimal(100), (_LINE,))
        together.wait()
        for some in (shared[:25], [*shared[10:], own]):
            journal.append(f"g{gateway}", [Numbered(i + 1, each) for i, each in enumerate(some)])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))

    assert journal.standing(AT).spent["all", "total"] == picodollars(Decimal(40 + 400))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(LineRow)) == 44


def test_a_servers_words_keep_no_entry_out(database: Database) -> None:
    line = Usage("direct", "m\0odel", prompt_tokens=10**30, cost_usd=Decimal(1))
    entry = Entry(
        "a", AT, "answered", Decimal(1), (line,), upstream_id="\0\ud800", error="é\0", tags={"\0": "\udfff"}
    )

    assert append(database, [entry]) == 1

    with database.read() as session:
        row = session.scalars(select(EntryRow)).one()
        assert (row.upstream_id, row.error, row.tags) == ("?", "é", {"": "?"})
    assert [row.group for row in used(database, ["model"], Wanted())] == [{"model": "model"}]


def test_an_entry_that_fails_is_not_written_by_halves(database: Database) -> None:
    absurd = Entry("b", AT, "answered", Decimal(10**9))

    with pytest.raises(ValueError, match="more than one amount may be"):
        append(database, [Entry("a", AT, "answered", Decimal(1)), absurd])

    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(EntryRow)).one() == 0


def test_lines_are_kept_as_they_came(database: Database) -> None:
    line = Usage("escalation", "gpt", 2, 800, 300, 20, 10, 1.5, 2e12, Decimal("0.0041"))
    append(database, [Entry("a", AT, "answered", Decimal("0.0041"), (line, Usage("cache", "gpt", 1)))])

    with database.read() as session:
        first, second = session.scalars(select(LineRow).order_by(LineRow.position))
    assert (first.calls, first.cached_prompt_tokens, first.reasoning_tokens, first.flops) == (2, 20, 10, 2e12)
    assert (first.billed_usd, first.estimated) == (Decimal("0.0041"), False)
    assert (second.purpose, second.billed_usd, second.estimated) == ("cache", Decimal(0), True)


def test_usage_is_of_the_days_that_are_asked_for(database: Database) -> None:
    days = [date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23)]
    for day in days:
        at = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
        append(database, [Entry(str(day), at, "answered", Decimal(1))])

    found = used(database, ["day"], Wanted(since=days[1], until=days[1]))

    assert [(row.group["day"], row.usd) for row in found] == [(days[1], Decimal(1))]


def test_estimates_are_told_apart_and_corrections_are_no_requests(database: Database) -> None:
    lost = Entry("a", AT, "lost", Decimal("0.5"), estimated=True)
    guessed = Entry("b", AT, "failed", Decimal(2), (Usage("direct", "gpt"),), estimated=True)
    known = Entry("c", AT, "answered", Decimal(3), (Usage("direct", "gpt", cost_usd=Decimal(3)),))
    correction = Entry("d", AT, "adjusted", Decimal(-1), (Usage("direct", "gpt", cost_usd=Decimal(-1)),))
    append(database, [lost, guessed, known, correction])

    (everything,) = used(database, [], Wanted())
    by_model = {row.group["model"]: row for row in used(database, ["model"], Wanted())}

    assert (everything.requests, everything.usd, everything.estimated_usd) == (
        3,
        Decimal("4.5"),
        Decimal("2.5"),
    )
    assert (by_model["gpt"].requests, by_model["gpt"].usd) == (2, Decimal(4))
    assert by_model[None].usd == Decimal("0.5")


def test_what_was_counted_here_because_its_server_did_not_is_an_estimate_too(database: Database) -> None:
    lines = (Usage("direct", "gpt", prompt_tokens=3, cost_usd=Decimal(3)),)
    append(database, [Entry("a", AT, "answered", Decimal(3), lines, estimated=True)])

    (everything,) = used(database, [], Wanted())

    assert (everything.usd, everything.estimated_usd) == (Decimal(3), Decimal(3))


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_are_exact_beyond_what_64_bits_hold(database: Database, sign: int) -> None:
    billed = sign * usd(MAX_REQUEST_PICODOLLARS - 1)
    line = Usage("direct", "m", cost_usd=billed)
    entries = [Entry(f"{number}", AT, "answered", billed, (line,), key_id="key_1") for number in range(210)]

    for first in (1, 101):  # what is there may be added to
        some = entries[first - 1 : first + 109]
        StoredJournal(database).append("g", [Numbered(first + i, each) for i, each in enumerate(some)])

    total = 210 * billed
    assert abs(picodollars(total)) > 2 * MAX_PICODOLLARS
    spent = StoredJournal(database).standing(AT).spent
    assert spent == dict.fromkeys(spent, picodollars(total))
    assert spent_by(database, "key:key_1", AT)["total"] == total
    assert [row.usd for row in used(database, ["model"], Wanted())] == [total]
    assert [row.estimated_usd for row in used(database, (), Wanted())] == [0]


def test_batches_of_any_size_are_the_same_statements_since_drivers_keep_each(database: Database) -> None:
    database.upgrade()
    statements: set[str] = set()

    def seen(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT"):
            statements.add(statement)

    event.listen(database._engine, "before_cursor_execute", seen)
    try:
        for size in range(1, 80, 3):
            some = [Entry(f"{size}/{each}", AT, "answered", usd(each), (_LINE,)) for each in range(size)]
            append(database, some)
    finally:
        event.remove(database._engine, "before_cursor_execute", seen)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(EntryRow)) == sum(range(1, 80, 3))
    assert len(statements) == 3
