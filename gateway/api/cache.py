"""``/v1/gradus/admin/cache``: forgetting what was kept, for who has the admin's key."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from gateway.accounts import Account
from gateway.api import admin_examples, examples
from gateway.api.state import state_of
from gateway.api.stored import ask_store, database_of
from gateway.auth import auth_of
from gateway.cache.tickets import EVERYTHING, model_space
from gateway.errors import BadRequest, ModelNotFound
from gateway.store import keys

router = APIRouter(prefix="/v1/gradus/admin", tags=["admin"], responses=admin_examples.ERRORS)

_FILTERS = ("key", "team", "model")


class Purged(BaseModel):
    """``spaces`` are the namespaces that were begun anew."""

    object: Literal["gradus.cache.purged"] = "gradus.cache.purged"
    spaces: list[str]


@router.delete(
    "/cache",
    summary="Forget what is cached",
    response_model=Purged,
    responses=examples.answer({"object": "gradus.cache.purged", "spaces": ["everything"]}),
    openapi_extra={
        "parameters": [
            {"name": name, "in": "query", "description": what, "schema": {"type": "string"}}
            for name, what in zip(
                _FILTERS,
                (
                    "Only of this key, and of those that share its answers: its id or name",
                    "Only of this team's keys: its id or name",
                    "Only what this model or verifier may have had a part in",
                ),
                strict=True,
            )
        ]
    },
)
async def purge_cache(request: Request) -> Purged:
    """Answers and candidates, all or what the one filter says: at once, in every gateway and worker."""
    auth_of(request).check_admin(request)
    state = state_of(request)
    given = dict(request.query_params)
    if len(given) > 1 or not given.keys() <= set(_FILTERS):
        raise BadRequest(f"Give one of {', '.join(_FILTERS)}, or nothing: then everything is forgotten.")
    tenant_space, database = state.cache.tickets.tenant_space, database_of(request)
    if "key" in given:
        found = [await ask_store(keys.get_key, database, given["key"])]
        spaces = [tenant_space(Account(each.key)) for each in found]
    elif "team" in given:
        found = await ask_store(keys.list_keys, database, given["team"])
        spaces = sorted({tenant_space(Account(each.key)) for each in found})
    elif "model" in given:
        model, config = given["model"], state.config
        if model not in config.models and model not in config.verifiers:
            raise ModelNotFound(f"There is no model or verifier '{model}'.", param="model")
        spaces = [model_space(model)]
    else:
        spaces = [EVERYTHING]
    await state.cache.purge(spaces)
    return Purged(spaces=spaces)
