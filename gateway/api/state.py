"""What the endpoints share: made by :func:`gateway.app.create_app`, kept on the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from gateway.dispatch import Dispatcher
from gateway.records import Records
from gateway.service import Service
from gateway.upstreams import Upstreams
from router.config import Config
from router.drift import DriftMonitor


@dataclass(frozen=True, slots=True)
class GatewayState:
    """``warnings`` are what was amiss when the gateway started; ``drift`` watches what is forecast."""

    config: Config
    service: Service
    dispatcher: Dispatcher
    upstreams: Upstreams
    started_unix_s: int
    warnings: tuple[str, ...]
    records: Records
    drift: DriftMonitor | None

    @property
    def max_body_bytes(self) -> int:
        return self.config.server.max_body_bytes


def state_of(request: Request) -> GatewayState:
    return cast(GatewayState, request.app.state.gateway)
