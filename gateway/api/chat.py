"""``POST /v1/chat/completions``: OpenAI's endpoint."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples
from gateway.api.body import read_asked, request_body
from gateway.api.described import CACHE_CONTROL
from gateway.api.leaving import CLIENT_CLOSED_REQUEST, streamed, whole
from gateway.api.plain import PlainRoute
from gateway.api.state import GatewayState, state_of
from gateway.auth import account_of, check_may_ask
from gateway.cache.control import control_of
from gateway.caller import Caller
from gateway.replies import Reply
from gateway.schemas import ChatCompletion
from gateway.streams import Envelope, Feed
from gateway.telemetry.requests import request_id_of
from gateway.translate import Asked, headers_of

router = APIRouter(tags=["chat"], route_class=PlainRoute)


@router.post(
    "/v1/chat/completions",
    summary="Answer a chat",
    response_model=ChatCompletion,
    responses={
        200: {
            "description": "The answer; with `stream: true`, server-sent events of chat completion chunks.",
            "content": {
                "application/json": {"example": examples.COMPLETION},
                "text/event-stream": {"schema": {"type": "string"}, "example": examples.STREAM},
            },
        },
        **examples.ERRORS,
    },
    openapi_extra={**request_body(examples.REQUESTS), "parameters": [CACHE_CONTROL]},
)
async def chat_completions(request: Request) -> Response:
    """Routes by difficulty for `gradus` and `gradus/<policy>`; asks a model directly for its own name."""
    state, account = state_of(request), account_of(request)
    asked = await read_asked(request, state.max_body_bytes)
    check_may_ask(account, asked.model)
    envelope = Envelope(request_id_of(request), int(time.time()), asked.model)
    caller = Caller(envelope.id, account, control_of(request.headers.getlist("cache-control")))
    if asked.stream:
        return await _stream(request, state, asked, caller, envelope)
    reply = await whole(request, state.service.answer(asked, caller))
    if reply is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    state.answered(caller, reply)
    headers = {"x-request-id": envelope.id, **headers_of(reply.gradus), **reply.headers}
    return Response(to_json(_completion(envelope, reply)), headers=headers, media_type="application/json")


async def _stream(
    request: Request, state: GatewayState, asked: Asked, caller: Caller, envelope: Envelope
) -> Response:
    """Begins to answer once the request is under way, or after a second.

    What fails before that is an error like any other, what fails later the last event.
    """
    progress_events = bool(asked.options.get("progress"))
    feed = Feed(envelope, asked.include_usage, progress_events=progress_events)
    feed.open_soon()
    return await streamed(request, feed, _feed(state, asked, caller, feed), {"x-request-id": envelope.id})


async def _feed(state: GatewayState, asked: Asked, caller: Caller, feed: Feed) -> None:
    reply = await state.service.answer(asked, caller, feed)
    state.answered(caller, reply)
    feed.finish(reply.text, reply.finish_reason, reply.usage, reply.gradus, reply.tool_calls)


def _completion(envelope: Envelope, reply: Reply) -> dict[str, Any]:
    """The response body: a server's own completion under our account, or one made of the answer's text."""
    if reply.upstream is not None:
        return {**reply.upstream, **envelope.completion(), "usage": reply.usage, "gradus": reply.gradus}
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message = {**message, "content": reply.text or None, "tool_calls": reply.tool_calls}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
    return envelope.completion(choices=[choice], usage=reply.usage, gradus=reply.gradus)
