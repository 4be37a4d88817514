"""``/healthz``: the process lives. ``/readyz``: it could answer a request now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import examples
from gateway.api.state import GatewayState, state_of
from gateway.errors import QueueUnavailable
from gateway.ledger.numbers import Numbers
from gateway.schemas import Health, Readiness
from router.config import Config, LiteLLMModel, OpenAIModel

REDIS_AWAY: Final = (
    "Redis is away: searches are off, and keys with a budget are refused, but for those that have a lease."
)
REDIS_REFUSES: Final = (
    "Redis answers and takes nothing (its memory is full, or it is a replica): searches are off, and keys "
    "with a budget are refused, but for those that have a lease."
)
STOPPING: Final = "This gateway process is being stopped: it ends what it began, and takes nothing new."

router = APIRouter(tags=["health"])


@router.get(
    "/healthz",
    summary="Is the process alive?",
    response_model=Health,
    responses=examples.answer({"status": "ok"}),
)
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can requests be answered?",
    response_model=Readiness,
    responses={
        **examples.answer({"status": "ready", "reasons": [], "warnings": []}),
        503: {"model": Readiness, "content": {"application/json": {"example": examples.NOT_READY}}},
    },
)
async def readyz(request: Request) -> Response:
    """Ready when Redis answers and live workers run every model that the configuration runs in workers.

    Without Redis models behind servers still answer: that is a warning, if there are some.
    """
    state = state_of(request)
    request.state.error_code = ""  # not to be ready is an answer, and no error
    if request.app.state.doors.stopping:
        return _said("stopping", [STOPPING], [])
    warnings = list(_warnings(state))
    try:
        reasons = await _reasons(state)
        away = REDIS_REFUSES if state.ledger.state == "redis down" else None
    except QueueUnavailable:
        away = REDIS_AWAY
    if away is not None and _has_servers(state.config):
        reasons, warnings = [], [away, *warnings]
    elif away is not None:
        reasons = [away]
    return _said("unready" if reasons else "ready", reasons, warnings)


def _has_servers(config: Config) -> bool:
    return any(isinstance(each, OpenAIModel | LiteLLMModel) for each in config.models.values())


def _said(status: str, reasons: Sequence[str], warnings: Sequence[str]) -> Response:
    body = {"status": status, "reasons": reasons, "warnings": warnings}
    return Response(to_json(body), 200 if status == "ready" else 503, media_type="application/json")


async def _reasons(state: GatewayState) -> list[str]:
    """Raises :class:`QueueUnavailable`."""
    if not state.dispatcher.reads:
        return ["This gateway process no longer reads what workers answer; its log says why. Restart it."]
    needed = state.config.of_workers()
    workers = await state.dispatcher.workers()
    if needed and not workers:
        return ["No worker is alive; start one with `gradus worker`."]
    return [f"No live worker runs {name}." for name in needed if not _runs(workers, name)]


def _runs(workers: Sequence[Mapping[str, Any]], model: str) -> bool:
    return any(model in worker.get("models", ()) for worker in workers)


def _warnings(state: GatewayState) -> Iterator[str]:
    for model, variable in state.upstreams.missing_keys().items():
        yield f"Model {model} cannot be asked: set its API key in {variable} and start the gateway again."
    yield from state.warnings
    yield from _books(state.ledger.numbers())
    if state.drift is not None:
        yield from (alarm.message for alarm in state.drift.status().alarms)
    yield from _no_large(state.config)


def _books(numbers: Numbers) -> Iterator[str]:
    if numbers.spool_fault is not None:
        yield f"Nothing can be written to {numbers.spool_fault}. Requests are refused until that is mended."
    elif not numbers.journal_is_up:
        yield (
            f"The database is away: {numbers.unjournaled} entries of the journal wait on disk; answers go "
            "on, changes of keys do not."
        )
    if numbers.forgetful:
        yield (
            "Redis drops keys when its memory is full: budgets may be forgotten. "
            "Set its maxmemory-policy to noeviction."
        )
    if numbers.state == "rebuilding":
        yield "What budgets have left is being counted anew; keys with one wait meanwhile."


def _no_large(config: Config) -> Iterator[str]:
    for name, policy in config.policies.items():
        if policy.large is None:
            yield f"Policy {name} has no large model (GRADUS_LARGE_MODEL): hard queries have nowhere to go."
