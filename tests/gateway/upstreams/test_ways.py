"""The way to a server: names in URLs, proxies, and certificates."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.upstreams import openai_server
from tests.gateway.upstreams.raw import SAID, Handler, listening, saying, servers, to
from tests.gateway.upstreams.servers import Server, says, serving


@pytest.mark.parametrize(("api_key", "authorization"), [(None, "Basic bWU6cEBzcw=="), ("key", "Bearer key")])
def test_a_name_in_the_url_goes_as_its_authorization_unless_there_is_a_key(
    api_key: str | None, authorization: str
) -> None:
    async def main() -> Server:
        async with serving(says(b"{}")) as server, servers() as asked:
            await asked.complete(to(server.url.replace("//", "//me:p%40ss@"), api_key=api_key))
        return server

    (headers,) = asyncio.run(main()).headers
    assert headers["authorization"] == authorization
    assert "@" not in headers["host"]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def through(end: str) -> None:
        openai_server._way.cache_clear()
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", f"http://me:pass@{end}")

    monkeypatch.setenv("no_proxy", "")
    yield through
    openai_server._way.cache_clear()


def test_a_proxy_reads_the_whole_url(proxied: Callable[[str], None]) -> None:
    heads: list[str] = []

    async def main() -> None:
        async with servers() as asked, listening(saying(SAID, heads=heads)) as end:
            proxied(end)
            await asked.complete(to("http://large.example/v1", api_key="key"))

    asyncio.run(main())
    assert heads[0].startswith("POST http://large.example/v1/chat/completions HTTP/1.1\r\n")
    assert "proxy-authorization: basic bwu6cgfzcw==\r\n" in heads[0].lower()
    assert "\r\nauthorization: bearer key\r\n" in heads[0].lower()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_server_with_a_private_authority_is_reached_through_a_proxy_that_reads_no_key(
    tmp_path: Path,
) -> None:
    """In a process of its own: Python reads SSL_CERT_FILE when it starts."""
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=DNS:large.example"
    command = ["openssl", "req", *options.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    heads: list[str] = []
    seen: list[bytes] = []

    async def main() -> tuple[bytes, int | None]:
        async with listening(saying(SAID, SAID, heads=heads), secure) as server, AsyncExitStack() as stack:
            end = await stack.enter_async_context(listening(tunnel_to(server, seen)))
            settings = {"https_proxy": f"http://me:pass@{end}", "no_proxy": ""}
            settings["SSL_CERT_FILE"] = str(tmp_path / "cert.pem")
            asking = await asyncio.create_subprocess_exec(
                sys.executable, "-c", ASKS_TWICE, env={**os.environ, **settings}, stdout=subprocess.PIPE
            )
            said, _ = await asking.communicate()
        return said, asking.returncode

    said, code = asyncio.run(main())
    assert (said.split(), code) == ([b'{"said":1}'] * 2, 0)
    assert seen[0].startswith(b"CONNECT large.example:443 HTTP/1.1\r\n")
    assert b"proxy-authorization: basic bwu6cgfzcw==\r\n" in seen[0].lower()
    assert b"secret-key" not in b"".join(seen)
    assert all("authorization: Bearer secret-key\r\n" in head for head in heads)
    assert sum(part.startswith(b"CONNECT") for part in seen) == 1


ASKS_TWICE = """
import asyncio
from gateway.upstreams.openai_server import OpenAIServers
from gateway.upstreams.port import Call

async def main():
    servers = OpenAIServers()
    for _ in range(2):
        call = Call("chat", "m", "https://large.example/v1", "secret-key", {}, 5.0, lambda: None)
        print((await servers.complete(call)).raw.decode())
    await servers.close()

asyncio.run(main())
"""


def tunnel_to(end: str, seen: list[bytes]) -> Handler:
    """A proxy that sees what goes through it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = end.partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while part := await source.read(65_536):
                seen.append(part)
                sink.write(part)
            sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))

    return handle
