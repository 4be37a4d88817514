"""What every journal has to do for the ledger: subclass this in a test, with a fixture ``journal``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from cost_model.budget import picodollars
from cost_model.usage import Usage
from gateway.entries import Entry, Status
from gateway.ledger.journal import Journal, Numbered

AT = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
WINDOWS = ("total", "2026-11", "2026-11-30")
_FULL = Usage("escalation", "large", 2, 800, 300, 20, 10, 1.5, 2e12, Decimal("0.0041"))


def entry(
    id: str, billed_usd: str = "0.000000000001", at: datetime = AT, status: Status = "answered"
) -> Entry:
    return Entry(id, at, status, Decimal(billed_usd), key_id="k", team_id="t")


def numbered(*entries: Entry, first: int = 1) -> list[Numbered]:
    return [Numbered(first + i, each) for i, each in enumerate(entries)]


class JournalConformance:
    """The tests; ``spent`` reads the journal as the ledger does."""

    def spent(self, journal: Journal, since: datetime = AT) -> dict[tuple[str, str], int]:
        return {at: amount for at, amount in journal.standing(since).spent.items() if amount}

    def test_an_empty_one_has_spent_nothing_and_knows_nobody(self, journal: Journal) -> None:
        assert (self.spent(journal), dict(journal.standing(AT).gateways)) == ({}, {})

    def test_sums_are_exact_in_every_scope_and_window(self, journal: Journal) -> None:
        usd = ["1234567.000000000001", "0.000000000002", "0"]
        journal.append("g", numbered(*[entry(str(i), each) for i, each in enumerate(usd)]))

        total = picodollars(Decimal("1234567.000000000003"))
        assert self.spent(journal) == {
            (scope, window): total for scope in ("all", "key:k", "team:t") for window in WINDOWS
        }

    def test_what_is_asked_for_are_the_windows_of_a_moment_and_all_later_ones(self, journal: Journal) -> None:
        days = (AT - timedelta(days=32), AT - timedelta(days=1), AT, AT + timedelta(days=1))
        journal.append("g", numbered(*(entry(str(i), at=at) for i, at in enumerate(days))))

        def windows(since: datetime) -> set[str]:
            return {window for _, window in self.spent(journal, since)}

        later = {"total", "2026-12", "2026-12-01"}
        assert windows(AT + timedelta(days=1)) == later
        assert windows(AT) == {*later, "2026-11", "2026-11-30"}
        assert windows(AT - timedelta(days=1)) == {*later, "2026-11", "2026-11-29", "2026-11-30"}
        assert windows(AT + timedelta(days=32)) == {"total"}

    def test_days_and_months_are_those_of_utc(self, journal: Journal) -> None:
        east = timezone(timedelta(hours=9))
        journal.append(
            "g", numbered(entry("a", at=AT.astimezone(east)), entry("b", at=AT + timedelta(seconds=1)))
        )

        found = self.spent(journal)
        assert {window: amount for (scope, window), amount in found.items() if scope == "all"} == {
            "total": 2,
            **dict.fromkeys(("2026-11", "2026-11-30", "2026-12", "2026-12-01"), 1),
        }

    def test_an_entry_counts_once_whoever_writes_it(self, journal: Journal) -> None:
        for gateway in ("g", "g", "h"):
            journal.append(gateway, numbered(entry("a", "2"), entry("b", "3")))
        journal.append("g", numbered(entry("b", "5", status="lost"), entry("c", "1"), first=3))

        assert self.spent(journal)["all", "total"] == 6 * 10**12

    def test_an_entry_of_no_key_counts_for_all_alone(self, journal: Journal) -> None:
        journal.append(
            "g", numbered(Entry("a", AT, "failed", Decimal(1), (_FULL,), tags={"a": "b"}, error="no"))
        )

        assert {scope for scope, _ in self.spent(journal)} == {"all"}

    def test_corrections_may_be_negative(self, journal: Journal) -> None:
        journal.append("g", numbered(entry("a", "2"), entry("b", "-0.5", status="adjusted")))

        assert self.spent(journal)["key:k", "total"] == 15 * 10**11

    def test_it_remembers_how_far_each_gateway_has_come(self, journal: Journal) -> None:
        journal.append("g", numbered(entry("a"), entry("b")))
        journal.append("g", numbered(entry("a")))
        journal.append("h", numbered(entry("c"), first=7))

        found = journal.standing(AT).gateways
        assert {id: (each.journaled, each.age_s) for id, each in found.items()} == {
            "g": (2, None),
            "h": (7, None),
        }

    def test_it_knows_who_lives_until_that_ends(self, journal: Journal) -> None:
        journal.beat("g")
        journal.append("g", numbered(entry("a")))
        journal.beat("g")
        journal.beat("h")
        found = journal.standing(AT).gateways
        assert {id: each.journaled for id, each in found.items()} == {"g": 1, "h": 0}
        assert all(each.age_s is not None and -1 <= each.age_s < 60 for each in found.values())

        for _ in range(2):
            journal.forget("g")
        assert set(journal.standing(AT).gateways) == {"h"}
        assert self.spent(journal)["all", "total"] == 1

    def test_nothing_to_write_is_written(self, journal: Journal) -> None:
        journal.append("g", [])

        assert self.spent(journal) == {}

    def test_threads_write_at_once(self, journal: Journal) -> None:
        def write(gateway: int) -> None:
            for i in range(20):
                journal.append(f"g{gateway}", numbered(entry(f"{gateway}.{i}"), first=i + 1))
                journal.beat(f"g{gateway}")

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(write, range(2)))

        assert self.spent(journal)["all", "total"] == 40
