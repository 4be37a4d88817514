"""``POST /v1/completions``, ``/v1/embeddings`` and ``/v1/responses``: passed through to models by name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples, passed_examples
from gateway.api.body import read_body
from gateway.api.described import CACHE_CONTROL
from gateway.api.leaving import CLIENT_CLOSED_REQUEST, streamed, whole
from gateway.api.plain import PlainRoute
from gateway.api.state import GatewayState, state_of
from gateway.auth import account_of, check_may_ask
from gateway.bill import decimal_text
from gateway.cache.control import control_of
from gateway.caller import Caller
from gateway.passthrough import Direct, Passed, read
from gateway.streams import RawFeed
from gateway.telemetry.requests import request_id_of
from gateway.translate import headers_of
from router.config import Endpoint

router = APIRouter(tags=["passed through"], route_class=PlainRoute)


def _described(
    required: str, example: dict[str, Any], said: dict[str, Any], streamed: str | None = None
) -> dict[str, Any]:
    """How OpenAPI describes a body that is the server's own business; ``streamed``: its answer as events."""
    schema = {
        "type": "object",
        "properties": {"model": {"type": "string", "description": "A configured model that has it"}},
        "required": ["model", required],
        "additionalProperties": True,
    }
    content = {"application/json": {"schema": schema, "example": example}}
    answers: dict[str, Any] = {"application/json": {"example": said}}
    description = "The server's answer, as it came"
    if streamed is not None:
        answers["text/event-stream"] = {"schema": {"type": "string"}, "example": streamed}
        description += "; with `stream: true`, its server-sent events"
    return {
        "parameters": [CACHE_CONTROL],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": description, "content": answers}},
    }


@router.post(
    "/v1/completions",
    summary="Continue a text",
    responses=examples.ERRORS,
    openapi_extra=_described(
        "prompt",
        {"model": "large", "prompt": "Once upon a time", "max_tokens": 2},
        passed_examples.COMPLETED,
        passed_examples.COMPLETED_STREAM,
    ),
)
async def completions(request: Request) -> Response:
    """As the model's server answers, streamed or not. Nothing is routed: `model` is a configured name."""
    return await _pass(request, "completions")


@router.post(
    "/v1/embeddings",
    summary="Embed texts",
    responses=examples.ERRORS,
    openapi_extra=_described("input", {"model": "embedder", "input": "a text"}, passed_examples.EMBEDDED),
)
async def embeddings(request: Request) -> Response:
    """As the model's server answers. `model` is a configured name."""
    return await _pass(request, "embeddings")


@router.post(
    "/v1/responses",
    summary="Answer with OpenAI's Responses API",
    responses=examples.ERRORS,
    openapi_extra=_described(
        "input",
        {"model": "large", "input": "What is 3 + 4?"},
        passed_examples.RESPONSE,
        passed_examples.RESPONSE_STREAM,
    ),
)
async def responses(request: Request) -> Response:
    """As the model's server answers, streamed or not. Nothing is routed: `model` is a configured name."""
    return await _pass(request, "responses")


async def _pass(request: Request, endpoint: Endpoint) -> Response:
    state, account = state_of(request), account_of(request)
    asked = read(await read_body(request, state.max_body_bytes), endpoint)
    check_may_ask(account, asked.model)
    request_id = request_id_of(request)
    caller = Caller(request_id, account, control_of(request.headers.getlist("cache-control")))
    if asked.stream:
        return await _stream(request, state, asked, caller)
    passed = await whole(request, state.passthrough.answer(asked, caller))
    if passed is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return Response(passed.raw, headers=_headers(request_id, passed), media_type="application/json")


def _headers(request_id: str, passed: Passed) -> dict[str, str]:
    said = {"route": "large", "model": passed.model, "cost_usd": decimal_text(passed.cost_usd)}
    return {"x-request-id": request_id, **headers_of(said)}


async def _stream(request: Request, state: GatewayState, asked: Direct, caller: Caller) -> Response:
    """Begins with the first event of the server, or after a second.

    What fails before that is an error like any other, what fails later the last event.
    """
    known = {"x-request-id": caller.request_id, "x-gradus-route": "large"}
    feed = RawFeed(
        known,
        include_usage=asked.include_usage,
        says_done=asked.endpoint != "responses",
    )
    feed.open_soon()
    return await streamed(request, feed, _feed(state, asked, caller, feed), {})


async def _feed(state: GatewayState, asked: Direct, caller: Caller, feed: RawFeed) -> None:
    await state.passthrough.answer(asked, caller, feed)
    feed.finish()
