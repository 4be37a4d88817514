"""What a running product shows of one request: a trace over gateway and worker, and its log lines."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.e2e.product import Product, free_port, start_product

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ADMIN = "an-admin's-key-that-no-log-has"
LARGE = "a-large-model's-key-that-no-log-has"
PROMPT = "Calculate ( 7 + 5 ) * 3."
BROKEN = "a prompt that is not to be seen"
PATIENCE_S = 60.0


class Collector(ThreadingHTTPServer):
    """Takes spans as an OpenTelemetry collector does. ``spans``: (service, name, trace, id, parent, all)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.spans: list[tuple[str, Any]] = []

    def of_trace(self, trace_id: bytes) -> dict[str, list[tuple[str, Any]]]:
        by_name = defaultdict(list)
        for service, span in self.spans:
            if span.trace_id == trace_id:
                by_name[span.name].append((service, span))
        return by_name


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        import gzip

        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.server.spans += [(names["service.name"], span) for span in scope.spans]  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Product]:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "GRADUS__TELEMETRY__LOG_FORMAT": "json",
        "GRADUS__TELEMETRY__LOG_LEVEL": "debug",
        "GRADUS__POLICIES__DEFAULT__PROBE": "always",
        "GRADUS_ADMIN_KEY": ADMIN,
        "OPENAI_API_KEY": LARGE,
    }
    running = start_product(tmp_path_factory.mktemp("seen"), free_port(), environment)
    yield running
    running.stop()


def ask(product: Product, content: Any = PROMPT, **more: Any) -> httpx.Response:
    body = {"model": "gradus", "messages": [{"role": "user", "content": content}], **more}
    headers = {"authorization": f"Bearer {ADMIN}", "x-client-request-id": "client-1"}
    return httpx.post(f"{product.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value for each in span.attributes}


def test_one_trace_goes_over_gateway_queue_and_worker(seen: Product, collector: Collector) -> None:
    answer = ask(seen)
    request_id = answer.headers["x-request-id"]
    give_up_s = time.monotonic() + PATIENCE_S
    found: dict[str, list[tuple[str, Any]]] = {}
    while not {"request", "search"} <= set(found) or len(found["worker job"]) < len(found["job"]):
        assert time.monotonic() < give_up_s, f"only {sorted(found)}"
        time.sleep(0.1)
        for _, span in collector.spans:
            if attributes(span).get("gradus.request_id") == request_id:
                found = collector.of_trace(span.trace_id)

    assert {"request", "plan", "cache", "reserve", "job", "worker job", "probe", "generate", "score"} <= set(
        found
    )
    ((service, request),) = found["request"]
    assert service == "gradus-gateway"
    assert attributes(request)["gradus.client_request_id"] == "client-1"
    jobs = {job.span_id for _, job in found["job"]}  # one, or two where the answer came from the large model
    assert {there.parent_span_id for _, there in found["worker job"]} == jobs
    assert {worker for worker, _ in found["worker job"]} == {"gradus-worker"}
    assert {attributes(there)["gradus.request_id"] for _, there in found["worker job"]} == {request_id}
    assert all(name == "gradus-worker" for name, _ in found["generate"])


def test_spans_and_logs_hold_no_prompts_and_no_keys(seen: Product, collector: Collector) -> None:
    assert ask(seen, PROMPT).status_code == 200
    assert ask(seen, BROKEN, n=-1).status_code == 400
    assert ask(seen, BROKEN, model="no-such-model").status_code == 404
    assert ask(seen, [{"type": "text", "text": BROKEN, "wrong": BROKEN}], stream=BROKEN).status_code == 400
    seen.process.poll()
    logs = {path: path.read_text("utf-8") for path in seen.home.rglob("*.log")}
    assert logs
    told = [*logs.values(), *(str(span) for _, span in collector.spans)]

    for secret in (PROMPT, BROKEN, ADMIN, LARGE):
        assert not [text for text in told if secret in text]


def test_logs_are_json_lines(seen: Product) -> None:
    logs = [path for path in seen.home.rglob("*.log") if path.stem in ("gateway", "worker")]
    lines = [line for path in logs for line in path.read_text("utf-8").splitlines() if line]
    parsed = [json.loads(line) for line in lines if line.startswith("{")]

    assert {line["service"] for line in parsed} >= {"gradus-gateway"}
    assert all({"at", "level", "logger", "message", "request_id"} <= set(line) for line in parsed)
    assert [line for line in parsed if line["logger"].startswith("uvicorn")]
