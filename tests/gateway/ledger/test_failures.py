"""Redis or journal away: who has no budget goes on, who has one waits or has a lease; all is told later."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.accounts import Account, Limits
from gateway.entries import Entry
from gateway.errors import BudgetExceeded, LedgerUnavailable
from gateway.ledger import generations, writer
from gateway.ledger.connection import Connection
from gateway.ledger.journal import Numbered
from gateway.ledger.ledger import Ledger
from gateway.ledger.spool import Record, Spool, encode
from tests.gateway.ledger.accounts import account, entry, eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import OwnRedis, held

DOLLAR = 10**12
CAPPED = account(Limits(usd_total=Decimal(10)))


async def spend(ledger: Ledger, id: str, billed_usd: str = "1", who: Account = CAPPED) -> None:
    one = await ledger.reserve(id, who, Decimal(2), 0)
    ledger.settle(one, entry(one, billed_usd))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)


@pytest.mark.usefixtures("hasty")
def test_a_journal_that_is_away_stops_nobody_and_hears_everything_when_it_is_back(
    opened: Open, journal: SqliteJournal
) -> None:
    async def run() -> None:
        async with opened() as ledger:
            await spend(ledger, "before")
            await eventually(lambda: journal.entries())
            journal.away.set()
            for i in range(5):
                await spend(ledger, str(i))
            await eventually(lambda: not ledger.numbers().journal_is_up)
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("over", CAPPED, Decimal("4.000000000001"), 0)
            assert ledger.numbers().unjournaled == 5
            journal.away.clear()
            await eventually(lambda: ledger.numbers().journal_is_up and not ledger.numbers().unjournaled)
        assert len(journal.entries()) == 6

    asyncio.run(run())


def test_what_a_stopped_gateway_could_not_tell_the_next_one_tells(
    opened: Open, journal: SqliteJournal, tmp_path: Path, redis_url: str
) -> None:
    async def run() -> None:
        async with opened("first") as ledger:
            await spend(ledger, "a")
            await eventually(lambda: journal.entries())
            journal.away.set()
            await spend(ledger, "b")
            await ledger.reserve("c", CAPPED, Decimal(2), 0)
            await eventually(lambda: not ledger.numbers().journal_is_up)
        assert [path.name for path in (tmp_path / "spool").glob("*.spool")] == ["first.spool"]
        journal.away.clear()
        async with opened("second") as ledger:
            await eventually(lambda: len(journal.entries()) == 3)
            await eventually(lambda: ledger.state == "ready")
            await eventually(lambda: not list((tmp_path / "spool").glob("first.*")))
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("over", CAPPED, Decimal("6.000000000001"), 0)
            await ledger.reserve("last", CAPPED, Decimal(6), 0)
        assert journal.entries()["c"] == (2 * DOLLAR, "lost")

    asyncio.run(run())


@pytest.mark.process
def test_without_redis_budgets_are_refused_and_what_has_none_goes_on(
    opened: Open, own_redis: OwnRedis, journal: SqliteJournal
) -> None:
    async def run() -> None:
        async with opened(url=own_redis.url) as ledger:  # it is not there yet
            await eventually(lambda: ledger.state == "redis down")
            with pytest.raises(LedgerUnavailable, match="Redis cannot be reached"):
                await ledger.reserve("capped", CAPPED, Decimal(1), 0)
            await spend(ledger, "free", who=account())
            await spend(ledger, "rated", who=account(Limits(requests_per_minute=1)))
            await eventually(lambda: len(journal.entries()) == 2)
            own_redis.start()
            await eventually(lambda: ledger.state == "ready")
            await spend(ledger, "again")
            own_redis.kill()
            await eventually(lambda: ledger.state == "redis down")
            own_redis.start()
            await eventually(lambda: ledger.state == "ready")
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("over", CAPPED, Decimal("7.000000000001"), 0)
            await ledger.reserve("last", CAPPED, Decimal(7), 0)

    asyncio.run(run())


@pytest.mark.process
@pytest.mark.parametrize("waits", [True, False])
def test_an_answer_that_is_lost_leaves_nothing_held_twice_or_for_nobody(
    waits: bool, opened: Open, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    script = Connection.script

    async def lossy(self: Connection, name: str, *arguments: str | bytes | int) -> Any:
        answer = await script(self, name, *arguments)
        told = str(arguments[-1])
        if name == "batch" and arguments[-1] != b"[]" and told not in lost:  # of each the first
            lost.append(told)
            raise redis.ConnectionError("the answer is lost")
        return answer

    async def run() -> None:
        with redis.Redis.from_url(redis_url) as client:
            async with opened() as ledger:
                await eventually(lambda: ledger.state == "ready")
                monkeypatch.setattr(Connection, "script", lossy)
                asking = asyncio.create_task(ledger.reserve("a", CAPPED, Decimal(2), 0))
                if not waits:
                    await eventually(lambda: lost)
                    asking.cancel()
                    await asyncio.wait([asking])
                    await eventually(lambda: held(client).get("key:k") == 0 and not ledger.numbers().untold)
                    return
                one = await asking
                assert held(client)["key:k"] == 2 * DOLLAR
                ledger.settle(one, entry(one, "0.5"))
                await eventually(lambda: len(lost) == 2 and not ledger.numbers().untold)
                assert held(client)["key:k"] == DOLLAR // 2

    asyncio.run(run())


def test_counters_are_built_anew_only_when_all_gateways_that_live_have_announced(
    opened: Open, journal: SqliteJournal, redis_url: str
) -> None:
    async def run() -> None:
        journal.beat("somebody")  # lives, and may hold money
        async with opened(patience_s=0.3) as ledger:
            with pytest.raises(LedgerUnavailable, match="counted anew"):
                await ledger.reserve("a", CAPPED, Decimal(1), 0)
            journal.forget("somebody")
            await eventually(lambda: ledger.state == "ready")
            await ledger.reserve("a", CAPPED, Decimal(1), 0)

    asyncio.run(run())


def test_what_a_gateway_on_this_machine_holds_counts_although_it_stands_still(
    opened: Open, journal: SqliteJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "ALIVE_S", 0)
    now = datetime.now(UTC)
    still = Spool(tmp_path / "spool", "still")
    still.reserved([encode(Record("open", now.isoformat(), 2 * DOLLAR, "k", None))])
    still.settled(Entry("settled", now, "answered", Decimal(1), key_id="k"), DOLLAR)
    journal.beat("still")

    async def run() -> None:
        async with opened() as ledger:
            await eventually(lambda: ledger.state == "ready")
            with pytest.raises(BudgetExceeded):
                await ledger.reserve("over", CAPPED, Decimal("7.000000000001"), 0)
            await ledger.reserve("last", CAPPED, Decimal(7), 0)

    asyncio.run(run())
    still.close(delete=True)


def test_what_a_rebuild_holds_for_a_request_without_limits_is_given_back_too(
    opened: Open, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:

        async def run() -> None:
            async with opened() as ledger:
                await eventually(lambda: ledger.state == "ready")
                free = [await ledger.reserve(id, account(), Decimal(2), 0) for id in "ab"]
                client.flushall()
                await eventually(lambda: held(client).get("all") == 4 * DOLLAR)
                ledger.cancel(free[0])
                ledger.settle(free[1], entry(free[1], "0.5"))
                await eventually(lambda: held(client).get("all") == DOLLAR // 2)

        asyncio.run(run())


def test_a_file_is_shortened_when_the_journal_has_it_and_keeps_what_is_open(
    opened: Open, journal: SqliteJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SHORTEN_BYTES", 1000)

    async def run() -> None:
        async with opened("gateway") as ledger:
            await ledger.reserve("open", account(), Decimal(1), 0)
            for i in range(40):
                await spend(ledger, str(i), who=account())
                await eventually(lambda: not ledger.numbers().unjournaled)
            assert ledger.numbers().spool_bytes < 2000
        async with opened("next"):
            await eventually(lambda: len(journal.entries()) == 41)
        assert journal.entries()["open"] == (DOLLAR, "lost")

    asyncio.run(run())


def test_what_a_gateway_left_open_counts_although_its_file_was_shortened_to_that(
    opened: Open, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SHORTEN_BYTES", 0)

    async def run() -> None:
        with redis.Redis.from_url(redis_url) as client:
            async with opened("other") as other:
                await eventually(lambda: other.state == "ready")
                async with opened("gateway") as ledger:
                    await ledger.reserve("open", CAPPED, Decimal(2), 0)
                    await spend(ledger, "settled")
                    await eventually(lambda: not ledger.numbers().unjournaled)
                await eventually(lambda: not list((tmp_path / "spool").glob("gateway.*")))
                assert held(client)["key:k"] == 3 * DOLLAR

    asyncio.run(run())


def test_what_redis_did_not_hear_is_missed_although_the_file_was_shortened_since(
    opened: Open, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SHORTEN_BYTES", 0)

    async def run() -> None:
        with redis.Redis.from_url(redis_url) as client:
            async with opened("other") as other:
                await eventually(lambda: other.state == "ready")
                async with opened("gateway") as ledger:
                    one = await ledger.reserve("a", CAPPED, Decimal(2), 0)
                    monkeypatch.setattr(ledger._channel, "tell", lambda *_: None)
                    ledger.settle(one, entry(one, "1"))
                    await eventually(lambda: not ledger.numbers().unjournaled)
                await eventually(lambda: not list((tmp_path / "spool").glob("gateway.*")))
                await eventually(lambda: held(client).get("key:k") == DOLLAR)

    asyncio.run(run())


def test_entries_are_journaled_in_the_order_of_their_numbers(opened: Open, journal: SqliteJournal) -> None:
    numbers: list[int] = []
    append = journal.append

    def watched(gateway_id: str, entries: list[Numbered]) -> None:
        numbers.extend(each.number for each in entries)
        append(gateway_id, entries)

    journal.append = watched  # type: ignore[assignment, method-assign]

    async def run() -> None:
        async with opened() as ledger:
            for i in range(30):
                await spend(ledger, str(i), "0.1")

    asyncio.run(run())
    assert numbers == list(range(1, 31))
