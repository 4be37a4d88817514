"""HTTP/1.1 connections to servers, kept open: httptools reads what a server says, and all that is asked goes
out in one write.

That is all that a body passed through needs, in a fifth of the time of an HTTP client (docs/decisions/0013).
Redirects are not followed, and cookies not kept.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from functools import cache
from typing import Final

import httptools

from gateway.upstreams.port import Unreachable
from gateway.upstreams.ways import Way

KEEP_ALIVE_S: Final = 15.0
"""So long a connection is kept that nobody uses: less than servers keep theirs."""
MOST_WAITING_BYTES: Final = 256 * 1024
"""Of a stream that its client does not read: then no more is read."""
MAX_HEAD_BYTES: Final = 65_536
_DEFLATED: Final = ("gzip", "x-gzip", "deflate")
_EITHER: Final = 32 + zlib.MAX_WBITS  # zlib sees by itself which of the two it is


class Answer:
    """``status`` and ``headers``, by their names in small letters, are there from the start."""

    def __init__(self, connection: _Connection) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_whole = False
        self._connection = connection
        self._parts: list[bytes] = []
        self._waiting_bytes = 0
        self._fault: Unreachable | None = None
        self._news: asyncio.Future[None] | None = None
        self._inflating: zlib._Decompress | None = None

    async def begun(self) -> None:
        while not self.status and self._fault is None:
            await self._hear()
        if not self.status and self._fault is not None:
            raise self._fault

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises :class:`Unreachable` where it breaks off."""
        while True:
            if self._parts:
                yield self._taken()
            elif self._fault is not None:
                raise self._fault
            elif self.is_whole:
                return
            else:
                await self._hear()

    async def read(self) -> bytes:
        """All that is left of the body. Raises :class:`Unreachable` where it breaks off."""
        return b"".join([part async for part in self.parts()])

    def leave(self) -> None:
        """Let go of the connection: another may use it, or it is closed where the answer is not whole."""
        self._connection.left(self)

    def put(self, part: bytes) -> None:
        self._parts.append(part)
        self._waiting_bytes += len(part)
        if self._waiting_bytes > MOST_WAITING_BYTES:
            self._connection.pause()

    def tell(self, fault: Unreachable | None = None) -> None:
        """Something came, or nothing more will."""
        self._fault = self._fault or (None if self.is_whole else fault)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _hear(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        if self._waiting_bytes > MOST_WAITING_BYTES:
            self._connection.resume()
        self._waiting_bytes = 0
        return taken if self.headers.get("content-encoding") not in _DEFLATED else self._inflated(taken)

    def _inflated(self, part: bytes) -> bytes:
        """Nobody asked for it, and some do it all the same."""
        self._inflating = self._inflating or zlib.decompressobj(_EITHER)
        try:
            return self._inflating.decompress(part)
        except zlib.error as error:
            raise Unreachable(f"its answer is not compressed as it says: {error}") from error


class _Connection(asyncio.Protocol):
    """One request after another. ``idle_since_s``: nobody uses it."""

    def __init__(self, kept: deque[_Connection]) -> None:
        self.idle_since_s = 0.0
        self.is_open = True
        self._kept = kept
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._keeps = False
        self._head_bytes = 0

    def ask(self, request: bytes) -> Answer:
        answer = self._answer = Answer(self)
        self._keeps = False
        self.transport.write(request)
        return answer

    def left(self, answer: Answer) -> None:
        if self._answer is not answer:
            return
        self._answer = None
        if answer.is_whole and self._keeps and self.is_open:
            self.idle_since_s = asyncio.get_running_loop().time()
            self._kept.append(self)
        else:
            self.close()

    def close(self) -> None:
        self.is_open = False
        self.transport.abort()  # what a server still says, nobody hears

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        if self.is_open:
            self.transport.resume_reading()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        if (raw := transport.get_extra_info("socket")) is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        fault = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            fault = Unreachable(f"its answer is not HTTP: {error}")
        if fault is not None:
            self.close()
        if self._answer is not None:
            self._answer.tell(fault)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self in self._kept:
            self._kept.remove(self)
        answer = self._answer
        if answer is None or answer.is_whole:
            return
        named = "content-length" in answer.headers or "chunked" in answer.headers.get("transfer-encoding", "")
        if answer.status and error is None and not named:
            answer.is_whole = True  # such a body ends with its connection
            answer.tell()
        else:
            answer.tell(Unreachable(str(error) if error else "it closed the connection in mid-answer"))

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.is_whole:
            raise ValueError("it says what nobody asked")  # else it would answer the next request
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("its head is too large")
        if self._answer is not None:
            self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._answer is None:
            return
        if status < 200:  # it says something first: the answer comes after
            self._answer.headers.clear()
        else:
            self._answer.status = status

    def on_body(self, body: bytes) -> None:
        if self._answer is not None:
            self._answer.put(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._answer.status:
            self._answer.is_whole = True
            self._keeps = self._parser.should_keep_alive()


class Connections:
    """To all servers; for one event loop."""

    def __init__(self) -> None:
        self._kept: dict[object, deque[_Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    async def ask(self, way: Way, body: bytes, connect_s: float, on_sent: Callable[[], None]) -> Answer:
        """The answer once it begins; leave it in the end. ``on_sent``: from then on it may cost something.

        Raises :class:`Unreachable`.
        """
        kept = self._kept.setdefault(way.end, deque())
        connection = kept.pop() if kept else await self._connected(way, connect_s, kept)
        answer = connection.ask(b"%b%d\r\n\r\n%b" % (way.head, len(body), body))
        on_sent()
        try:
            await answer.begun()
        except BaseException:
            answer.leave()
            raise
        return answer

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for kept in self._kept.values():
            while kept:
                kept.pop().close()

    async def _connected(self, way: Way, connect_s: float, kept: deque[_Connection]) -> _Connection:
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._sweep)
        try:
            async with asyncio.timeout(connect_s) as patience:
                return await _connect(way, kept)
        except TimeoutError as error:
            if not patience.expired():
                raise Unreachable(str(error)) from error
            raise Unreachable(f"no connection within {connect_s:g} s") from error
        except (OSError, ValueError) as error:
            raise Unreachable(f"no connection to {way.host}:{way.port}: {error}") from error

    def _sweep(self) -> None:
        """Close what nobody used for a while; the first in line are the oldest."""
        loop = asyncio.get_running_loop()
        for kept in self._kept.values():
            while kept and kept[0].idle_since_s <= loop.time() - KEEP_ALIVE_S:
                kept.popleft().close()
        self._sweeping = loop.call_later(KEEP_ALIVE_S / 2, self._sweep)


async def _connect(way: Way, kept: deque[_Connection]) -> _Connection:
    loop = asyncio.get_running_loop()
    secure, name = (_secure(), way.host) if way.tls else (None, None)
    if way.proxy is None:
        _, made = await loop.create_connection(
            lambda: _Connection(kept), way.host, way.port, ssl=secure, server_hostname=name
        )
        return made
    host, port, authorization = way.proxy
    _, made = await loop.create_connection(lambda: _Connection(kept), host, port)
    if secure is None:
        return made  # the proxy reads whole URLs
    asked = f"CONNECT {way.host}:{way.port} HTTP/1.1\r\nhost: {way.host}:{way.port}\r\n".encode()
    tunnel = made.ask(asked + authorization + b"\r\n")
    try:
        await tunnel.begun()
        if tunnel.status != 200:
            raise Unreachable(f"the proxy {host}:{port} refuses to connect ({tunnel.status})")
        within = _Connection(kept)
        transport = await loop.start_tls(made.transport, within, secure, server_hostname=name)
    except BaseException:
        made.close()
        raise
    assert transport is not None, "it did not break off"
    within.connection_made(transport)
    return within


@cache
def _secure() -> ssl.SSLContext:
    return ssl.create_default_context()
