"""Connections to servers, whatever they say over them."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.upstreams import connections
from gateway.upstreams.connections import Answer, Connections
from gateway.upstreams.port import Unreachable
from gateway.upstreams.ways import way_to

OK = b"HTTP/1.1 200 OK\r\n"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handler, secure: ssl.SSLContext | None = None):  # type: ignore[no-untyped-def]
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=secure)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(*answers: bytes, heads: list[str] | None = None, closes: bool = False) -> Handler:
    """Each request on a connection gets the next of these answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
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


async def asked(http: Connections, url: str, api_key: str | None = None) -> Answer:
    return await http.ask(way_to(url, api_key), b"{}", 5.0, lambda: None)


def read(*answers: bytes, times: int = 1, closes: bool = False) -> list[bytes]:
    """The bodies of so many answers in a row, over one connection."""

    async def main() -> list[bytes]:
        http, bodies = Connections(), []
        async with listening(saying(*answers, closes=closes)) as port:
            for _ in range(times):
                answer = await asked(http, f"http://127.0.0.1:{port}/v1")
                try:
                    bodies.append(await answer.read())
                finally:
                    answer.leave()
            await http.close()
        return bodies

    return asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"content-length: 4\r\n\r\nsaid",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\nsa\r\n2\r\nid\r\n0\r\n\r\n",
        OK
        + b"Content-Encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
        % (len(gzip.compress(b"said")), gzip.compress(b"said")),
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK + b"content-length: 4\r\n\r\nsaid",
    ],
    ids=["length", "chunked", "compressed", "hints first"],
)
def test_a_body_is_read_and_the_connection_used_again(answer: bytes) -> None:
    assert read(answer, answer, times=2) == [b"said", b"said"]


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    assert read(OK + b"\r\nsaid", closes=True) == [b"said"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (OK + b"content-length: 9\r\n\r\nsaid", "closed the connection in mid-answer"),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nsa\r\n", "closed the connection in mid-answer"),
        (b"", "closed the connection"),
        (b"220 smtp ready\r\n", "is not HTTP"),
        (OK + b"x: " + b"y" * 70_000 + b"\r\n\r\n", "is not HTTP"),
        (OK + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nsaid", "not compressed"),
    ],
)
def test_what_is_no_answer_is_named(answer: bytes, why: str) -> None:
    with pytest.raises(Unreachable, match=why):
        read(answer, closes=True)


def test_what_a_server_says_unasked_is_nobodys_answer() -> None:
    """It would be the answer to the next request."""
    answer = OK + b"content-length: 4\r\n\r\n"

    async def main() -> list[bytes]:
        http, bodies = Connections(), []
        async with listening(saying(answer + b"said" + answer + b"evil", answer + b"evil")) as port:
            for _ in range(2):
                found = await asked(http, f"http://127.0.0.1:{port}/v1")
                bodies.append(await found.read())
                found.leave()
                await asyncio.sleep(0.05)
            await http.close()
        return bodies

    assert asyncio.run(main()) == [b"said", b"said"]


def test_a_connection_that_a_server_closes_meanwhile_is_not_used_again() -> None:
    async def main() -> None:
        http = Connections()
        async with listening(saying(OK + b"content-length: 0\r\n\r\n", closes=True)) as port:
            for _ in range(3):
                answer = await asked(http, f"http://127.0.0.1:{port}/v1")
                await answer.read()
                answer.leave()
                while any(http._kept.values()):
                    await asyncio.sleep(0.001)
            await http.close()

    asyncio.run(main())


def test_a_stream_that_nobody_reads_is_not_read_ahead() -> None:
    sent = 0

    async def main() -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"content-length: 100000000\r\n\r\n")
            try:
                while sent < 100_000_000:
                    writer.write(bytes(100_000))
                    await writer.drain()
                    sent += 100_000
            except ConnectionError:
                pass

        http = Connections()
        async with listening(handle) as port:
            answer = await asked(http, f"http://127.0.0.1:{port}/v1")
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(0.1)
            unread = sent
            assert len(await answer.read()) == 100_000_000
            answer.leave()
            await http.close()
        return unread

    assert asyncio.run(main()) < 30_000_000


def test_a_key_with_a_line_break_is_not_sent() -> None:
    with pytest.raises(Unreachable, match="line break") as caught:
        way_to("http://127.0.0.1/v1", "key\r\nx-evil: 1")
    assert "evil" not in str(caught.value)


def test_a_name_in_the_url_goes_as_its_authorization() -> None:
    assert b"host: host:8\r\n" in (way := way_to("http://me:p%40ss@host:8/v1?a=b", None)).head
    assert b"authorization: Basic bWU6cEBzcw==\r\n" in way.head
    assert way.head.startswith(b"POST /v1?a=b HTTP/1.1\r\n")


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def through(port: int) -> None:
        way_to.cache_clear()
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", f"http://me:pass@127.0.0.1:{port}")

    monkeypatch.setenv("no_proxy", "")
    return through


def test_a_proxy_reads_the_whole_url(proxied: Callable[[int], None]) -> None:
    heads: list[str] = []

    async def main() -> None:
        http = Connections()
        async with listening(saying(OK + b"content-length: 0\r\n\r\n", heads=heads)) as port:
            proxied(port)
            answer = await asked(http, "http://large.example/v1", "key")
            answer.leave()
            await http.close()

    asyncio.run(main())
    way_to.cache_clear()
    assert heads[0].startswith("POST http://large.example/v1 HTTP/1.1\r\nhost: large.example\r\n")
    assert "proxy-authorization: Basic bWU6cGFzcw==\r\n" in heads[0]
    assert "\r\nauthorization: Bearer key\r\n" in heads[0]


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=DNS:large.example"
    command = ["openssl", "req", *options.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=folder / "cert.pem")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_secure_server_is_reached_through_a_proxy_that_reads_no_key(
    tmp_path: Path, proxied: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = certified(tmp_path)
    monkeypatch.setattr(connections, "_secure", lambda: client)
    seen: list[bytes] = []

    async def main(answers: Sequence[bytes]) -> list[bytes]:
        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            there, back = await asyncio.open_connection("127.0.0.1", secure_port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while part := await source.read(65536):
                    seen.append(part)
                    sink.write(part)
                sink.close()

            await asyncio.gather(pump(reader, back), pump(there, writer))

        http, bodies = Connections(), []
        async with listening(saying(*answers), server) as secure_port, listening(tunnel) as port:
            proxied(port)
            for _ in answers:
                answer = await asked(http, "https://large.example/v1", "secret-key")
                bodies.append(await answer.read())
                answer.leave()
            await http.close()
            await asyncio.sleep(0.05)
        return bodies

    assert asyncio.run(main([OK + b"content-length: 4\r\n\r\nsaid"] * 2)) == [b"said"] * 2
    way_to.cache_clear()
    assert seen[0].startswith(b"CONNECT large.example:443 HTTP/1.1\r\nhost: large.example:443\r\n")
    assert b"proxy-authorization: Basic bWU6cGFzcw==\r\n" in seen[0]
    assert b"secret-key" not in b"".join(seen)
