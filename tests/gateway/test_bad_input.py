"""Requests that cannot be answered: OpenAI's error shape, the right status and field, and nothing spent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
import redis

from router import wire
from tests.gateway.doubles import ScriptedWorker
from tests.gateway.upstream import UpstreamDouble

HELLO = [{"role": "user", "content": "hello"}]
JSON = {"content-type": "application/json"}


@pytest.fixture
def nothing_spent(redis_url: str, upstream: UpstreamDouble) -> Iterator[None]:
    """No job is queued and no server asked, whatever the test does."""
    yield
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(wire.QUEUE) == 0
    assert upstream.bodies == []


pytestmark = pytest.mark.usefixtures("nothing_spent")


def post(url: str, content: bytes | str) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", content=content, headers=JSON)


def the_error(answer: httpx.Response) -> dict[str, Any]:
    """The error, after checking that it has OpenAI's shape."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code", "request_id"}
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "invalid_json"),
        ("", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        ('{"model": "gradus", "messages": [{"role": "user", "content": "\\ud800"}]}', "invalid_json"),
        ('{"model": "gradus", "temperature": NaN}', "invalid_json"),
        ('{"model": "gradus", "x": [{"y": -1e999}]}', "invalid_json"),
        ('{"model": "gradus", "x": 1.5E+0309}', "invalid_json"),
        ('{"model": "gradus", "x": ' + "9" * 320 + ".5}", "invalid_json"),
        ("[" * 5_000, "invalid_json"),
        ("[]", "invalid_type"),
        ('"hi"', "invalid_type"),
        ("null", "invalid_type"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(url: str, content: bytes | str, code: str) -> None:
    answer = post(url, content)

    assert answer.status_code == 400
    assert the_error(answer)["code"] == code
    assert the_error(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": None}, "invalid_type", "messages"),
        ({"messages": "hello"}, "invalid_type", "messages"),
        ({"messages": ["hello"]}, "invalid_type", "messages[0]"),
        ({"messages": [{"content": "hello"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [{"role": "king", "content": "hello"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "invalid_type", "messages[0].content"),
        (
            {"messages": [*HELLO, {"role": "user", "content": ["hello"]}]},
            "invalid_type",
            "messages[1].content",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "invalid_type",
            "messages[0].content",
        ),
        ({"model": 3}, "invalid_type", "model"),
        ({"max_tokens": -1}, "invalid_value", "max_tokens"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"max_tokens": "12"}, "invalid_type", "max_tokens"),
        ({"max_tokens": 1.5}, "invalid_type", "max_tokens"),
        ({"max_tokens": True}, "invalid_type", "max_tokens"),
        ({"max_tokens": 10**30}, "invalid_value", "max_tokens"),
        ({"max_completion_tokens": -1}, "invalid_value", "max_completion_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "invalid_value", "max_tokens"),
        ({"temperature": 3}, "invalid_value", "temperature"),
        ({"temperature": -0.1}, "invalid_value", "temperature"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"top_p": -0.1}, "invalid_value", "top_p"),
        ({"n": 0}, "invalid_value", "n"),
        ({"stop": 3}, "invalid_type", "stop"),
        ({"stop": ""}, "invalid_value", "stop"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"stream_options": {"include_usage": "yes"}}, "invalid_type", "stream_options.include_usage"),
        ({"seed": "x"}, "invalid_type", "seed"),
        ({"tools": {}}, "invalid_type", "tools"),
    ],
)
def test_a_wrong_field_is_named(url: str, change: dict[str, Any], code: str, param: str) -> None:
    answer = post(url, json.dumps({"model": "gradus", "messages": HELLO, **change}))

    error = the_error(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_missing_field_is_named(url: str, field: str) -> None:
    body: dict[str, Any] = {"model": "gradus", "messages": HELLO}
    del body[field]

    error = the_error(post(url, json.dumps(body)))

    assert (error["code"], error["param"]) == ("missing_required_parameter", field)


@pytest.mark.parametrize("model", ["gpt-9", "gradus/nobody", "gradus/", ""])
def test_an_unknown_model_is_not_found_and_the_known_are_listed(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=model, messages=HELLO)  # type: ignore[arg-type]

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    for known in ("gradus", "gradus/remote", "small", "remote"):
        assert known in caught.value.message


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [*HELLO, {"role": "tool", "tool_call_id": "1", "content": "3"}]}, "messages[1]"),
    ],
)
def test_what_no_model_can_honour_is_refused_by_name(url: str, change: dict[str, Any], param: str) -> None:
    answer = post(url, json.dumps({"model": "gradus", "messages": HELLO, **change}))

    error = the_error(answer)
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_feature", param)


@pytest.mark.parametrize("field", ["tools", "response_format", "n", "logprobs", "presence_penalty"])
@pytest.mark.parametrize("value", [None])
def test_a_feature_that_is_null_is_not_asked_for(
    url: str, worker: ScriptedWorker, field: str, value: None
) -> None:
    answer = post(url, json.dumps({"model": "gradus", "messages": HELLO, field: value}))

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/gradus/explain"])
def test_a_body_over_the_limit_is_refused_by_its_announced_length(url: str, path: str) -> None:
    body = {"model": "gradus", "messages": [{"role": "user", "content": "x" * 20_001}]}

    answer = httpx.post(f"{url}{path}", json=body)

    assert answer.status_code == 413
    assert the_error(answer)["code"] == "request_too_large"


def test_a_body_over_the_limit_that_announces_no_length_is_not_read_to_its_end(url: str) -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 10_000
            yield b" " * 10_000

    answer = httpx.post(f"{url}/v1/chat/completions", content=parts(), headers=JSON, timeout=20)

    assert answer.status_code == 413
    assert sent < 100_000_000


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/gradus/explain"])
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json", None],
)
def test_what_a_web_page_may_send_unasked_is_refused_and_says_what_to_send(
    url: str, path: str, kind: str | None
) -> None:
    body = json.dumps({"model": "remote", "messages": HELLO}).encode()

    answer = httpx.post(f"{url}{path}", content=body, headers={"content-type": kind} if kind else {})

    error = the_error(answer)
    assert (answer.status_code, error["code"]) == (415, "unsupported_media_type")
    assert "content-type: application/json" in error["message"]
    assert (kind or "no content-type") in error["message"]


