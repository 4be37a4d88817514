"""Many gateways, one cap: what they spend and reserve together never exceeds it, and is exact in the end."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from cost_model.budget import picodollars
from tests.e2e.money.configured import price
from tests.e2e.money.gateways import Fleet, MadeKey, ask, ask_all, browser
from tests.e2e.money.upstream import Upstream
from tests.gateway.doubles import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ASKED, ALLOWED = 500, 37
ONE = Decimal("1e-12")
TEXT = "hold: this"


def test_of_500_requests_at_once_a_cap_lets_in_exactly_37_and_what_they_did_not_use_is_free_again(
    fleet: Fleet, upstream: Upstream
) -> None:
    fleet.all_up()
    worst_usd = fleet.worst_usd(fleet.key(), TEXT)
    cap_usd = ALLOWED * worst_usd + worst_usd / 2
    key = fleet.key(cap_usd)

    asyncio.run(_ask_500(fleet, upstream, key, picodollars(worst_usd)))
    fleet.settles(key, ALLOWED)

    spent_usd = price(upstream.tokens)
    assert fleet.billed(key) == picodollars(spent_usd) < picodollars(cap_usd)
    assert {each.status for each in fleet.entries(key)} == {"answered"}
    _assert_exactly_one_fits(fleet, key, spent_usd, worst_usd)


async def _ask_500(fleet: Fleet, upstream: Upstream, key: MadeKey, worst: int) -> None:
    async with browser() as session:
        asked = await ask_all(session, fleet.gateways, key, [TEXT] * ASKED)
        while sum(each.done() for each in asked) < ASKED - ALLOWED or upstream.holding < ALLOWED:
            await asyncio.sleep(0.02)
        refused = [each.result() for each in asked if each.done()]
        assert len(refused) == ASKED - ALLOWED
        assert {(status, said["error"]["code"]) for status, said in refused} == {(429, "insufficient_quota")}
        assert upstream.holding == ALLOWED
        assert fleet.held(key) == ALLOWED * worst
        await asyncio.to_thread(upstream.release)
        answers = [await each for each in asked]
    assert sorted({status for status, _ in answers}) == [200, 429]
    assert sum(status == 200 for status, _ in answers) == ALLOWED


def _assert_exactly_one_fits(fleet: Fleet, key: MadeKey, spent_usd: Decimal, worst_usd: Decimal) -> None:
    """To the picodollar: with one less it is refused."""
    gateway = fleet.gateways[0]
    for short, status in ((ONE, 429), (Decimal(0), 200)):
        limits = {"usd_total": format(spent_usd + worst_usd - short, "f")}
        gateway.admin("PATCH", f"keys/{key.id}", {"limits": limits})
        answer = ask(gateway, key, TEXT.replace("hold", "more"))
        assert answer.status_code == status, answer.text
    fleet.settles(key, ALLOWED + 1)


@pytest.mark.parametrize("how", ["flushed", "restarted"])
def test_a_redis_that_forgets_in_mid_load_lets_nobody_over_the_cap_and_is_exact_afterwards(
    how: str, fleet: Fleet, upstream: Upstream
) -> None:
    fleet.all_up()
    worst_usd = fleet.worst_usd(fleet.key(), TEXT)
    cap_usd = 60 * worst_usd
    key = fleet.key(cap_usd)
    most, answered = asyncio.run(_forgetting(how, fleet, upstream, key, picodollars(cap_usd)))

    fleet.settles(key, answered)
    assert most <= picodollars(cap_usd)
    assert fleet.billed(key) == picodollars(price(upstream.tokens)) <= picodollars(cap_usd)
    assert answered > 60
    until(lambda: ask(fleet.gateways[1], key, "answer").status_code == 200)


async def _forgetting(how: str, fleet: Fleet, upstream: Upstream, key: MadeKey, cap: int) -> tuple[int, int]:
    """The most that was ever held at once or billed, and how many were answered."""
    most = answered = 0
    async with browser() as session:
        held = await ask_all(session, fleet.gateways, key, [TEXT] * 20)
        while upstream.holding < 20:
            await asyncio.sleep(0.02)
        for _ in range(2):
            many = await ask_all(session, fleet.gateways, key, [f"answer: {i}" for i in range(60)])
            await asyncio.sleep(0.1)
            if how == "flushed":
                fleet.redis.client.flushall()
            else:
                await asyncio.to_thread(fleet.redis.kill)
                (fleet.redis.folder / "dump.rdb").unlink(missing_ok=True)
                await asyncio.to_thread(fleet.redis.start)
            for each in many:
                status, said = await each
                assert status in (200, 429, 503), said
                answered += status == 200
            while not fleet.held(key):
                await asyncio.sleep(0.05)
            most = max(most, fleet.held(key))
        more = await ask_all(session, fleet.gateways, key, [TEXT] * 120)
        while sum(each.done() for each in more) + upstream.holding < 140:
            await asyncio.sleep(0.02)
        most = max(most, fleet.held(key))
        assert upstream.holding < 60
        assert most > cap * 0.9
        assert {code for each in more if each.done() for code in [each.result()[0]]} == {429}
        await asyncio.to_thread(upstream.release)
        answered += sum([(await each)[0] == 200 for each in held + more])
    return most, answered
