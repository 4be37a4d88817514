"""Servers of which every byte is told, and how they are asked without all that stands above."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.upstreams.openai_server import OpenAIServers
from gateway.upstreams.port import Call

OK = b"HTTP/1.1 200 OK\r\n"
SAID = OK + b'content-length: 10\r\n\r\n{"said":1}'
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def to(
    url: str,
    *,
    api_key: str | None = None,
    connect_s: float = 5.0,
    on_sent: Callable[[], None] = lambda: None,
) -> Call:
    return Call("chat", "m", url, api_key, {"messages": []}, connect_s, on_sent)


@asynccontextmanager
async def servers() -> AsyncIterator[OpenAIServers]:
    asked = OpenAIServers()
    try:
        yield asked
    finally:
        await asked.close()


@asynccontextmanager
async def listening(handle: Handler, secure: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=secure, backlog=1000)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def saying(*answers: bytes, heads: list[str] | None = None, closes: bool = False) -> Handler:
    """Each request on a connection gets the next of these answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await reader.readexactly(int(head.lower().partition("content-length: ")[2].split()[0]))
                if heads is not None:
                    heads.append(head)
                writer.write(answer)
                await writer.drain()
            if not closes:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return handle
