"""``GET /metrics``: Prometheus's text, of this process."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.state import state_of
from gateway.auth import auth_of
from gateway.errors import GatewayError
from gateway.telemetry.scraping import exposition

router = APIRouter(tags=["health"])


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Of this gateway process: each has its own. `telemetry.metrics` says who may read them."""
    state = state_of(request)
    config = state.config
    readers = config.telemetry.metrics or ("admin" if config.server.auth == "keys" else "open")
    if readers == "none":
        raise GatewayError("Metrics are off (telemetry.metrics).", code="not_found")
    if readers == "admin":
        auth_of(request).check_admin(request)
    return Response(await exposition(state), headers={"content-type": CONTENT_TYPE_LATEST})