@pytest.mark.parametrize("kind", ["Application/JSON; charset=utf-8", "application/vnd.api+json"])
def test_json_by_any_of_its_names_is_read(url: str, kind: str) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", content=b"[]", headers={"content-type": kind})

    assert (answer.status_code, the_error(answer)["code"]) == (400, "invalid_type")


def test_a_prompt_longer_than_every_context_is_refused(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "word " * 3000}]

    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gradus", messages=messages)

    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_a_plan_over_the_cap_is_refused_before_it_costs(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="gradus/capped", messages=HELLO)  # type: ignore[arg-type]

    assert (caught.value.status_code, caught.value.code) == (402, "cost_cap_exceeded")


@pytest.mark.parametrize("stream", [True, False])
def test_errors_of_streamed_requests_are_errors_not_streams(url: str, stream: bool) -> None:
    answer = post(url, json.dumps({"model": "gpt-9", "messages": HELLO, "stream": stream}))

    assert answer.status_code == 404
    assert the_error(answer)["code"] == "model_not_found"


def test_an_unknown_path_and_a_wrong_method_have_the_same_shape(url: str) -> None:
    nowhere, wrong = httpx.get(f"{url}/v1/nowhere"), httpx.get(f"{url}/v1/chat/completions")

    assert (nowhere.status_code, the_error(nowhere)["code"]) == (404, "not_found")
    assert (wrong.status_code, the_error(wrong)["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
