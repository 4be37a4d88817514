"""Too much at once, or a database that is away: said at once, and the rest goes on."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic_core import to_json

from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import GIVE_UP_S, until
from tests.gateway.upstream import UpstreamDouble

BODY = {"model": "remote", "messages": [{"role": "user", "content": "3 + 4?"}]}
PATH = "/v1/chat/completions"


@contextmanager
def asking(url: str) -> Iterator[None]:
    """A request that its server does not answer, while the block runs."""
    with connected(url) as client:
        client.sendall(head_of(len(to_json(BODY))) + to_json(BODY))
        yield


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), address.port or 0), GIVE_UP_S)


def head_of(body_bytes: int) -> bytes:
    lines = ("host: x", "content-type: application/json", f"content-length: {body_bytes}")
    return "\r\n".join((f"POST {PATH} HTTP/1.1", *lines, "", "")).encode()


def announced(url: str, body_bytes: int) -> str:
    """What comes back on a request whose body never comes."""
    with connected(url) as client:
        client.sendall(head_of(body_bytes))
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def test_more_requests_than_a_process_works_on_are_refused_before_their_bodies_are_read(
    configure: Configure, start: Start, upstream: UpstreamDouble
) -> None:
    upstream.hangs = True
    url = start(configure(GRADUS__SERVER__MAX_CONCURRENT_REQUESTS="1"))

    with asking(url):
        until(lambda: upstream.bodies)
        refused = announced(url, 10_000)
        assert httpx.get(f"{url}/healthz").is_success
        assert httpx.get(f"{url}/v1/models").is_success

    assert refused.startswith("HTTP/1.1 503 ")
    assert "retry-after: 1\r\n" in refused
    assert '"code":"overloaded"' in refused
    assert len(upstream.bodies) == 1
    upstream.hangs = False
    until(lambda: httpx.post(f"{url}{PATH}", json=BODY).is_success)


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path))
    return tmp_path


def test_a_database_that_is_away_stops_no_answer_and_what_was_spent_is_written_when_it_comes(
    configure: Configure, start: Start, upstream: UpstreamDouble, own_home: Path, redis_url: str
) -> None:
    there = own_home / "there"
    url = start(configure(GRADUS__DATABASE=f"sqlite:///{there}/gradus.db"))

    for _ in range(3):
        assert httpx.post(f"{url}{PATH}", json=BODY).is_success
    until(lambda: "The database is away" in httpx.get(f"{url}/readyz").text)
    (spool,) = (own_home / "spool").glob("*.spool")
    assert spool.read_text().count("\nS ") + spool.read_text().startswith("S ") == 3

    there.mkdir()
    until(lambda: "The database is away" not in httpx.get(f"{url}/readyz").text)
    until(lambda: _entries(there / "gradus.db") == 3)


def test_a_full_disk_refuses_requests_and_is_said_until_there_is_room(
    configure: Configure,
    start: Start,
    upstream: UpstreamDouble,
    own_home: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, write = start(configure()), os.write

    def full(file: int, data: bytes) -> int:
        if data.startswith(b"R "):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        refused = httpx.post(f"{url}{PATH}", json=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ledger_unavailable")
        (said,) = [each for each in httpx.get(f"{url}/readyz").json()["warnings"] if "written" in each]
        assert f"{own_home / 'spool'}" in said
        assert "No space left on device. Requests are refused" in said

    assert httpx.post(f"{url}{PATH}", json=BODY).is_success
    assert "No space left" not in httpx.get(f"{url}/readyz").text


def _entries(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        found: int = database.execute("select count(*) from entries").fetchone()[0]
        return found
