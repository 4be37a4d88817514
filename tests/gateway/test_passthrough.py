"""Completions, embeddings and responses: as the server answers, by name only, and billed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from gateway.app import create_app
from gateway.settings import load_settings
from tests.gateway.doubles import serving

CONFIG = """
models:
  small: {{engine: transformers, path: nowhere, context_tokens: 512, max_tokens: 100}}
  writer: &writer
    engine: openai
    base_url: {upstream}/v1
    upstream_model: theirs
    max_tokens: 100
    max_retries: 0
    endpoints: [completions, responses]
    price: {{usd_per_million_prompt_tokens: 10, usd_per_million_completion_tokens: 20}}
  unpriced: {{<<: *writer, price: null}}
  bounded: {{<<: *writer, context_tokens: 50}}
  backed: {{<<: *writer, fallbacks: [dear]}}
  dear:
    <<: *writer
    price: {{usd_per_million_prompt_tokens: 100, usd_per_million_completion_tokens: 200}}
  embedder:
    <<: *writer
    max_tokens: null
    endpoints: [embeddings]
verifiers:
  v: {{kind: majority}}
policies:
  default: {{small: small, verifier: v, usd_per_right_answer: 1}}
server: {{redis_url: "{redis}"}}
database: "sqlite:///{folder}/gradus.db"
"""
EMBEDDED = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1234567890123456, 1e-9]}],
    "model": "theirs",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
TEXT = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "theirs"}
COMPLETED = {
    **TEXT,
    "choices": [{"index": 0, "text": " a", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
RESPONSE = {
    "id": "resp-1",
    "object": "response",
    "created_at": 1,
    "model": "theirs",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 3,
        "output_tokens": 4,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
PIECES = (
    {**TEXT, "choices": [{"index": 0, "text": " a", "finish_reason": None}]},
    {**TEXT, "choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]},
    {**TEXT, "choices": [], "usage": COMPLETED["usage"]},
)


class Upstream:
    """Answers each endpoint as OpenAI does; ``status`` other than 200 refuses."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200

    async def reply(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        if self.status != 200:
            return Response(b'{"error": {"message": "because"}}', self.status)
        if body.get("stream"):
            return StreamingResponse(iter(self.events(request.url.path)), media_type="text/event-stream")
        answers = {"completions": COMPLETED, "embeddings": EMBEDDED, "responses": RESPONSE}
        return Response(json.dumps(answers[request.url.path.rpartition("/")[2]], indent=1))

    def events(self, path: str) -> list[bytes]:
        if path.endswith("/completions"):
            return [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in PIECES] + [
                b"data: [DONE]\n\n"
            ]
        delta = {"type": "response.output_text.delta", "delta": "a", "item_id": "1", "output_index": 0}
        delta |= {"content_index": 0, "sequence_number": 1, "logprobs": []}
        end = {"type": "response.completed", "response": RESPONSE, "sequence_number": 2}
        return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in (delta, end)]


@pytest.fixture(scope="module")
def theirs() -> Upstream:
    return Upstream()


@pytest.fixture
def upstream(theirs: Upstream) -> Upstream:
    theirs.bodies, theirs.status = [], 200
    return theirs


