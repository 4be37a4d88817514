"""What a client may send before it is a request: how large its head is, how long it may take."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.app import create_app
from gateway.http_bounds import MAX_HEAD_BYTES, MAX_HEADERS, bounded_http
from tests.gateway.doubles import GIVE_UP_S, Delivery, easy, serving
from tests.gateway.safety.conftest import Guarded

PATIENCE_S = 0.4


@pytest.fixture(scope="module")
def port(guarded: Guarded) -> Iterator[int]:
    """Of such a gateway, behind the protocol that `gradus serve` speaks."""
    with _bounded(guarded, GIVE_UP_S) as port:
        yield port


@pytest.fixture(scope="module")
def hasty(guarded: Guarded) -> Iterator[int]:
    """The port of one that is in a hurry."""
    with _bounded(guarded, PATIENCE_S) as port:
        yield port


@contextmanager
def _bounded(guarded: Guarded, patience_s: float) -> Iterator[int]:
    with serving(create_app(guarded.settings), http=bounded_http(patience_s), ws="none") as url:
        yield urlsplit(url).port or 0


def talk(port: int, *parts: bytes, every_s: float = 0.0) -> bytes:
    """Everything that is said until the connection is closed; ``every_s`` lies between what is sent."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_S) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(every_s)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while part := connection.recv(65_536):
                said += part
        except ConnectionResetError:
            pass
    return said


def error_of(said: bytes) -> tuple[int, str]:
    head, _, body = said.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert head.count(b"x-request-id: ") == 1
    assert f"x-request-id: {error['request_id']}\r\n".encode() in head + b"\r\n"
    assert b"connection: close" in head
    return int(head.split()[1]), error["code"]


def posts(guarded: Guarded, body: bytes, *more: bytes, path: str = "/v1/chat/completions") -> bytes:
    authorization = guarded.headers()["authorization"].encode()
    head = [
        b"POST " + path.encode() + b" HTTP/1.1",
        b"host: x",
        b"authorization: " + authorization,
        b"content-type: application/json",
        *more,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


LARGE = b"x-a: " + b"a" * MAX_HEAD_BYTES + b"\r\n"
MANY = b"".join(b"x-%d: a\r\n" % index for index in range(MAX_HEADERS + 1))


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /healthz HTTP/1.1\r\n" + LARGE + b"\r\n",),
        (b"GET /healthz HTTP/1.1\r\n" + MANY + b"\r\n",),
        (b"GET /healthz HTTP/1.1\r\n", *[MANY] * 200),
        (b"GET /healthz HTTP/1.1\r\nx-a: ", *[b"a" * 10_000] * 200),
        (b"GET /" + b"a" * MAX_HEAD_BYTES, b" HTTP/1.1\r\n\r\n"),
        (b"GET /?" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n",),
    ],
    ids=["one header", "many", "endless", "endless header", "path", "query"],
)
def test_a_head_over_the_limit_is_refused(port: int, parts: tuple[bytes, ...]) -> None:
    assert error_of(talk(port, *parts)) == (431, "head_too_large")


def test_a_head_within_the_limits_is_read(port: int) -> None:
    headers = {f"x-{index}": "a" for index in range(100)} | {"x-long": "a" * 30_000}

    assert httpx.get(f"http://127.0.0.1:{port}/healthz", headers=headers).is_success


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_openais_shape(port: int, nonsense: bytes) -> None:
    """Two lengths that differ among them: proxies that read them otherwise could be fooled."""
    assert error_of(talk(port, nonsense)) == (400, "invalid_http")


def _counted(port: int, guarded: Guarded) -> dict[str, float]:
    """How many responses there were, by metrics' labels, those of /metrics itself left out."""
    lines = httpx.get(
        f"http://127.0.0.1:{port}/metrics", headers=guarded.headers(admin=True)
    ).text.splitlines()
    rows = (line.rpartition(" ") for line in lines if line.startswith("gradus_http_requests_total{"))
    return {labels: float(value) for labels, _, value in rows if "/metrics" not in labels}


