"""Redis that is away, stops, comes back, or has no room: the cache is passed by, and nothing fails."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.cache import shelf
from gateway.cache.answers import AnswerCache
from gateway.cache.tickets import EVERYTHING
from gateway.errors import QueueUnavailable
from gateway.redis_server import find_redis_server
from tests.gateway.cache.asking import ask, config, settled, soon, ticket
from tests.gateway.doubles import until


class OwnRedis:
    """A Redis that a test may stop."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self._process = subprocess.Popen([find_redis_server(), *options], stdout=subprocess.DEVNULL)
        until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    folder = Path(tempfile.mkdtemp(prefix="gradus-test-"))
    server = OwnRedis(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_PAUSE_S", 0.0)


def test_without_redis_every_request_is_passed_by(own_redis: OwnRedis) -> None:
    async def main() -> None:
        cache = AnswerCache(config(own_redis.url, candidates="true"))
        await cache.start()
        for _ in range(3):
            assert await ask(cache, ticket(cache), "7") == ("bypass", "7")
        of = ticket(cache)
        with await cache.visit(of, soon()) as visit:
            assert await cache.candidate_scope(of, visit) is None
        with pytest.raises(QueueUnavailable):
            await cache.purge([EVERYTHING])
        assert cache.counters.redis_failures >= 4
        await cache.stop()

    asyncio.run(main())


def test_a_redis_that_stops_and_comes_back_is_used_again(own_redis: OwnRedis) -> None:
    own_redis.start()

    async def main() -> None:
        cache = AnswerCache(config(own_redis.url))
        await cache.start()
        with await cache.visit(ticket(cache), soon()) as visit:
            assert visit.status == "miss"
            own_redis.stop()
        await settled(cache)
        assert await ask(cache, ticket(cache), "8") == ("bypass", "8")
        own_redis.start()
        assert await ask(cache, ticket(cache), "9") == ("miss", "9")
        await settled(cache)
        assert await ask(cache, ticket(cache)) == ("hit", "9")
        await cache.stop()

    asyncio.run(main())


def test_who_waits_for_another_process_goes_on_alone_when_redis_stops(own_redis: OwnRedis) -> None:
    own_redis.start()

    async def main() -> None:
        one, two = AnswerCache(config(own_redis.url)), AnswerCache(config(own_redis.url))
        await one.start()
        await two.start()
        with await one.visit(ticket(one), soon()):
            waiting = [asyncio.create_task(ask(two, ticket(two), "8")) for _ in range(3)]
            await asyncio.sleep(0.05)
            own_redis.stop()
            assert {text for _, text in await asyncio.gather(*waiting)} == {"8"}
        await one.stop()
        await two.stop()

    asyncio.run(main())


def test_a_redis_without_room_keeps_nothing_and_fails_nobody(own_redis: OwnRedis) -> None:
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")

    async def main() -> None:
        cache = AnswerCache(config(own_redis.url))
        await cache.start()
        for _ in range(2):
            status, text = await ask(cache, ticket(cache), "7")
            assert (status in ("miss", "bypass"), text) == (True, "7")
            await settled(cache)
        await cache.stop()

    asyncio.run(main())