@pytest.fixture(scope="module")
def url(theirs: Upstream, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app, folder = FastAPI(), tmp_path_factory.mktemp("passthrough")
    app.add_api_route("/v1/{endpoint}", theirs.reply, methods=["POST"])
    with serving(app) as upstream_url:
        path = folder / "gradus.yaml"
        path.write_text(CONFIG.format(upstream=upstream_url, redis=redis_server, folder=folder))
        with serving(create_app(load_settings(path, {}))) as gateway_url:
            yield gateway_url


@pytest.fixture
def client(url: str, upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client


def test_embeddings_come_byte_by_byte_and_are_billed(url: str, upstream: Upstream) -> None:
    body = {"model": "embedder", "input": ["a", "b"], "dimensions": 2, "theirs alone": {"x": 1}}

    answer = httpx.post(f"{url}/v1/embeddings", json=body)

    assert answer.text == json.dumps(EMBEDDED, indent=1)
    assert upstream.bodies == [{**body, "model": "theirs"}]
    assert answer.headers["x-gradus-model"] == "embedder"
    assert answer.headers["x-gradus-route"] == "large"
    assert answer.headers["x-gradus-cost-usd"] == "0.00008"
    assert answer.headers["x-request-id"].startswith("embd-")


@pytest.mark.parametrize(("model", "cost"), [("writer", "0.00011"), ("unpriced", None)])
def test_a_cost_is_what_was_used_or_unknown(client: openai.OpenAI, model: str, cost: str | None) -> None:
    answer = client.completions.with_raw_response.create(model=model, prompt="Once")
    assert answer.parse().choices[0].text == " a"
    assert answer.headers.get("x-gradus-cost-usd") == cost
    again = client.responses.with_raw_response.create(model=model, input="Once")
    assert again.headers.get("x-gradus-cost-usd") == cost


@pytest.mark.parametrize("include_usage", [True, False])
def test_completions_stream_with_usage_for_who_asks(client: openai.OpenAI, include_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    with client.completions.create(model="writer", prompt="Once", stream=True, **options) as stream:
        assert stream.response.headers["x-gradus-model"] == "writer"
        pieces = list(stream)
    assert "".join(choice.text for piece in pieces for choice in piece.choices) == " ab"
    assert [piece.usage is not None for piece in pieces] == [False, False, True][: 2 + include_usage]


def test_responses_stream_event_by_event(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="writer", input="Once", stream=True))
    assert [event.type for event in events] == ["response.output_text.delta", "response.completed"]


@pytest.mark.parametrize(
    ("endpoint", "body", "status", "said"),
    [
        ("completions", {"model": "gradus"}, 400, "'gradus' routes chats; completions go to a model by its"),
        ("embeddings", {"model": "gradus/default"}, 400, "by its name: these have it: embedder."),
        ("embeddings", {"model": "writer"}, 400, "'writer' is not configured for embeddings"),
        ("completions", {"model": "small"}, 400, "'small' is not configured for completions"),
        (
            "responses",
            {"model": "nobody"},
            404,
            "There is no model 'nobody' for responses; these have it: wr",
        ),
        ("responses", {"model": "writer", "background": True}, 400, "'background'"),
        ("responses", {"model": "writer", "max_output_tokens": -1}, 400, "Invalid 'max_output_tokens'"),
        ("completions", {"model": "writer", "max_tokens": 10**4299}, 400, "and at most 2147483647"),
        ("completions", {"model": "writer", "n": "3"}, 400, "Invalid 'n'"),
        ("completions", {"model": "writer", "stream": "yes"}, 400, "Invalid 'stream'"),
        ("completions", {"model": 3}, 400, "Invalid 'model'"),
        ("completions", {}, 400, "Missing required parameter: 'model'"),
        ("completions", [], 400, "JSON object"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_by_name(
    url: str, upstream: Upstream, endpoint: str, body: Any, status: int, said: str
) -> None:
    answer = httpx.post(f"{url}/v1/{endpoint}", json=body)
    assert (answer.status_code, upstream.bodies) == (status, [])
    assert said in answer.json()["error"]["message"]


def test_what_is_wanted_from_the_cache_alone_is_not_bought(url: str, upstream: Upstream) -> None:
    asked = {"model": "embedder", "input": "x"}
    said = httpx.post(f"{url}/v1/embeddings", json=asked, headers={"cache-control": "only-if-cached"})
    assert (said.status_code, said.json()["error"]["code"], upstream.bodies) == (504, "not_cached", [])


def test_a_number_that_is_read_as_infinite_is_not_passed_on(url: str, upstream: Upstream) -> None:
    raw = '{"model": "embedder", "input": "x", "y": 1e999}'
    said = httpx.post(f"{url}/v1/embeddings", content=raw, headers={"content-type": "application/json"})
    assert (said.status_code, said.json()["error"]["code"], upstream.bodies) == (400, "invalid_json", [])


@pytest.mark.parametrize("stream", [True, False])
def test_a_servers_error_is_an_error_here(client: openai.OpenAI, upstream: Upstream, stream: bool) -> None:
    upstream.status = 500
    with pytest.raises(openai.APIStatusError) as caught:
        client.completions.create(model="writer", prompt="Once", stream=stream)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_failed")


def test_a_chat_of_a_model_without_chats_is_refused(client: openai.OpenAI, upstream: Upstream) -> None:
    with pytest.raises(openai.BadRequestError, match="not configured for chat"):
        client.chat.completions.create(model="embedder", messages=[{"role": "user", "content": "hi"}])
    assert upstream.bodies == []
