"""``/v1/gradus/admin/cache``: how often it helped, and having it forget, for who has the admin's key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from gateway.accounts import Account
from gateway.api import admin_examples, examples
from gateway.api.state import state_of
from gateway.api.stored import ask_store, database_of
from gateway.auth import auth_of
from gateway.cache.counters import Counters
from gateway.cache.tickets import EVERYTHING, model_space
from gateway.errors import BadRequest, ModelNotFound
from gateway.store import keys

router = APIRouter(prefix="/v1/gradus/admin", tags=["admin"], responses=admin_examples.ERRORS)

_FILTERS = ("key", "team", "model")


class Kept(BaseModel):
    """``hit_rate`` is of the requests that were looked up; ``null`` before the first."""

    object: Literal["gradus.cache"] = "gradus.cache"
    hit_rate: float | None
    hits: int
    shared: int
    misses: int
    bypasses: int
    kept: int
    refused: int
    lost: int
    bytes_kept: int
    bytes_read: int
    redis_failures: int
    candidates_reused: int


_KEPT_EXAMPLE: Final = {
    "object": "gradus.cache",
    "hit_rate": 0.25,
    **asdict(Counters(hits=20, shared=5, misses=75, kept=70, refused=5)),
}


@router.get(
    "/cache",
    summary="Say how often the cache helped",
    response_model=Kept,
    responses=examples.answer(_KEPT_EXAMPLE),
)
async def describe_cache(request: Request) -> Kept:
    """Of this gateway process, since it read its configuration. docs/observability.md: all as metrics."""
    auth_of(request).check_admin(request)
    counted = state_of(request).cache.counters
    found = counted.hits + counted.shared
    looked_up = found + counted.misses
    return Kept(hit_rate=found / looked_up if looked_up else None, **asdict(counted))


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
