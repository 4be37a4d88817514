"""Several processes on one budget, killed, or with a Redis that forgets: never over the cap, then exact."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from cost_model.budget import picodollars
from tests.gateway.ledger.accounts import eventually
from tests.gateway.ledger.conftest import Open
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import OwnRedis, held, running, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

DOLLAR = 10**12
Spend = Callable[..., "Spender"]


class Spender:
    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "tests.gateway.ledger.spender", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def spend(own_redis: OwnRedis, tmp_path: Path) -> Iterator[Spend]:
    spenders: list[Spender] = []

    def spend(task: str, cap_usd: int, count: int) -> Spender:
        spenders.append(Spender(own_redis.url, tmp_path, f"g{len(spenders)}", task, cap_usd, count))
        return spenders[-1]

    own_redis.start()
    yield spend
    for each in spenders:
        each.kill()


def billed(journal: SqliteJournal) -> int:
    return sum(amount for amount, _ in journal.entries().values())


def test_of_500_requests_at_once_at_4_processes_exactly_as_many_are_granted_as_the_budget_allows(
    spend: Spend, own_redis: OwnRedis, journal: SqliteJournal
) -> None:
    spenders = [spend("hold", cap_usd=37, count=125) for _ in range(4)]

    assert sum(int(each.says()) for each in spenders) == 37
    assert held(own_redis.client)["key:k"] == 37 * DOLLAR
    for each in spenders:
        each.end()
    assert [each.says() for each in spenders] == ["ended"] * 4
    assert held(own_redis.client)["key:k"] == billed(journal) == 37 * DOLLAR // 4
    assert set(running(own_redis.client).values()) <= {0}


def test_what_a_killed_gateway_had_reserved_is_billed_as_lost_once_and_its_slots_are_free(
    spend: Spend, own_redis: OwnRedis, journal: SqliteJournal, opened: Open
) -> None:
    victim, other = spend("hold", cap_usd=10, count=4), spend("hold", cap_usd=10, count=3)
    assert (victim.says(), other.says()) == ("4", "3")
    victim.kill()

    async def sweep() -> None:
        for name in ("finder", "late finder"):
            async with opened(name, own_redis.url):
                await eventually(lambda: running(own_redis.client).get("key:k") == 3)

    asyncio.run(sweep())
    assert held(own_redis.client)["key:k"] == 7 * DOLLAR
    other.end()
    assert other.says() == "ended"
    assert held(own_redis.client)["key:k"] == billed(journal) == 4 * DOLLAR + 3 * DOLLAR // 4
    assert sorted(status for _, status in journal.entries().values()) == ["answered"] * 3 + ["lost"] * 4
    assert set(running(own_redis.client).values()) <= {0}


@pytest.mark.parametrize("how", ["flushed", "restarted empty", "restarted with an old snapshot"])
def test_a_redis_that_forgets_in_mid_load_lets_nobody_over_the_cap_and_is_exact_afterwards(
    how: str, spend: Spend, own_redis: OwnRedis, journal: SqliteJournal
) -> None:
    cap = 3
    spenders = [spend("work", cap_usd=cap, count=8) for _ in range(3)]
    assert {each.says() for each in spenders} == {"at work"}
    seen: list[int] = []

    def has_spent(share: float) -> bool:
        try:
            seen.append(held(own_redis.client).get("key:k", 0))
        except Exception:  # it restarts
            return False
        return seen[-1] >= share * cap * DOLLAR

    for share in (0.2, 0.4, 0.6):
        until(partial(has_spent, share))
        if how == "flushed":
            own_redis.client.flushall()
            continue
        if how == "restarted with an old snapshot" and share == 0.2:
            own_redis.client.save()
        own_redis.kill()
        if how == "restarted empty":
            (own_redis.folder / "dump.rdb").unlink(missing_ok=True)
        own_redis.start()
    until(partial(has_spent, 0.97))
    for each in spenders:
        each.end()
    spent = sum(int(each.says()) for each in spenders)
    assert [each.says() for each in spenders] == ["ended"] * 3

    assert held(own_redis.client)["key:k"] == billed(journal) == spent <= cap * DOLLAR
    assert max(seen) <= cap * DOLLAR
    assert set(running(own_redis.client).values()) <= {0}


def test_killing_gateways_in_mid_load_is_exact_afterwards_too(
    spend: Spend, own_redis: OwnRedis, journal: SqliteJournal
) -> None:
    spenders = [spend("work", cap_usd=2, count=8) for _ in range(2)]
    assert {each.says() for each in spenders} == {"at work"}

    def has_spent(dollars: float) -> bool:
        return held(own_redis.client).get("key:k", 0) >= dollars * DOLLAR

    for i, dollars in enumerate((0.6, 1.2)):
        until(partial(has_spent, dollars))
        spenders[i].kill()
        spenders.append(spend("work", cap_usd=2, count=8))
        assert spenders[-1].says() == "at work"
        if i:
            own_redis.client.flushall()
    until(partial(has_spent, 1.97))
    for each in spenders[2:]:
        each.end()
        each.says()
        assert each.says() == "ended"

    assert picodollars(Decimal(2)) >= held(own_redis.client)["key:k"] == billed(journal)
    assert set(running(own_redis.client).values()) <= {0}
