"""SIGTERM: what runs ends, what comes is sent elsewhere, and the books are closed."""

from __future__ import annotations

import json
import signal
import threading

import httpx
import pytest

from cost_model.budget import picodollars
from tests.e2e.money.configured import price
from tests.e2e.money.gateways import PATIENCE_S, Fleet, Gateway, ask, body_of, code_of
from tests.e2e.money.upstream import Upstream
from tests.workers.engines.openai_server import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture
def stopped(fleet: Fleet) -> Gateway:
    """A gateway for a test to stop."""
    return fleet.gateways[3]


def test_a_stopped_gateway_drains_its_streams_takes_nothing_new_and_leaves_nothing_behind(
    fleet: Fleet, upstream: Upstream, stopped: Gateway
) -> None:
    fleet.all_up()
    key = fleet.key(fleet.worst_usd(fleet.key(), "hold: it") * 2)
    spools = len(list((fleet.folder / "spool").glob("*.spool")))
    answered: list[str] = []

    def stream() -> None:
        answered.append(ask(stopped, key, "hold: it", stream=True).text)

    thread = threading.Thread(target=stream)
    thread.start()
    until(lambda: upstream.holding == 1, PATIENCE_S)
    stopped.send(signal.SIGTERM)

    ready = stopped.ready()
    assert (ready.status_code, ready.json()["status"]) == (503, "stopping")
    refused = ask(stopped, key, "answer")
    assert (refused.status_code, code_of(refused)) == (503, "stopping")
    assert float(refused.headers["retry-after"]) > 0
    assert stopped.is_up

    upstream.release()
    stopped.ended()
    thread.join(PATIENCE_S)
    assert answered[0].endswith("data: [DONE]\n\n")
    fleet.settles(key, 1)
    assert fleet.billed(key) == picodollars(price(upstream.tokens))
    assert len(list((fleet.folder / "spool").glob("*.spool"))) == spools - 1


def hasty(stopped: Gateway) -> None:
    """Start it anew, with little patience for what runs when it is stopped."""
    if stopped.runs:
        stopped.kill()
    stopped.start(GRADUS__SERVER__SHUTDOWN_GRACE_S="0.2")
    stopped.wait()


@pytest.mark.parametrize("stream", [False, True])
def test_what_did_not_begin_to_answer_in_time_is_an_error_that_says_why(
    fleet: Fleet, upstream: Upstream, stopped: Gateway, stream: bool
) -> None:
    hasty(stopped)
    key = fleet.key(fleet.worst_usd(fleet.key(), "hold: it") * 2)
    answered: list[httpx.Response] = []

    thread = threading.Thread(target=lambda: answered.append(ask(stopped, key, "hold: it", stream=stream)))
    thread.start()
    until(lambda: upstream.holding == 1, PATIENCE_S)
    stopped.send(signal.SIGTERM)
    thread.join(PATIENCE_S)
    stopped.ended()
    upstream.release()

    (answer,) = answered
    said = answer.text.removeprefix(": keep-alive\n\ndata: ")  # a stream may have begun by then
    error = json.loads(said)["error"]
    assert (error["code"], error["request_id"]) == ("stopping", answer.headers["x-request-id"])
    assert stream or answer.status_code == 503
    fleet.settles(key, 1)
    assert [each.status for each in fleet.entries(key)] == ["cancelled"]


def test_what_does_not_end_in_time_is_cut_off_and_billed_before_the_gateway_is_gone(
    fleet: Fleet, upstream: Upstream, stopped: Gateway
) -> None:
    hasty(stopped)
    key = fleet.key(fleet.worst_usd(fleet.key(), "drip: it") * 2)
    spools = len(list((fleet.folder / "spool").glob("*.spool")))

    with httpx.stream(
        "POST",
        f"{stopped.url}/v1/chat/completions",
        json=body_of("drip: it", stream=True),
        headers=key.headers,
        timeout=PATIENCE_S,
    ) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines).removeprefix("data: "))["choices"]
        stopped.send(signal.SIGTERM)
        last = [line for line in lines if line][-1]
    stopped.ended()

    error = json.loads(last.removeprefix("data: "))["error"]
    assert (error["code"], error["request_id"]) == ("stopping", answer.headers["x-request-id"])

    until(lambda: not upstream.streaming, PATIENCE_S)
    fleet.settles(key, 1)
    (entry,) = fleet.entries(key)
    assert (entry.status, entry.estimated) == ("cancelled", True)
    assert len(list((fleet.folder / "spool").glob("*.spool"))) == spools - 1
