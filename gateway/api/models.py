"""``GET /v1/models``: everything that a request's ``model`` may name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from gateway.api import examples
from gateway.api.state import GatewayState, state_of
from gateway.auth import account_of, may_ask
from gateway.errors import ModelNotFound
from gateway.schemas import ModelCard, ModelList

router = APIRouter(tags=["models"])


@router.get(
    "/v1/models",
    summary="List models and policies",
    response_model=ModelList,
    responses={**examples.answer(examples.MODELS), **examples.WHO},
)
async def list_models(request: Request) -> dict[str, Any]:
    """The default policy, every policy, and every configured model: those that the key may ask for."""
    state = state_of(request)
    account = account_of(request)
    return {
        "object": "list",
        "data": [_card(state, name) for name in state.service.names() if may_ask(account, name)],
    }


# A path, because policies have a slash in their name.
@router.get(
    "/v1/models/{name:path}",
    summary="Look up a model or policy",
    response_model=ModelCard,
    responses={**examples.answer(examples.MODEL), **examples.WHO, 404: examples.ERRORS[404]},
)
async def get_model(request: Request, name: str) -> dict[str, Any]:
    state = state_of(request)
    account = account_of(request)
    if name not in state.service.names() or not may_ask(account, name):
        raise ModelNotFound(
            f"There is no model '{name}'; there are "
            f"{', '.join(each for each in state.service.names() if may_ask(account, each))}.",
            param="model",
        )
    return _card(state, name)


def _card(state: GatewayState, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": state.started_unix_s, "owned_by": "gradus"}
