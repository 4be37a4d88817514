"""``POST /v1/gradus/explain``: the plan and its prices; nothing is generated."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples
from gateway.api.body import read_asked, request_body
from gateway.api.state import state_of
from gateway.auth import account_of, check_may_ask
from gateway.bill import decimal_text
from gateway.schemas import Explanation

router = APIRouter(tags=["gradus"])


@router.post(
    "/v1/gradus/explain",
    summary="Explain a chat without answering it",
    response_model=Explanation,
    responses={200: {"content": {"application/json": {"example": examples.EXPLANATION}}}, **examples.ERRORS},
    openapi_extra=request_body(examples.REQUESTS),
)
async def explain(request: Request) -> Response:
    """What would be done in each difficulty bin, compared with what, at what price, and why."""
    state, account = state_of(request), account_of(request)
    asked = await read_asked(request, state.max_body_bytes)
    check_may_ask(account, asked.model)
    plan = _with_plain_money(asdict(state.service.explain(asked)))
    return Response(to_json({"object": "gradus.explanation", "plan": plan}), media_type="application/json")


def _with_plain_money(value: Any) -> Any:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, dict):
        return {name: _with_plain_money(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_plain_money(each) for each in value]
    return value
