"""What the cache forgets: what is purged, damaged, too much or too old."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from gateway.accounts import Account
from gateway.cache import shelf
from gateway.cache.answers import AnswerCache
from gateway.cache.tickets import EVERYTHING, Ticket, model_space
from tests.gateway.cache.asking import (
    BODY,
    PATIENCE_S,
    Watched,
    account,
    ask,
    config,
    opened,
    reply,
    run,
    settled,
    soon,
    ticket,
    twice,
)


def _spaces(cache: AnswerCache, account: Account | None = None, model: str | None = None) -> list[str]:
    if account is not None:
        return [cache.tickets.tenant_space(account)]
    return [EVERYTHING if model is None else model_space(model)]


@pytest.mark.parametrize("purge", [{}, {"account": account("ada")}, {"model": "abacus-small"}])
def test_a_purge_is_heard_at_once_by_every_process(redis_url: str, purge: dict[str, Any]) -> None:
    who = ticket

    async def test(cache: AnswerCache) -> None:
        async with opened(redis_url) as other:
            ada = who(cache, who=account("ada"))
            assert await twice(cache, ada) == ("hit", "7")
            await other.purge(_spaces(other, **purge))
            assert await ask(cache, ada, "8") == ("miss", "8")
            await settled(cache)
            assert await ask(other, ada) == ("hit", "8")

    run(redis_url, test)


@pytest.mark.parametrize("purge", [{"account": account("bob")}, {"model": "another"}])
def test_a_purge_leaves_the_rest(redis_url: str, purge: dict[str, Any]) -> None:
    async def test(cache: AnswerCache) -> None:
        ada = ticket(cache, who=account("ada"))
        await ask(cache, ada, "7")
        await settled(cache)
        await cache.purge(_spaces(cache, **purge))
        assert await ask(cache, ada) == ("hit", "7")

    run(redis_url, test)


def test_what_is_under_way_while_it_is_purged_is_not_kept(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        with await cache.visit(ticket(cache), soon()) as visit:
            await cache.purge([EVERYTHING])
            visit.keep(reply("7"))
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")

    run(redis_url, test)


def test_who_comes_after_a_purge_gets_no_answer_that_was_begun_before_it(redis_url: str) -> None:
    async def main() -> None:
        cache = Watched(config(redis_url))
        await cache.start()
        of = ticket(cache)
        with await cache.visit(of, soon()) as visit:
            before = asyncio.create_task(ask(cache, of, "8"))
            await cache.waited_for(2)
            await cache.purge([EVERYTHING])
            looks = cache.looks
            after = [asyncio.create_task(ask(cache, of, "9")) for _ in range(3)]
            async with asyncio.timeout(PATIENCE_S):
                while cache.looks == looks:  # a flight of their own, of which one asks whether it may begin
                    await asyncio.sleep(0.005)
            visit.keep(reply("7"))
        assert await before == ("shared", "7")
        assert sorted(await asyncio.gather(*after)) == [("miss", "9"), ("shared", "9"), ("shared", "9")]
        assert not cache._flights.under_way
        await settled(cache)
        assert await ask(cache, of) == ("hit", "9")
        await cache.stop()

    asyncio.run(main())


def test_who_comes_after_a_purge_waits_for_no_leader_from_before_it_in_any_process(redis_url: str) -> None:
    async def main() -> None:
        one, two = Watched(config(redis_url)), Watched(config(redis_url))
        await one.start()
        await two.start()
        with await one.visit(ticket(one), soon()) as before:
            await two.purge([EVERYTHING])
            assert await ask(two, ticket(two), "8") == ("miss", "8")
            await settled(two)
            before.keep(reply("7"))
        await settled(one)
        assert await ask(one, ticket(one)) == ("hit", "8")
        await one.stop()
        await two.stop()

    asyncio.run(main())


def test_answers_that_outlived_the_names_of_their_generations_are_forgotten(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        await cache.purge([EVERYTHING])
        with redis.Redis.from_url(redis_url) as client:
            client.delete(shelf.GENERATIONS)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")

    run(redis_url, test)


@pytest.mark.parametrize("damage", [b"", b"gradus-answer-0", b"gradus-answer-1-crc4{}", b"\x00\xff"])
def test_a_damaged_answer_is_a_miss_and_mended(redis_url: str, damage: bytes) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        with redis.Redis.from_url(redis_url) as client:
            (name,) = client.keys("gradus:answers:entry:*")
            client.set(name, damage)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")
        await settled(cache)
        assert await ask(cache, ticket(cache)) == ("hit", "8")

    run(redis_url, test)


def test_it_keeps_within_its_bytes_and_the_oldest_leave(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        tickets = [ticket(cache, {**BODY, "seed": seed}) for seed in range(12)]
        for each in tickets:
            await ask(cache, each, "7")
            await settled(cache)
        with redis.Redis.from_url(redis_url) as client:
            left = len(client.keys("gradus:answers:entry:*"))
            assert client.zcard("gradus:answers:index") == left
            assert int(client.get("gradus:answers:total") or 0) <= 4000
        assert 2 < left < 12
        assert (await ask(cache, tickets[-1]))[0] == "hit"
        assert (await ask(cache, tickets[0]))[0] == "miss"

    run(redis_url, test, max_bytes=4000)


def test_an_answer_that_is_too_large_is_not_kept(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await twice(cache, ticket(cache)) == ("miss", "8")
        assert cache.counters.lost >= 1

    run(redis_url, test, max_entry_bytes=20)


def test_everything_expires(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        with redis.Redis.from_url(redis_url) as client:
            ttls = {name.decode().split(":")[2]: client.ttl(name) for name in client.keys("gradus:answers:*")}
        assert 0 < ttls["entry"] <= 60
        assert 0 < ttls["index"] <= 120
        assert 0 < ttls["total"] <= 120

    run(redis_url, test, ttl_s=60)


def test_candidates_are_shared_by_tenants_and_a_purge_changes_who_shares(redis_url: str) -> None:
    async def scope(cache: AnswerCache, of: Ticket) -> str | None:
        with await cache.visit(of, soon()) as visit:
            return await cache.candidate_scope(of, visit)

    async def test(cache: AnswerCache) -> None:
        ada, bob = ticket(cache, who=account("ada")), ticket(cache, who=account("bob"))
        first = await scope(cache, ada)
        assert first is not None
        assert await scope(cache, ada) == first
        assert await scope(cache, bob) != first
        for header in ("no-store", "no-cache"):
            assert await scope(cache, ticket(cache, who=account("ada"), header=header)) is None
        assert await scope(cache, ticket(cache, options={"cache": False})) is None
        await cache.purge(_spaces(cache, account=account("ada")))
        assert await scope(cache, ada) not in (first, None)

    run(redis_url, test, candidates="true", mode="off")
