"""What a running product shows of one request: a trace over gateway and worker, and its log lines."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.e2e.served import ADMIN_KEY, LARGE_KEY, PATIENCE_S, Served

pytest.importorskip("opentelemetry.sdk")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROMPT = "Calculate ( 7 + 5 ) * 3."
BROKEN = "a prompt that is not to be seen"


def ask(served: Served, content: Any = PROMPT, **more: Any) -> httpx.Response:
    body = {"model": "gradus/seen", "messages": [{"role": "user", "content": content}], **more}
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "x-client-request-id": "client-1"}
    return httpx.post(
        f"{served.product.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_S
    )


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value for each in span.attributes}


def trace_of(served: Served, answer: httpx.Response) -> dict[str, list[tuple[str, Any]]]:
    """Services and spans of the whole request, by name, once they have come."""
    give_up_s = time.monotonic() + PATIENCE_S
    found: dict[str, list[tuple[str, Any]]] = {}
    while not {"request", "search"} <= set(found) or len(found["worker job"]) < len(found["job"]):
        assert time.monotonic() < give_up_s, f"only {sorted(found)}"
        time.sleep(0.1)
        for _, span in served.collector.spans:
            if attributes(span).get("gradus.request_id") == answer.headers["x-request-id"]:
                found = served.collector.of_trace(span.trace_id)
    return found


def test_one_trace_goes_over_gateway_queue_and_worker(served: Served) -> None:
    answer = ask(served)
    found = trace_of(served, answer)

    assert {"request", "plan", "cache", "reserve", "job", "worker job", "probe", "generate", "score"} <= set(
        found
    )
    ((service, request),) = found["request"]
    assert service == "gradus-gateway"
    assert attributes(request)["gradus.client_request_id"] == "client-1"
    jobs = {job.span_id for _, job in found["job"]}
    assert {there.parent_span_id for _, there in found["worker job"]} == jobs
    assert {worker for worker, _ in found["worker job"]} == {"gradus-worker"}
    assert {attributes(there)["gradus.request_id"] for _, there in found["worker job"]} == {
        answer.headers["x-request-id"]
    }
    assert all(name == "gradus-worker" for name, _ in found["generate"])


def test_spans_and_logs_hold_no_prompts_and_no_keys(served: Served) -> None:
    assert ask(served, BROKEN, n=-1).status_code == 400
    assert ask(served, BROKEN, model="no-such-model").status_code == 404
    assert ask(served, [{"type": "text", "text": BROKEN, "wrong": BROKEN}], stream=BROKEN).status_code == 400
    assert trace_of(served, ask(served, PROMPT))  # the spans of what was refused came before
    logs = {path: path.read_text("utf-8") for path in served.product.home.rglob("*.log")}
    assert logs
    told = [*logs.values(), *(str(span) for _, span in served.collector.spans)]

    for secret in (PROMPT, BROKEN, ADMIN_KEY, LARGE_KEY):
        assert not [text for text in told if secret in text]


def test_logs_are_json_lines(served: Served) -> None:
    logs = [path for path in served.product.home.rglob("*.log") if path.stem in ("gateway", "worker")]
    lines = [line for path in logs for line in path.read_text("utf-8").splitlines() if line]
    parsed = [json.loads(line) for line in lines if line.startswith("{")]

    assert {line["service"] for line in parsed} >= {"gradus-gateway"}
    assert all({"at", "level", "logger", "message", "request_id"} <= set(line) for line in parsed)
    assert [line for line in parsed if line["logger"].startswith("uvicorn")]
