"""A client that does not read its stream, over the wire: equal requests do not wait for it."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic_core import to_json

from gateway.app import create_app
from tests.gateway.cache.over_http import ASKED
from tests.gateway.conftest import Configure
from tests.gateway.doubles import GIVE_UP_S, serving, until
from tests.gateway.upstream import CHUNKS, UpstreamDouble, chunk

PIECE = chunk({"content": "all work and no play " * 1_000})


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end of the test, whatever becomes of it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("same_process", [True, False])
def test_an_equal_request_is_answered_beside_a_client_that_does_not_read(
    configure: Configure,
    upstream: UpstreamDouble,
    redis_url: str,
    over: threading.Event,
    same_process: bool,
) -> None:
    endless = itertools.takewhile(lambda _: not over.is_set(), itertools.repeat(PIECE))
    said = itertools.chain(CHUNKS[:1], endless)
    upstream.chunks = cast(tuple[Any, ...], said)
    settings = configure(GRADUS__CACHE__MODE="deterministic")
    body = to_json({**ASKED, "stream": True})
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"

    with serving(create_app(settings)) as url, serving(create_app(settings)) as other:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), address.port or 0), GIVE_UP_S) as lazy:
            lazy.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            until(lambda: len(upstream.bodies) == 1)

            answer = httpx.post(
                f"{url if same_process else other}/v1/chat/completions", json=ASKED, timeout=GIVE_UP_S
            )

            assert (answer.status_code, answer.headers["x-gradus-cache"]) == (200, "miss")
            assert len(upstream.bodies) == 2
            assert not upstream.closed.is_set()  # the lazy one is still there
