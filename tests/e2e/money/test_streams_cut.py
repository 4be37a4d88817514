"""A client that goes away, or does not read: its request ends, and costs what was consumed until then."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic_core import to_json

from cost_model.budget import picodollars
from router.types import Failure, Outcome
from tests.e2e.money.configured import price
from tests.e2e.money.gateways import PATIENCE_S, Fleet, Gateway, MadeKey, body_of
from tests.e2e.money.upstream import Upstream
from tests.gateway.doubles import JUDGED, PROBE, Delivery, ScriptedWorker
from tests.workers.engines.openai_server import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

CAP_USD = Decimal(1)


def cut_after(gateway: Gateway, key: MadeKey, text: str, lines: int, model: str = "remote") -> None:
    """Read some lines of a stream, then leave."""
    with httpx.stream(
        "POST",
        f"{gateway.url}/v1/chat/completions",
        json=body_of(text, model, stream=True),
        headers=key.headers,
        timeout=PATIENCE_S,
    ) as answer:
        assert answer.status_code == 200
        heard = answer.iter_lines()
        for _ in range(lines):
            next(heard)


def test_a_stream_that_is_cut_stops_its_server_and_is_billed_what_was_heard_of_it(
    fleet: Fleet, upstream: Upstream
) -> None:
    key = fleet.key(CAP_USD)
    worst_usd = fleet.worst_usd(key, "drip: on")

    cut_after(fleet.gateways[0], key, "drip: on", 20)

    until(lambda: not upstream.streaming, PATIENCE_S)
    fleet.settles(key, 1)
    (entry,) = fleet.entries(key)
    assert (entry.status, entry.estimated) == ("cancelled", True)
    assert price((0, 5)) < entry.billed_usd < worst_usd / 10
    assert entry.billed_usd <= price(upstream.tokens) * 2


def test_who_leaves_before_anything_was_said_is_billed_what_was_reserved(
    fleet: Fleet, upstream: Upstream
) -> None:
    key = fleet.key(CAP_USD)
    worst_usd = fleet.worst_usd(key, "silent: on")

    with _sent(fleet.gateways[1], key, "silent: on"):
        until(lambda: upstream.texts, PATIENCE_S)

    until(lambda: upstream.left == 1, PATIENCE_S)
    fleet.settles(key, 1)
    (entry,) = fleet.entries(key)
    assert (entry.status, entry.estimated, entry.billed_usd) == ("cancelled", True, worst_usd)


def test_a_search_that_is_cut_ends_in_its_worker_and_costs_its_tokens_until_then(fleet: Fleet) -> None:
    key = fleet.key(CAP_USD)
    cancelled: list[str] = []

    def until_cancelled(delivery: Delivery) -> None:
        delivery.start()
        delivery.progress("probe", 1, 4)
        delivery.wait_for_cancel()
        cancelled.append(delivery.job.id)
        failure = Failure("cancelled", "its client left")
        delivery.end(Outcome(delivery.job.id, "failed", usage=(PROBE, JUDGED), failure=failure))

    with ScriptedWorker(fleet.redis.url) as worker:
        worker.script = until_cancelled
        cut_after(fleet.gateways[2], key, "Calculate 3 + 4.", 1, "gradus")
        fleet.settles(key, 1)
        assert cancelled == [job.id for job in worker.jobs]

    (entry,) = fleet.entries(key)
    assert (entry.status, entry.estimated) == ("cancelled", False)
    # The prices of "small" and "prm", by hand.
    assert entry.billed_usd == Decimal("0.00042") + Decimal("0.00009")
    assert fleet.held(key) == picodollars(entry.billed_usd)


def test_a_client_that_does_not_read_pauses_its_server(fleet: Fleet, upstream: Upstream) -> None:
    key = fleet.key()
    with _sent(fleet.gateways[1], key, "flood: it", stream=True) as slow:
        until(lambda: upstream.pieces, PATIENCE_S)
        until(lambda: _rests(upstream), PATIENCE_S)
        rested = upstream.pieces

        slow.settimeout(PATIENCE_S)
        while upstream.pieces < rested + 100:
            assert slow.recv(1 << 20)
    until(lambda: not upstream.streaming, PATIENCE_S)
    fleet.settles(key, 1)


@contextmanager
def _sent(gateway: Gateway, key: MadeKey, text: str, **more: Any) -> Iterator[socket.socket]:
    """A request that was sent, and of whose answer nothing was read."""
    address = urlsplit(gateway.url)
    body = to_json(body_of(text, **more))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.secret}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection((str(address.hostname), address.port or 0)) as connection:
        connection.sendall(head + body)
        yield connection


def _rests(upstream: Upstream) -> bool:
    """Whether it could not go on for a while."""
    before = upstream.pieces
    time.sleep(0.5)
    return upstream.pieces == before
