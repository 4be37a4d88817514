"""``POST /v1/gradus/explain``: the plan and its prices; nothing is generated."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples
from gateway.api.body import read_asked, request_body
from gateway.api.state import state_of
from gateway.schemas import Explanation
from router.types import Plan

router = APIRouter(tags=["gradus"])

_PLAN = TypeAdapter(Plan)


@router.post(
    "/v1/gradus/explain",
    summary="Explain a chat without answering it",
    response_model=Explanation,
    responses={200: {"content": {"application/json": {"example": examples.EXPLANATION}}}, **examples.ERRORS},
    openapi_extra=request_body(examples.REQUEST),
)
async def explain(request: Request) -> Response:
    """What would be done in each difficulty bin, compared with what, at what price, and why."""
    state = state_of(request)
    asked = await read_asked(request, state.max_body_bytes)
    plan = _PLAN.dump_json(state.service.explain(asked))
    return Response(b'{"object":"gradus.explanation","plan":' + plan + b"}", media_type="application/json")
