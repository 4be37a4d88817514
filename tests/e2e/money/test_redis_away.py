"""Redis that is away: who has no cap goes on, who has one keeps to it, and all is well again by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from decimal import Decimal

import pytest

from cost_model.budget import picodollars
from tests.e2e.money.configured import price
from tests.e2e.money.gateways import PATIENCE_S, Fleet, Gateway, MadeKey, ask, code_of
from tests.workers.engines.openai_server import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SEARCHED = "Calculate 3 + 4."


@pytest.fixture
def redis_comes_back(fleet: Fleet) -> Iterator[None]:
    yield
    fleet.redis.kill()
    fleet.redis.start()


@pytest.mark.usefixtures("redis_comes_back")
def test_without_redis_keys_without_a_cap_go_on_others_refuse_or_spend_a_lease_and_it_recovers(
    fleet: Fleet,
) -> None:
    gateway, late = fleet.gateways[0], fleet.gateways[3]
    free = fleet.key()
    worst_usd = fleet.worst_usd(free, "answer")
    capped = fleet.key(100 * worst_usd)
    leased = fleet.key(
        100 * worst_usd, without_redis="lease", lease_usd=format(worst_usd + price((0, 30)), "f")
    )
    if late.runs:
        late.kill()
    fleet.redis.kill()
    late.start()  # which never saw Redis
    late.wait()

    for each in (gateway, late):
        until(lambda each=each: ask(each, free, "answer").status_code == 200)  # type: ignore[misc]
        _goes_on_without_searches(each, free)
        refused = ask(each, capped, "answer")
        assert (refused.status_code, code_of(refused)) == (503, "ledger_unavailable")
        assert float(refused.headers["retry-after"]) > 0
        assert ask(each, leased, "answer").status_code == 200
        ready = each.ready()
        assert ready.status_code == 200
        assert "Redis is away: searches are off" in ready.json()["warnings"][0]
    _lease_ends(gateway, leased)

    fleet.redis.start()
    for each in (gateway, late):
        until(lambda each=each: ask(each, capped, "answer").status_code == 200, PATIENCE_S)  # type: ignore[misc]
        assert "Redis" not in each.ready().text
    until(lambda: fleet.held(leased) == fleet.billed(leased) > 0, PATIENCE_S)
    assert fleet.billed(leased) < 2 * picodollars(worst_usd)
    fleet.settles(capped, 2)


def test_a_redis_that_hangs_holds_up_no_key_without_a_cap_and_what_it_missed_is_told_it(fleet: Fleet) -> None:
    gateway = fleet.gateways[2]
    free = fleet.key()
    worst_usd = fleet.worst_usd(free, "answer")
    key = fleet.key(3 * worst_usd)
    assert ask(gateway, key, "answer").status_code == 200
    pid = int(fleet.redis.client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        assert ask(gateway, free, "answer").status_code == 200
        refused = ask(gateway, key, "answer")
        assert (refused.status_code, code_of(refused)) == (503, "ledger_unavailable")
        _goes_on_without_searches(gateway, free)
        until(lambda: "Redis is away" in gateway.ready().text, PATIENCE_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: ask(gateway, key, "answer").status_code == 200, PATIENCE_S)
    fleet.settles(key, 2)
    fleet.settles(free, 2)


def _goes_on_without_searches(gateway: Gateway, key: MadeKey) -> None:
    answer = ask(gateway, key, SEARCHED, "gradus")
    assert answer.status_code == 200, answer.text
    said = answer.json()["gradus"]
    assert (said["route"], said["model"]) == ("large", "remote")
    assert "Redis" in said["notice"]


def _lease_ends(gateway: Gateway, key: MadeKey) -> None:
    """Each answer leaves less of it; once there is no room for the most that one may cost, it is over."""
    for _ in range(100):
        refused = ask(gateway, key, "answer")
        if refused.status_code != 200:
            break
    assert (refused.status_code, code_of(refused)) == (503, "ledger_unavailable")


def test_a_lease_is_what_one_gateway_may_spend_and_no_more(fleet: Fleet) -> None:
    """Without a lease's worth of room for one request, none is let in."""
    free = fleet.key()
    worst_usd = fleet.worst_usd(free, "answer")
    key = fleet.key(Decimal(1), without_redis="lease", lease_usd=format(worst_usd / 2, "f"))
    fleet.redis.kill()
    try:
        until(lambda: ask(fleet.gateways[1], key, "answer").status_code == 503, PATIENCE_S)
    finally:
        fleet.redis.start()
    until(lambda: ask(fleet.gateways[1], key, "answer").status_code == 200, PATIENCE_S)
    fleet.settles(key, 1)
