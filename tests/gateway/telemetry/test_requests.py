"""The id of a request: in headers, errors, log lines, and on the job that a worker gets."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import openai
import pytest

from router.config.telemetry import Telemetry
from router.logs import REQUEST_ID, JsonLines, TextLines
from tests.gateway.doubles import ScriptedWorker
from tests.gateway.upstream import UpstreamDouble

MESSAGES: Any = [{"role": "user", "content": "What is 3 + 4?"}]
CHAT = {"model": "gradus", "messages": MESSAGES}


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/no-such-path", "/metrics"])
def test_every_response_has_an_id(url: str, path: str) -> None:
    first, second = (httpx.get(url + path).headers["x-request-id"] for _ in range(2))

    assert first.startswith("req-")
    assert first != second


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (CHAT | {"model": "no-such-model"}, 404),
        (CHAT | {"n": 0}, 400),
        ({}, 400),
        (CHAT | {"stream": 3}, 400),
    ],
)
def test_errors_say_the_id_in_header_and_body(url: str, body: object, status: int) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", json=body)

    assert answer.status_code == status
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
    assert answer.headers["x-request-id"].startswith("chatcmpl-")


def test_a_client_of_openai_finds_the_id_where_it_looks(
    client: openai.OpenAI, upstream: UpstreamDouble
) -> None:
    reply = client.chat.completions.create(
        model="remote", messages=MESSAGES, extra_headers={"x-request-id": "mine"}
    )

    assert reply._request_id == reply.id  # a client does not choose the id


def test_a_job_is_told_whose_it_is(client: openai.OpenAI, worker: ScriptedWorker) -> None:
    reply = client.chat.completions.create(model="gradus", messages=MESSAGES)

    assert worker.headers[-1]["gradus_request_id"] == reply.id
    assert "traceparent" not in worker.headers[-1]  # nothing is traced


def test_log_lines_name_the_request_and_are_json_if_wanted() -> None:
    line = logging.LogRecord("gateway.x", logging.WARNING, "x.py", 1, "half of %s", ("it",), None)
    token = REQUEST_ID.set("chatcmpl-1")
    said, text = json.loads(JsonLines("gradus-gateway").format(line)), TextLines().format(line)
    REQUEST_ID.reset(token)

    assert (said["message"], said["level"], said["service"]) == ("half of it", "warning", "gradus-gateway")
    assert said["request_id"] == "chatcmpl-1"
    assert text.endswith("WARNING gateway.x: half of it [chatcmpl-1]")
    assert json.loads(JsonLines("gradus-gateway").format(line))["request_id"] is None
    assert Telemetry().log_format == "text"
