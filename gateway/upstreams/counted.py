"""Calls of servers, counted and traced."""

from __future__ import annotations

import time
from asyncio import CancelledError
from types import TracebackType

from gateway.errors import DeadlineExceeded
from gateway.telemetry.metrics import called
from gateway.upstreams.port import Refusal
from router.tracing import span


class calling:
    """While a deployment is asked, which has this name. How that ends says what is counted."""

    __slots__ = ("_began_s", "_deployment", "_model", "_span")

    def __init__(self, model: str, deployment: str) -> None:
        self._model, self._deployment = model, deployment

    def __enter__(self) -> None:
        self._began_s = time.perf_counter()
        self._span = span("upstream call", model=self._model, deployment=self._deployment)
        self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = "answered" if kind is None else _outcome(kind)
        called(self._model, self._deployment, outcome, time.perf_counter() - self._began_s)
        self._span.__exit__(kind, error, trace)


def _outcome(kind: type[BaseException]) -> str:
    if issubclass(kind, Refusal):
        return "refused"
    if issubclass(kind, DeadlineExceeded):
        return "too_late"
    return "cancelled" if issubclass(kind, CancelledError | GeneratorExit) else "failed"
