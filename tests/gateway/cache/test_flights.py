"""Equal requests at the same time: one does the work, in one process and across several."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis

from gateway.cache.answers import AnswerCache
from gateway.cache.flights import MOST_LEADERS, Flights
from gateway.cache.tickets import Ticket
from gateway.errors import DeadlineExceeded, GatewayError
from tests.gateway.cache.asking import Watched, config, reply, settled, soon, ticket
from tests.gateway.doubles import until


class Work:
    """What an answer takes: it counts who does it, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.end = asyncio.Event()

    async def do(self, cache: AnswerCache, of: Ticket, seconds: float = 10, **answer: str) -> tuple[str, str]:
        with await cache.visit(of, soon(seconds)) as visit:
            if visit.entry is not None:
                return visit.status, visit.entry.text
            self.begun += 1
            await self.end.wait()
            visit.keep(reply("7", **answer))
            return visit.status, "7"

    async def fail(self, cache: AnswerCache, of: Ticket) -> None:
        with await cache.visit(of, soon()):
            self.begun += 1
            await self.end.wait()
            raise GatewayError("it broke")


@asynccontextmanager
async def _gateways(redis_url: str, count: int) -> AsyncIterator[list[Watched]]:
    """As many as if they were processes: all that they share is Redis."""
    async with AsyncExitStack() as stack:
        caches = [Watched(config(redis_url)) for _ in range(count)]
        for cache in caches:
            await cache.start()
            stack.push_async_callback(cache.stop)
        yield caches


async def _begins(work: Work, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while work.begun < times:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("gateways", [1, 3])
def test_equal_requests_at_once_are_answered_by_one_of_them(redis_url: str, gateways: int) -> None:
    async def main() -> None:
        work = Work()
        async with _gateways(redis_url, gateways) as caches:
            asked = [
                asyncio.create_task(work.do(cache, ticket(cache))) for cache in caches for _ in range(20)
            ]
            await _begins(work)
            for cache in caches:
                await cache.waited_for(20)
            work.end.set()
            answers = await asyncio.gather(*asked)
            assert work.begun == 1
            assert sorted(answers) == [("miss", "7")] + [("shared", "7")] * (len(asked) - 1)
            counted = [cache.counters for cache in caches]
            assert sum(each.shared for each in counted) == len(asked) - 1
            assert all(not cache._flights.under_way for cache in caches)

    asyncio.run(main())


@pytest.mark.parametrize("gateways", [1, 2])
def test_a_leader_whose_client_leaves_hands_over_to_one_that_waits(redis_url: str, gateways: int) -> None:
    async def main() -> None:
        work = Work()
        async with _gateways(redis_url, gateways) as caches:
            first = asyncio.create_task(work.do(caches[0], ticket(caches[0])))
            await _begins(work)
            others = [asyncio.create_task(work.do(caches[-1], ticket(caches[-1]))) for _ in range(5)]
            await caches[-1].waited_for(5 + (gateways == 1))
            assert work.begun == 1
            first.cancel()
            await _begins(work, 2)
            work.end.set()
            assert sorted(await asyncio.gather(*others)) == [("miss", "7")] + [("shared", "7")] * 4
            assert work.begun == 2

    asyncio.run(main())


def test_after_two_that_failed_the_rest_go_alone(redis_url: str) -> None:
    async def main() -> None:
        work = Work()
        async with _gateways(redis_url, 1) as (cache,):
            asked = [asyncio.create_task(work.fail(cache, ticket(cache))) for _ in range(6)]
            await _begins(work)
            work.end.set()
            ended = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(each, GatewayError) for each in ended)
            assert work.begun == 6
            assert MOST_LEADERS == 2
            assert not cache._flights.under_way

    asyncio.run(main())


@pytest.mark.parametrize("gateways", [1, 2])
def test_who_waits_for_an_answer_that_nobody_may_share_goes_alone_at_once(
    redis_url: str, gateways: int
) -> None:
    async def main() -> None:
        first, rest = Work(), Work()
        async with _gateways(redis_url, gateways) as caches:
            leader = asyncio.create_task(first.do(caches[0], ticket(caches[0]), finish_reason="length"))
            await _begins(first)
            others = [asyncio.create_task(rest.do(caches[-1], ticket(caches[-1]))) for _ in range(5)]
            await caches[-1].waited_for(5 + (gateways == 1))
            assert rest.begun == 0
            first.end.set()
            await leader
            await _begins(rest, 5)  # side by side
            rest.end.set()
            assert await asyncio.gather(*others) == [("miss", "7")] * 5

    asyncio.run(main())


