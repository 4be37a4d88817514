"""Many ask over one connection: each gets its own answer, and a Redis that was away is asked again."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import RedisError, ResponseError

from gateway.cache.pipe import MOST_AT_ONCE, SCRIPT, Pipe

ECHO = {"echo": "return ARGV[1]"}


def test_each_gets_its_own_answer_or_its_own_error(redis_url: str) -> None:
    async def run() -> list[object]:
        pipe = Pipe(redis_url, ECHO, timeout_s=5.0)
        asked = [pipe.call(SCRIPT, "echo", 0, str(number)) for number in range(500)]
        try:
            return await asyncio.gather(*asked, pipe.call("NONSENSE"), return_exceptions=True)
        finally:
            await pipe.close()

    *said, refused = asyncio.run(run())
    assert said == [str(number).encode() for number in range(500)]
    assert isinstance(refused, ResponseError)


def test_who_goes_away_leaves_the_others_their_answers(redis_url: str) -> None:
    async def run() -> object:
        pipe = Pipe(redis_url, ECHO, timeout_s=5.0)
        gone, stays = (pipe.call(SCRIPT, "echo", 0, text) for text in ("a", "b"))
        await asyncio.sleep(0)
        gone.cancel()
        try:
            return await stays
        finally:
            await pipe.close()

    assert asyncio.run(run()) == b"b"


def test_scripts_that_were_flushed_are_loaded_again(redis_url: str) -> None:
    async def run() -> object:
        pipe = Pipe(redis_url, ECHO, timeout_s=5.0)
        await pipe.call("SCRIPT", "FLUSH")
        with pytest.raises(ResponseError):
            await pipe.call(SCRIPT, "echo", 0, "a")
        try:
            return await pipe.call(SCRIPT, "echo", 0, "a")
        finally:
            await pipe.close()

    assert asyncio.run(run()) == b"a"


def test_a_connection_that_was_cut_is_made_again_and_nobody_notices(redis_url: str) -> None:
    async def run() -> object:
        pipe, other = Pipe(redis_url, ECHO, timeout_s=5.0), Pipe(redis_url, {}, timeout_s=5.0)
        await pipe.call("CLIENT", "SETNAME", "cut")
        clients = (await other.call("CLIENT", "LIST")).decode().splitlines()
        (number,) = [line.split()[0].removeprefix("id=") for line in clients if "name=cut" in line]
        await other.call("CLIENT", "KILL", "ID", number)
        try:
            return await pipe.call(SCRIPT, "echo", 0, "a")
        finally:
            await pipe.close()
            await other.close()

    assert asyncio.run(run()) == b"a"


def test_what_waits_behind_a_redis_that_hangs_fails_with_the_first() -> None:
    async def run() -> tuple[list[object], int]:
        connections = list[asyncio.StreamWriter]()
        server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
        pipe = Pipe(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", ECHO, timeout_s=0.1)
        try:
            asked = [pipe.call("PING") for _ in range(3 * MOST_AT_ONCE)]
            return await asyncio.gather(*asked, return_exceptions=True), len(connections)
        finally:
            await pipe.close()
            for writer in connections:
                writer.close()
            server.close()

    said, tried = asyncio.run(run())
    assert all(isinstance(each, RedisError | OSError) for each in said)
    assert tried == 1


def test_without_redis_all_who_ask_hear_so() -> None:
    async def run() -> list[BaseException | None]:
        pipe = Pipe("redis://127.0.0.1:1/0", ECHO, timeout_s=1.0)
        try:
            asked = (pipe.call("PING"), pipe.call("PING"))
            return list(await asyncio.gather(*asked, return_exceptions=True))
        finally:
            await pipe.close()

    assert all(isinstance(error, RedisError | OSError) for error in asyncio.run(run()))
