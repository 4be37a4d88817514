"""``GET /metrics``: Prometheus's text, of this process."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from gateway.api import admin_examples
from gateway.api.examples import error
from gateway.api.state import state_of
from gateway.auth import auth_of
from gateway.errors import GatewayError
from gateway.telemetry.scraping import exposition

EXAMPLE: Final = """# HELP gradus_http_requests_total Responses, by error code
# TYPE gradus_http_requests_total counter
gradus_http_requests_total{endpoint="/v1/chat/completions",status="200",code=""} 37.0
"""

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}}},
        **{status: admin_examples.ERRORS[status] for status in (401, 403, 503)},
        404: error(
            "They are off", "invalid_request_error", "not_found", "Metrics are off (telemetry.metrics)."
        ),
    },
)
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
