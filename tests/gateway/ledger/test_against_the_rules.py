"""The counters in Redis against the pure rules, while Redis forgets or restarts and gateways die."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from cost_model.budget import Books, Charge, usd
from gateway.accounts import Account, Key, Limits, Team
from gateway.errors import BudgetExceeded
from gateway.ledger import channel, writer
from gateway.ledger.ledger import Ledger
from gateway.ledger.terms import Reservation
from tests.gateway.ledger.accounts import entry, eventually
from tests.gateway.ledger.journals import SqliteJournal
from tests.gateway.ledger.servers import OwnRedis, held, running

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

CAPS = {"key:a": 100, "key:b": 60, "team:t": 130}
TEAM = Team("t", "t", Limits(usd_total=usd(CAPS["team:t"])))
ACCOUNTS = {
    name: Account(Key(name, name, name, TEAM, Limits(usd_total=usd(CAPS[f"key:{name}"])))) for name in "ab"
}
GATEWAYS, AMOUNTS = st.integers(0, 1), st.integers(0, 50)


@dataclass
class Open:
    gateway: int
    reservation: Reservation


async def die(ledger: Ledger) -> None:
    """As kill -9 would have it: nothing more is said, and the kernel gives up its locks."""
    tasks = [ledger._channel._runs, ledger._channel._gives_up, ledger._sweeps, *ledger._writer._tasks]
    while alive := [task for task in tasks if not task.done()]:
        for task in alive:
            task.cancel()
        await asyncio.wait(alive, timeout=0.1)
    await ledger._channel.redis.close()
    ledger._executor.shutdown()
    os.close(ledger._spool._file)
    ledger._spool._lock.free(delete=False)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="gradus-test-")
        self.redis = OwnRedis()
        self.redis.start()
        self.journal = SqliteJournal(Path(self.folder.name) / "journal.db")
        self.loop = asyncio.new_event_loop()
        self.ids = map(str, itertools.count())
        self.books = Books()
        self.open: list[Open] = []
        self.ledgers = [self.run(self.born()) for _ in range(2)]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    async def born(self) -> Ledger:
        folder = Path(self.folder.name) / "spool"
        ledger = Ledger(self.redis.url, self.journal, folder, f"g{next(self.ids)}", patience_s=60)
        await ledger.start()
        return ledger

    def charges(self, name: str) -> tuple[Charge, ...]:
        return tuple(Charge(scope, "total", CAPS.get(scope)) for scope in ("all", f"key:{name}", "team:t"))

    @rule(gateway=GATEWAYS, name=st.sampled_from("ab"), amount=AMOUNTS)
    def reserve(self, gateway: int, name: str, amount: int) -> None:
        for attempt in range(2):
            id = next(self.ids)
            asked = self.ledgers[gateway].reserve(id, ACCOUNTS[name], usd(amount), 0)
            try:
                reservation = self.run(asked)
            except BudgetExceeded:
                if attempt == 0:  # another gateway may not have told yet what it gave back
                    self.agree()
                    continue
                assert self.books.reserve(id, amount, self.charges(name)) is not None, (
                    "held back without need"
                )
                return
            assert self.books.reserve(id, amount, self.charges(name)) is None, "over the cap"
            self.open.append(Open(gateway, reservation))
            return

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99), billed=AMOUNTS)
    def settle(self, which: int, billed: int) -> None:
        one = self.open.pop(which % len(self.open))
        billed = min(billed, one.reservation.record.reserved or 0)
        self.books.settle(one.reservation.id, billed)
        ledger = self.ledgers[one.gateway]
        self.run(self.tell(ledger, one.reservation, usd(billed)))

    async def tell(self, ledger: Ledger, reservation: Reservation, billed: Decimal | None) -> None:
        if billed is None:
            ledger.cancel(reservation)
        else:
            ledger.settle(reservation, entry(reservation, billed))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        one = self.open.pop(which % len(self.open))
        self.books.cancel(one.reservation.id)
        self.run(self.tell(self.ledgers[one.gateway], one.reservation, None))

    @rule()
    def flush(self) -> None:
        self.redis.client.flushall()

    @rule()
    def save(self) -> None:
        self.redis.client.save()

    @rule()
    def restart(self) -> None:
        self.redis.kill()
        self.redis.start()
        self.run(self.noticed())

    async def noticed(self) -> None:
        """Until the gateways are connected again: before, they refuse what has a budget."""
        await eventually(lambda: all(each.state != "redis down" for each in self.ledgers))
        await asyncio.sleep(0.1)
        await eventually(lambda: all(each.state != "redis down" for each in self.ledgers))

    @rule(gateway=GATEWAYS)
    def kill(self, gateway: int) -> None:
        self.run(die(self.ledgers[gateway]))
        for one in [each for each in self.open if each.gateway == gateway]:
            self.open.remove(one)
            self.books.settle(one.reservation.id, one.reservation.record.reserved or 0)
        self.ledgers[gateway] = self.run(self.born())

    @rule()
    def agree(self) -> None:
        scopes = ("all", *CAPS)
        wanted = {scope: self.books.held(scope, "total") for scope in scopes}

        def agreed() -> bool:
            now = held(self.redis.client)
            busy = running(self.redis.client).get("all", 0)
            return {scope: now.get(scope, 0) for scope in scopes} == wanted and busy == len(self.open)

        try:
            self.run(eventually(agreed))
        except TimeoutError:
            raise AssertionError((wanted, len(self.open), held(self.redis.client))) from None

    def teardown(self) -> None:
        try:
            self.agree()
        finally:
            for ledger in self.ledgers:
                self.run(die(ledger))
            self.loop.close()
            self.redis.close()
            self.folder.cleanup()


def test_redis_follows_the_rules_whatever_happens_to_it_and_to_gateways(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "SILENCE_S", 0.05)
    monkeypatch.setattr(channel, "RECONNECT_INTERVAL_S", 0.02)
    monkeypatch.setattr(writer, "GATHER_S", 0.01)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
