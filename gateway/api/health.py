"""``/healthz``: the process lives. ``/readyz``: it could answer a request now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples
from gateway.api.state import GatewayState, state_of
from gateway.errors import QueueUnavailable
from gateway.schemas import Health, Readiness
from router.config import Config, TransformersModel

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Is the process alive?", response_model=Health)
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can requests be answered?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "content": {"application/json": {"example": examples.NOT_READY}}}},
)
async def readyz(request: Request) -> Response:
    """Ready when Redis answers and live workers run every model that the configuration runs in workers."""
    state = state_of(request)
    reasons, warnings = await _reasons(state), list(_warnings(state))
    body = {"status": "unready" if reasons else "ready", "reasons": reasons, "warnings": warnings}
    return Response(to_json(body), 503 if reasons else 200, media_type="application/json")


async def _reasons(state: GatewayState) -> list[str]:
    if not state.dispatcher.reads:
        return ["This gateway process no longer reads what workers answer; its log says why. Restart it."]
    searched = {policy.small for policy in state.config.policies.values()}
    needed = sorted(
        name
        for name, model in state.config.models.items()
        if isinstance(model, TransformersModel) or name in searched
    )
    try:
        workers = await state.dispatcher.workers()
    except QueueUnavailable as error:
        return [str(error)]
    if needed and not workers:
        return ["No worker is alive; start one with `gradus worker`."]
    return [f"No live worker runs {name}." for name in needed if not _runs(workers, name)]


def _runs(workers: Sequence[Mapping[str, Any]], model: str) -> bool:
    return any(model in worker.get("models", ()) for worker in workers)


def _warnings(state: GatewayState) -> Iterator[str]:
    for model, variable in state.upstreams.missing_keys().items():
        yield f"Model {model} cannot be asked: set its API key in {variable} and start the gateway again."
    yield from state.warnings
    if state.drift is not None:
        yield from (alarm.message for alarm in state.drift.status().alarms)
    yield from _no_large(state.config)


def _no_large(config: Config) -> Iterator[str]:
    for name, policy in config.policies.items():
        if policy.large is None:
            yield f"Policy {name} has no large model (GRADUS_LARGE_MODEL): hard queries have nowhere to go."
