"""Answers in a real Redis: what is looked up, what is kept, who shares it, and what is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from gateway.accounts import Account
from gateway.cache import shelf
from gateway.cache.answers import AnswerCache
from gateway.cache.tickets import EVERYTHING, Ticket, model_space
from gateway.errors import BadRequest, GatewayError, NotCached
from tests.gateway.cache.asking import BODY, account, ask, config, reply, settled, soon, ticket

Test = Callable[[AnswerCache], Awaitable[None]]


@asynccontextmanager
async def _open(redis_url: str, **settings: Any) -> AsyncIterator[AnswerCache]:
    cache = AnswerCache(config(redis_url, **settings))
    await cache.start()
    try:
        yield cache
    finally:
        await cache.stop()


def _run(redis_url: str, test: Test, **settings: Any) -> None:
    async def main() -> None:
        async with _open(redis_url, **settings) as cache:
            await test(cache)

    asyncio.run(main())


async def _twice(cache: AnswerCache, first: Ticket, second: Ticket | None = None) -> tuple[str, str]:
    """How the second is answered, and with what, after the first got "7"."""
    await ask(cache, first, "7")
    await settled(cache)
    return await ask(cache, second or first, "8")


def test_the_second_of_two_equal_requests_is_answered_by_the_first(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await ask(cache, ticket(cache), "7") == ("miss", "7")
        await settled(cache)
        async with cache.visit(ticket(cache), soon()) as visit:
            assert visit.entry is not None
            assert visit.entry.text == "7"
            assert visit.headers == {"x-gradus-cache": "hit", "age": "0"}
        counted = cache.counters
        assert (counted.hits, counted.misses, counted.kept, counted.lost) == (1, 1, 1, 0)
        assert counted.bytes_kept == counted.bytes_read > 0

    _run(redis_url, test)


def test_a_request_that_wants_no_certain_answer_is_passed_by(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        warm = {**BODY, "temperature": 0.7}
        assert await _twice(cache, ticket(cache, warm)) == ("bypass", "8")
        wanted = ticket(cache, warm, options={"cache": True})
        assert await _twice(cache, wanted) == ("hit", "7")
        assert cache.counters.bypasses == 2

    _run(redis_url, test)


def test_all_means_all_but_who_does_not_want_it(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        warm = {**BODY, "temperature": 0.7}
        assert await _twice(cache, ticket(cache, warm)) == ("hit", "7")
        assert await ask(cache, ticket(cache, warm, options={"cache": False}), "9") == ("bypass", "9")
        live = {**BODY, "web_search_options": {}}
        assert await _twice(cache, ticket(cache, live)) == ("bypass", "8")

    _run(redis_url, test, mode="all")


def test_where_there_is_no_cache_who_asks_for_it_is_told(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert ticket(cache).key == ""
        with pytest.raises(BadRequest, match=r"configure cache\.mode") as caught:
            ticket(cache, options={"cache": True})
        assert caught.value.param == "gradus.cache"

    _run(redis_url, test, mode="off")


def test_tenants_share_nothing_and_those_of_one_team_share_if_it_says_so(redis_url: str) -> None:
    ada, bob = account("ada", "t"), account("bob", "t")

    async def apart(cache: AnswerCache) -> None:
        assert await _twice(cache, ticket(cache, who=ada), ticket(cache, who=bob)) == ("miss", "8")

    async def together(cache: AnswerCache) -> None:
        assert await _twice(cache, ticket(cache, who=ada), ticket(cache, who=bob)) == ("hit", "7")
        stranger = account("eve", "u")
        assert await ask(cache, ticket(cache, who=stranger), "9") == ("miss", "9")

    _run(redis_url, apart)
    _run(redis_url, together, scope="team")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("7", {"finish_reason": "length"}), ("", {}), ("7", {"confidence": 0.2})],
)
def test_what_is_no_whole_answer_is_not_kept(redis_url: str, text: str, answer: dict[str, Any]) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await ask(cache, ticket(cache), text, **answer) == ("miss", text)
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")
        assert cache.counters.refused == 1

    _run(redis_url, test)


def test_an_error_is_not_kept(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        async def broken() -> None:
            async with cache.visit(ticket(cache), soon()) as visit:
                visit.keep(reply())
                raise GatewayError("it broke after all")

        with pytest.raises(GatewayError):
            await broken()
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")

    _run(redis_url, test)


def test_the_cache_control_of_a_request_is_honoured(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await ask(cache, ticket(cache, header="no-store"), "6") == ("bypass", "6")
        with pytest.raises(NotCached):
            await ask(cache, ticket(cache, header="only-if-cached"))
        await _twice(cache, ticket(cache))
        undecided = {**BODY, "temperature": 1}
        for body, header in ((undecided, ""), (BODY, "no-store"), (BODY, "no-cache"), (BODY, "max-age=0")):
            with pytest.raises(NotCached):  # whatever the cache cannot give, nobody else is asked for
                await ask(cache, ticket(cache, body, header=f"{header},only-if-cached"))
        assert await ask(cache, ticket(cache, header="only-if-cached")) == ("hit", "7")
        assert await ask(cache, ticket(cache, header="max-age=60")) == ("hit", "7")
        assert await ask(cache, ticket(cache, header="no-cache"), "9") == ("miss", "9")
        await settled(cache)
        assert await ask(cache, ticket(cache)) == ("hit", "9")  # the new one took its place

    _run(redis_url, test)


def test_an_answer_that_is_too_old_for_one_is_answered_anew(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        now_s = time.time()
        monkeypatch.setattr("gateway.cache.answers.time.time", lambda: now_s + 100)
        async with cache.visit(ticket(cache), soon()) as visit:
            assert visit.headers["age"] == "100"
        assert await ask(cache, ticket(cache, header="max-age=60"), "8") == ("miss", "8")
        await settled(cache)
        assert await ask(cache, ticket(cache, header="max-age=60")) == ("hit", "8")

    _run(redis_url, test)


def _spaces(cache: AnswerCache, account: Account | None = None, model: str | None = None) -> list[str]:
    if account is not None:
        return [cache.tickets.tenant_space(account)]
    return [EVERYTHING if model is None else model_space(model)]


@pytest.mark.parametrize("purge", [{}, {"account": account("ada")}, {"model": "abacus-small"}])
def test_a_purge_is_heard_at_once_by_every_process(redis_url: str, purge: dict[str, Any]) -> None:
    who = ticket

    async def test(cache: AnswerCache) -> None:
        async with _open(redis_url) as other:
            ada = who(cache, who=account("ada"))
            assert await _twice(cache, ada) == ("hit", "7")
            await other.purge(_spaces(other, **purge))
            assert await ask(cache, ada, "8") == ("miss", "8")
            await settled(cache)
            assert await ask(other, ada) == ("hit", "8")

    _run(redis_url, test)


@pytest.mark.parametrize("purge", [{"account": account("bob")}, {"model": "another"}])
def test_a_purge_leaves_the_rest(redis_url: str, purge: dict[str, Any]) -> None:
    async def test(cache: AnswerCache) -> None:
        ada = ticket(cache, who=account("ada"))
        await ask(cache, ada, "7")
        await settled(cache)
        await cache.purge(_spaces(cache, **purge))
        assert await ask(cache, ada) == ("hit", "7")

    _run(redis_url, test)


def test_what_is_under_way_while_it_is_purged_is_not_kept(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        async with cache.visit(ticket(cache), soon()) as visit:
            await cache.purge([EVERYTHING])
            visit.keep(reply("7"))
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")

    _run(redis_url, test)


def test_answers_that_outlived_the_names_of_their_generations_are_forgotten(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        await cache.purge([EVERYTHING])
        with redis.Redis.from_url(redis_url) as client:
            client.delete(shelf.GENERATIONS)
        assert await ask(cache, ticket(cache), "8") == ("miss", "8")

    _run(redis_url, test)


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

    _run(redis_url, test)


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

    _run(redis_url, test, max_bytes=4000)


def test_an_answer_that_is_too_large_is_not_kept(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        assert await _twice(cache, ticket(cache)) == ("miss", "8")
        assert cache.counters.lost >= 1

    _run(redis_url, test, max_entry_bytes=20)


def test_everything_expires(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        await ask(cache, ticket(cache), "7")
        await settled(cache)
        with redis.Redis.from_url(redis_url) as client:
            ttls = {name.decode().split(":")[2]: client.ttl(name) for name in client.keys("gradus:answers:*")}
        assert 0 < ttls["entry"] <= 60
        assert 0 < ttls["index"] <= 120
        assert 0 < ttls["total"] <= 120

    _run(redis_url, test, ttl_s=60)


def test_candidates_are_shared_by_tenants_and_a_purge_changes_who_shares(redis_url: str) -> None:
    async def scope(cache: AnswerCache, of: Ticket) -> str | None:
        async with cache.visit(of, soon()) as visit:
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

    _run(redis_url, test, candidates="true", mode="off")


def test_candidates_are_shared_only_where_that_is_configured(redis_url: str) -> None:
    async def test(cache: AnswerCache) -> None:
        of = ticket(cache, who=Account(None))
        async with cache.visit(of, soon()) as visit:
            assert await cache.candidate_scope(of, visit) is None

    _run(redis_url, test)
