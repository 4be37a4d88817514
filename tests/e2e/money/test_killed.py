"""kill -9: what a gateway had reserved is billed once, and a worker's job is done again and billed once."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from cost_model.budget import picodollars
from tests.e2e.money.configured import price
from tests.e2e.money.gateways import Fleet, MadeKey, ask, ask_all, browser
from tests.e2e.money.upstream import Upstream
from tests.gateway.doubles import Delivery, ScriptedWorker, easy

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

TEXT = "hold: this"
EACH = 5


def test_what_a_killed_gateway_had_reserved_is_billed_once_as_lost_and_the_others_go_on(
    fleet: Fleet, upstream: Upstream
) -> None:
    fleet.all_up()
    worst_usd = fleet.worst_usd(fleet.key(), TEXT)
    key = fleet.key(2 * EACH * worst_usd)
    victim, other = fleet.gateways[3], fleet.gateways[1]

    asyncio.run(_killed(fleet, upstream, key))

    fleet.settles(key, 2 * EACH)
    entries = fleet.entries(key)
    lost = [each for each in entries if each.status == "lost"]
    assert [each.status for each in entries].count("answered") == EACH
    assert [each.billed_usd for each in lost] == [worst_usd] * EACH
    assert all(each.estimated for each in lost)
    assert fleet.billed(key) == EACH * picodollars(worst_usd) + picodollars(price(upstream.tokens))
    assert ask(other, key, "answer").status_code == 200

    victim.start()
    victim.wait()
    assert ask(victim, key, "answer").status_code == 200
    fleet.settles(key, 2 * EACH + 2)


async def _killed(fleet: Fleet, upstream: Upstream, key: MadeKey) -> None:
    victim, other = fleet.gateways[3], fleet.gateways[1]
    async with browser() as session:
        asked = [await ask_all(session, [gateway], key, [TEXT] * EACH) for gateway in (victim, other)]
        while upstream.holding < 2 * EACH:
            await asyncio.sleep(0.02)
        victim.kill()
        gone = await asyncio.gather(*asked[0], return_exceptions=True)
        assert all(isinstance(each, Exception) for each in gone)
        refused = await ask_all(session, [other], key, [TEXT])  # what was reserved still is
        assert (await refused[0])[0] == 429
        while upstream.holding > EACH:  # the upstream servers heard that it is gone
            await asyncio.sleep(0.02)
        await asyncio.to_thread(upstream.release)
        assert {(await each)[0] for each in asked[1]} == {200}


def test_a_job_whose_worker_was_killed_is_done_again_by_another_and_billed_once(fleet: Fleet) -> None:
    key = fleet.key(Decimal(1))
    deliveries: list[Delivery] = []

    def dies_first(delivery: Delivery) -> None:
        """Its first worker says that it began, and no more: neither beats nor a lease."""
        deliveries.append(delivery)
        if len(deliveries) == 1:
            delivery.start()
        else:
            easy(delivery)

    with ScriptedWorker(fleet.redis.url) as worker:
        worker.script = dies_first
        answer = ask(fleet.gateways[2], key, "Calculate 3 + 4.", "gradus")

    assert answer.status_code == 200, answer.text
    assert [each.job.id for each in deliveries] == [deliveries[0].job.id] * 2
    fleet.settles(key, 1)
    (entry,) = fleet.entries(key)
    assert (entry.status, entry.estimated) == ("answered", True)  # what the first one did nobody heard
    assert format(entry.billed_usd, "f").rstrip("0") == answer.json()["gradus"]["cost_usd"]
