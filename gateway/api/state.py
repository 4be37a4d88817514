"""What the endpoints share: made by :mod:`gateway.lifecycle`, kept on the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from gateway.cache.answers import AnswerCache
from gateway.caller import Caller
from gateway.dispatch import Dispatcher
from gateway.ledger.ledger import Ledger
from gateway.passthrough import Passthrough
from gateway.predictions import Predictions
from gateway.records import Records
from gateway.replies import Reply
from gateway.service import Service
from gateway.settling import Cashier
from gateway.upstreams import Upstreams
from router.config import Config
from router.drift import DriftMonitor


@dataclass(frozen=True, slots=True)
class GatewayState:
    """``warnings`` are what was amiss when the gateway started; ``drift`` watches what is forecast."""

    config: Config
    service: Service
    passthrough: Passthrough
    dispatcher: Dispatcher
    upstreams: Upstreams
    cache: AnswerCache
    cashier: Cashier
    ledger: Ledger
    started_unix_s: int
    warnings: tuple[str, ...]
    records: Records
    drift: DriftMonitor | None
    predictions: Predictions = field(default_factory=Predictions)

    def answered(self, caller: Caller, reply: Reply) -> None:
        """Keep what is to be learnt from later."""
        self.records.write(caller.request_id, reply.done)
        self.predictions.remember(caller, reply.done)

    async def close(self) -> None:
        """Hear the last of jobs that were given up, and let go of servers and cache."""
        await self.cashier.stop()
        await self.upstreams.close()
        await self.cache.stop()

    @property
    def max_body_bytes(self) -> int:
        return self.config.server.max_body_bytes


def state_of(request: Request) -> GatewayState:
    return cast(GatewayState, request.app.state.gateway)