@pytest.mark.parametrize("gateways", [1, 2])
def test_a_leader_whose_client_lags_lets_go_and_its_answer_is_kept_all_the_same(
    redis_url: str, gateways: int
) -> None:
    async def main() -> None:
        rest = Work()
        async with _gateways(redis_url, gateways) as caches:
            of = ticket(caches[0])
            with await caches[0].visit(of, soon()) as visit:
                others = [asyncio.create_task(rest.do(caches[-1], of)) for _ in range(5)]
                await caches[-1].waited_for(5 + (gateways == 1))
                assert rest.begun == 0
                caches[0].let_go(of, visit)
                caches[0].let_go(of, visit)
                await _begins(rest, 5)
                visit.keep(reply("8"))
            await settled(caches[0])
            rest.end.set()
            assert await asyncio.gather(*others) == [("miss", "7")] * 5
            assert caches[0].counters.kept == 1
            assert all(not cache._flights.under_way for cache in caches)

    asyncio.run(main())


def test_nobody_waits_longer_than_the_own_deadline(redis_url: str) -> None:
    async def main() -> None:
        work = Work()
        async with _gateways(redis_url, 2) as (one, two):
            leader = asyncio.create_task(work.do(one, ticket(one)))
            await _begins(work)
            for cache in (one, two):
                with pytest.raises(DeadlineExceeded):
                    await work.do(cache, ticket(cache), 0.1)
            work.end.set()
            assert await leader == ("miss", "7")

    asyncio.run(main())


def test_who_comes_while_a_flight_changes_hands_waits_no_longer_than_the_own_deadline() -> None:
    async def main() -> None:
        flights, over = Flights(), asyncio.Event()

        async def second() -> None:
            flight = await flights.board("key", soon())
            await over.wait()
            flights.leave("key", flight)

        first = await flights.board("key", soon())
        waits = asyncio.create_task(second())
        await asyncio.sleep(0)
        flights.leave("key", first)  # the lock is free, and the second not awake yet
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                await flights.board("key", soon(0.05))
            assert not waits.done()
        over.set()
        await waits
        assert not flights.under_way

    asyncio.run(main())


def test_a_leader_that_was_thought_dead_does_not_write_over_its_successor(redis_url: str) -> None:
    async def main() -> None:
        async with _gateways(redis_url, 2) as (one, two):
            late = await one.visit(ticket(one), soon())
            with redis.Redis.from_url(redis_url) as client:  # as if its lease had ended
                client.delete(*client.keys("gradus:answers:leader:*"))
            with await two.visit(ticket(two), soon()) as visit:
                assert visit.status == "miss"
                late.keep(reply("late"))
                late.__exit__(None, None, None)
                await settled(one)
                visit.keep(reply("in time"))
            await settled(two)
            with await two.visit(ticket(two), soon()) as visit:
                assert visit.entry is not None
                assert visit.entry.text == "in time"
            assert one.counters.lost == 1

    asyncio.run(main())


ASKS = """
import asyncio, sys, redis
from tests.gateway.cache.asking import Watched, config, reply, settled, soon, ticket

async def ask(cache, client, who, others):
    with await cache.visit(ticket(cache), soon(60)) as visit:
        if visit.entry is None:
            client.rpush("begun", who)
            while client.scard("waiting") < others or not client.sismember("waiting", who):
                await asyncio.sleep(0.01)
            visit.keep(reply(who))
    client.rpush("answers", visit.status + " " + (visit.entry.text if visit.entry else who))

async def main(url, who, requests, others):
    cache = Watched(config(url))
    await cache.start()
    with redis.Redis.from_url(url) as client:
        asked = [asyncio.create_task(ask(cache, client, who, others)) for _ in range(requests)]
        await cache.waited_for(requests)
        client.sadd("waiting", who)
        await asyncio.gather(*asked)
        await settled(cache)
    await cache.stop()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def _process(redis_url: str, who: str, requests: int, others: int) -> subprocess.Popen[bytes]:
    """It asks so often at once; if it is to answer, it does so once ``others`` processes wait, itself too."""
    return subprocess.Popen([sys.executable, "-c", ASKS, redis_url, who, str(requests), str(others)])


@pytest.mark.process
def test_four_processes_ask_the_same_at_once_and_one_of_them_does_the_work(redis_url: str) -> None:
    processes = [_process(redis_url, str(who), 25, 4) for who in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    with redis.Redis.from_url(redis_url) as client:
        (leader,) = client.lrange("begun", 0, -1)
        answers = sorted(client.lrange("answers", 0, -1))
    assert answers == [b"miss " + leader] + [b"shared " + leader] * 99


@pytest.mark.process
def test_a_leader_that_is_killed_is_replaced(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        killed = _process(redis_url, "killed", 1, 99)
        until(lambda: client.llen("begun"))
        heir = _process(redis_url, "heir", 2, 1)
        killed.kill()
        killed.wait(10)
        assert heir.wait(30) == 0
        assert sorted(client.lrange("answers", 0, -1)) == [b"miss heir", b"shared heir"]