@pytest.mark.parametrize(
    ("asked", "endpoint", "status", "code"),
    [
        (b"hello\r\n\r\n", "other", 400, "invalid_http"),
        (b"GET /healthz HTTP/1.1\r\n" + MANY + b"\r\n", "other", 431, "head_too_large"),
        (b"GET /healthz HTTP/1.1\r\nx-a: ", "other", 408, "request_timeout"),
        (b"content-length: 500", "/v1/chat/completions", 408, "request_timeout"),
        (b"transfer-encoding: chunked", "/v1/chat/completions", 400, "invalid_http"),
    ],
    ids=["nonsense", "head", "head that does not end", "body that does not end", "body that is nonsense"],
)
def test_what_is_refused_so_is_counted_and_logged_once(
    hasty: int,
    guarded: Guarded,
    caplog: pytest.LogCaptureFixture,
    asked: bytes,
    endpoint: str,
    status: int,
    code: str,
) -> None:
    caplog.set_level(logging.DEBUG, logger="gateway.telemetry.requests")
    before = _counted(hasty, guarded)
    caplog.clear()

    said = talk(hasty, asked if endpoint == "other" else posts(guarded, b"zz\r\n", asked))
    logged = [each.getMessage() for each in caplog.records if each.name == "gateway.telemetry.requests"]
    httpx.get(f"http://127.0.0.1:{hasty}/healthz")  # by then the application knows that its request is over

    assert error_of(said) == (status, code)
    assert logged == [f"no whole request came: {status} {code}"]
    more = {name: count - before.get(name, 0) for name, count in _counted(hasty, guarded).items()}
    new = [name for name, count in more.items() if count and "/healthz" not in name]
    assert len(new) == 1
    assert more[new[0]] == 1
    assert all(f'"{label}"' in new[0] for label in (endpoint, str(status), code))


def test_a_client_that_says_nothing_is_let_go(hasty: int) -> None:
    assert talk(hasty) == b""


def test_a_head_a_byte_at_a_time_is_not_waited_for(hasty: int) -> None:
    head = b"GET /healthz HTTP/1.1\r\nx-a: " + b"a" * 40

    assert error_of(talk(hasty, *(bytes([each]) for each in head), every_s=0.02)) == (408, "request_timeout")


def test_a_body_a_byte_at_a_time_is_not_waited_for(hasty: int, guarded: Guarded) -> None:
    asked = len(guarded.upstream.asked)
    head = posts(guarded, b"", b"content-length: 500")

    said = talk(hasty, head, *[b" "] * 60, every_s=0.02)

    assert error_of(said) == (408, "request_timeout")
    assert len(guarded.upstream.asked) == asked


def test_a_body_that_nobody_reads_is_not_waited_for(hasty: int) -> None:
    """The answer is there at once: no key. What is sent after it holds the connection no longer."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n"

    assert talk(hasty, head, *[b" "] * 60, every_s=0.02).startswith(b"HTTP/1.1 401")


def test_lines_between_requests_keep_no_connection(hasty: int) -> None:
    head = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"

    assert talk(hasty, head, *[b"\r\n"] * 60, every_s=0.02).startswith(b"HTTP/1.1 200")


def test_an_answer_may_take_longer_than_a_request(hasty: int, guarded: Guarded) -> None:
    guarded.worker.script, before = _slow, guarded.worker.script
    try:
        body = json.dumps({"model": "gradus", "messages": [{"role": "user", "content": "hello"}]})
        answer = httpx.post(
            f"http://127.0.0.1:{hasty}/v1/chat/completions",
            content=body,
            headers=guarded.headers(),
            timeout=GIVE_UP_S,
        )
    finally:
        guarded.worker.script = before
    assert answer.is_success


def _slow(delivery: Delivery) -> None:
    time.sleep(3 * PATIENCE_S)
    easy(delivery)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/gradus/explain",
        "/v1/gradus/feedback",
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_no_endpoint_reads_a_body_over_the_limit(guarded: Guarded, path: str, chunked: bool) -> None:
    body = b'{"model": "' + b"x" * 20_000 + b'"}'
    content = iter([body[:9000], body[9000:18_000], body[18_000:]]) if chunked else body

    answer = httpx.post(f"{guarded.url}{path}", content=content, headers=guarded.headers())

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("path", ["/v1/gradus/admin/keys", "/v1/gradus/admin/teams"])
def test_nor_does_the_admins(guarded: Guarded, path: str) -> None:
    content = iter([b'{"name": "', b"x" * 70_000, b'"}'])

    answer = httpx.post(f"{guarded.url}{path}", content=content, headers=guarded.headers(admin=True))

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("deep", [b"[" * 9_000, b'{"a":' * 3_000, b'{"messages":' + b"[" * 9000])
def test_json_that_is_too_deep_is_no_json(guarded: Guarded, deep: bytes) -> None:
    answer = httpx.post(f"{guarded.url}/v1/chat/completions", content=deep, headers=guarded.headers())

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
