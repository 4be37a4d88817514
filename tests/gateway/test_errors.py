"""The one table of errors: every code of the project is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.error_table import TABLE
from gateway.errors import BudgetExceeded, GatewayError, UpstreamRejected, to_http
from router.errors import ConfigInvalid, RouterError
from router.wire import Event
from tests.gateway.doubles import Delivery, ScriptedWorker
from workers.errors import WorkerError


def _all(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from _all(child)


@pytest.mark.parametrize("root", [GatewayError, RouterError, WorkerError])
def test_every_code_of_the_project_has_a_row(root: type[Exception]) -> None:
    missing = {error.__name__: error.code for error in _all(root) if error.code not in TABLE}  # type: ignore[attr-defined]

    assert missing == {}


def test_the_documentation_has_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")

    assert [code for code in TABLE if f"`{code}`" not in text] == []


def test_a_servers_own_code_and_status_reach_the_client() -> None:
    answer = to_http(UpstreamRejected("no", code="content_filter", status=400, param="messages"))

    assert answer.status == 400
    assert answer.body == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "content_filter",
        }
    }


def test_a_refusal_without_a_code_is_the_requests_fault_all_the_same() -> None:
    answer = to_http(UpstreamRejected("no", status=422))

    assert answer.status == 422
    assert (answer.body["error"]["type"], answer.body["error"]["code"]) == (
        "invalid_request_error",
        "upstream_rejected",
    )


def test_only_what_may_pass_by_itself_is_worth_a_retry() -> None:
    retried = {code for code, row in TABLE.items() if row.retry}

    assert retried == {
        *("queue_unavailable", "no_worker", "queue_full", "worker_lost", "model_unavailable"),
        *("upstream_failed", "rate_limit_exceeded", "ledger_unavailable", "overloaded", "stopping"),
        "request_timeout",
        *("keys_unavailable", "database_unavailable"),
    }


def test_a_spent_budget_is_not_asked_again_but_says_when_it_is_reset() -> None:
    answer = to_http(BudgetExceeded("spent", retry_after_s=1_728_000))

    assert (answer.status, answer.body["error"]["type"]) == (429, "insufficient_quota")
    assert answer.headers == {"x-should-retry": "false", "retry-after": "1728000"}
    assert "retry-after" not in to_http(BudgetExceeded("spent")).headers


def test_errors_of_the_router_keep_their_message() -> None:
    answer = to_http(ConfigInvalid("is wrong", source="g.yaml", line=3))

    error = answer.body["error"]
    assert (answer.status, error["message"]) == (422, "g.yaml:3: is wrong")
    assert error["type"] == "invalid_request_error"  # whoever wants it read can mend it


def test_the_unexpected_is_an_error_that_shows_no_insides(url: str, worker: ScriptedWorker) -> None:
    def nonsense(delivery: Delivery) -> None:
        delivery.emit(Event("progress", delivery.job.id, {}))

    worker.script = nonsense
    body = {"model": "gradus", "messages": [{"role": "user", "content": "hello"}], "stream": True}

    answer = httpx.post(f"{url}/v1/chat/completions", json=body)

    assert "internal_error" in answer.text
    assert "KeyError" not in answer.text
