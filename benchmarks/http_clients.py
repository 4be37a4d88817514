"""CPU time of asking an OpenAI-compatible server: the gateway's client, and httpx doing the least it could.

    python -m benchmarks.http_clients

A server in a process of its own sends the same bytes to everybody: whole answers, and streams of 200 tokens,
an event each. 50 requests run at once, in turns of both clients; the medians of the turns are compared. A
bare socket that only reads shows what of a streamed chunk is the event loop's.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import httpx
from pydantic_core import from_json, to_json

from gateway.streams import Envelope, Feed
from gateway.upstreams import Reading
from gateway.upstreams.openai_server import OpenAIServers
from gateway.upstreams.port import Call

AT_ONCE, TURNS, REQUESTS, STREAMS, TOKENS = 50, 7, 500, 50, 200
GAP_S = 0.0005  # so that each event is a packet of its own
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello " * 40}], "temperature": 0.2}


def _chunk(choices: list[Any], **more: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": choices, "usage": None, **more}).encode() + b"\n\n"


USAGE = {"prompt_tokens": 9, "completion_tokens": TOKENS, "total_tokens": TOKENS + 9}
TOKEN = _chunk([{"index": 0, "delta": {"content": " hello"}, "logprobs": None, "finish_reason": None}])
EVENTS = [
    *[TOKEN] * TOKENS,
    _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    _chunk([], usage=USAGE),
    b"data: [DONE]\n\n",
]
MESSAGE = {"role": "assistant", "content": "hello " * 50}
ANSWER = json.dumps({"choices": [{"index": 0, "message": MESSAGE}], "usage": USAGE}).encode()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client is done
        await _answer(reader, writer)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if b'"stream":true' not in await reader.readexactly(length):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
            continue
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in EVENTS:
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await asyncio.sleep(GAP_S)
        writer.write(b"0\r\n\r\n")


def _server(ready: Connection) -> None:
    async def run() -> None:
        listening = await asyncio.start_server(_serve, "127.0.0.1", 0)
        ready.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(run())


async def ours(servers: OpenAIServers, port: int, stream: bool) -> None:
    """What the gateway does: bytes of chunks pass, all of them are read for usage, and counted."""
    reading = Reading("m", BODY, len)
    call = Call("chat", "m", f"http://127.0.0.1:{port}/v1", "key", BODY, 5.0, reading.send)
    if not stream:
        reading.see((await servers.complete(call)).data)
        return
    feed = Feed(Envelope("1", 1, "m"), include_usage=False)
    sending = asyncio.create_task(_drain(feed))
    async for said in servers.stream(call):
        for each in said:
            reading.see(each.data)
        await feed.chunks(said)
    feed.finish("", "stop", {}, {})
    await sending


async def _drain(feed: Feed) -> None:
    async for _ in feed.events():
        pass


async def with_httpx(client: httpx.AsyncClient, port: int, stream: bool) -> None:
    url, body = f"http://127.0.0.1:{port}/v1/chat/completions", to_json({**BODY, "stream": stream})
    if not stream:
        from_json((await client.post(url, content=body)).content)
        return
    async with client.stream("POST", url, content=body) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                from_json(line[6:])


async def bare(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"stream":true}'
    writer.write(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    while b"[DONE]" not in await reader.read(65536):
        pass
    writer.close()


async def cpu_s(ask: Callable[[], Awaitable[None]], times: int) -> float:
    """CPU seconds of this process, a request."""
    begin_s = time.process_time()
    for _ in range(times // AT_ONCE):
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return (time.process_time() - begin_s) / times


async def compare(port: int) -> None:
    servers = OpenAIServers()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
        for what, stream, times in (("request", False, REQUESTS), ("streamed chunk", True, STREAMS)):
            ways: dict[str, Callable[[], Awaitable[None]]] = {
                "gateway": lambda stream=stream: ours(servers, port, stream),  # type: ignore[misc]
                "httpx": lambda stream=stream: with_httpx(client, port, stream),  # type: ignore[misc]
            }
            if stream:
                ways["bare"] = lambda: bare(port)
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(TURNS + 1):
                for name, ask in ways.items():
                    seconds = await cpu_s(ask, times)
                    if turn:  # the first one warms up
                        taken[name].append(seconds * 1e6 / (len(EVENTS) if stream else 1))
            for name, micros in taken.items():
                print(f"{what:>15} {name:>8} {statistics.median(micros):8.1f} us CPU")
    await servers.close()


def main() -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_server, args=(there,), daemon=True)
    server.start()
    asyncio.run(compare(here.recv()))
    server.terminate()


if __name__ == "__main__":
    main()
