"""``POST /v1/gradus/feedback``: whether an answer was right. Predictors are fitted to it, and watched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples
from gateway.api.body import read_body, request_body
from gateway.api.state import GatewayState, state_of
from gateway.api.stored import ask_store, database_of
from gateway.auth import account_of
from gateway.errors import BadRequest, GatewayError
from gateway.schemas import checked, json_object
from gateway.store.feedback import Feedback, give, request_of
from gateway.telemetry.metrics import judged

router = APIRouter(tags=["gradus"])

EXAMPLES: Final[dict[str, Any]] = {
    "right": {"summary": "Right or wrong", "value": {"id": "chatcmpl-3f2a", "right": True}},
    "score": {
        "summary": "A score, and why",
        "value": {"id": "chatcmpl-3f2a", "score": 0.5, "comment": "half of it"},
    },
}
TAKEN: Final = {"object": "gradus.feedback", "id": "chatcmpl-3f2a", "score": 1.0}


class FeedbackRequest(BaseModel):
    """Either ``right``, or a ``score`` from 0 (wrong) to 1 (right)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(pattern=r"^[!-~]{1,128}$", description="The completion's id, or its x-request-id")
    right: bool | None = None
    score: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    comment: str | None = Field(None, max_length=2000, pattern=r"^[^\x00]*$")

    @property
    def value(self) -> float:
        return float(self.right or 0) if self.score is None else self.score


class FeedbackTaken(BaseModel):
    object: Literal["gradus.feedback"]
    id: str
    score: float


@router.post(
    "/v1/gradus/feedback",
    summary="Say whether an answer was right",
    response_model=FeedbackTaken,
    responses={
        200: {"content": {"application/json": {"example": TAKEN}}},
        **examples.ERRORS,
    },
    openapi_extra=request_body(EXAMPLES, FeedbackRequest),
)
async def feedback(request: Request) -> Response:
    """Of an answer that the same key asked for. What is said last holds; `gradus feedback export` has it."""
    state, account = state_of(request), account_of(request)
    said = _read(await read_body(request, state.max_body_bytes))
    key_id = None if account.key is None else account.key.id
    known = state.predictions.of(said.id)
    database = database_of(request)
    if known is not None and known.key_id == key_id:
        request_id: str | None = said.id
    else:
        request_id = await ask_store(request_of, database, said.id, key_id)
    if request_id is None:
        raise GatewayError(
            f"There is no answer '{said.id}' of this key; an id is known some seconds after its answer.",
            code="answer_not_found",
            param="id",
        )
    now = datetime.now(UTC)
    await ask_store(give, database, Feedback(request_id, now, key_id, said.value, said.comment))
    judged(said.value)
    _watch(state, request_id, said.value)
    body = {"object": "gradus.feedback", "id": request_id, "score": said.value}
    return Response(to_json(body), media_type="application/json")


def _watch(state: GatewayState, request_id: str, score: float) -> None:
    """Whether predictions hold: once an answer, since betting twice on one outcome would prove nothing."""
    known = state.predictions.of(request_id)
    if state.drift is not None and known is not None and known.p_right is not None:
        state.drift.feedback(known.p_right, score)
        state.predictions.told(request_id)


def _read(raw: bytes) -> FeedbackRequest:
    said = checked(FeedbackRequest, json_object(raw, "a JSON object"))
    if (said.right is None) == (said.score is None):
        raise BadRequest("Give either 'right' (true or false) or 'score' (0 to 1).", param="right")
    return said
