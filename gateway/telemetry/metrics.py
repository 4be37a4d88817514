"""What is counted while requests are answered. Numbers that something keeps anyway are asked for when
somebody looks (:mod:`gateway.telemetry.scraping`).

Labels come from the configuration and from the code alone (names of models, policies, error codes), so there
are only so many, whatever clients send. Each gateway process counts by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.error_table import TABLE
from gateway.telemetry.counts import Counts, Spread
from router.tracing import span
from router.types import Decision

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_SECONDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120,
)
_SHARES: Final = tuple(each / 10 for each in range(1, 11))


_counter = partial(Counts, registry=REGISTRY)
_seconds = partial(Spread, bounds=_SECONDS, registry=REGISTRY)

_stages = _seconds(
    "gradus_stage_seconds", "Where the time of requests goes; total is of those that were answered", "stage"
)
_http = _counter("gradus_http_requests", "Responses, by error code", "endpoint", "status", "code")
_requests = _counter(
    "gradus_requests",
    "Requests that got as far as a reservation, as they ended",
    *("policy", "route", "model", "status", "error"),
)
_strategies = _counter("gradus_strategies", "Answers, by the search that led there", "strategy")
_bins = _counter("gradus_difficulty", "Probed requests, by difficulty bin", "bin")
_p_right = Spread(
    "gradus_predicted_p_right",
    "P(right) of one answer of the small model, by the prompt alone",
    bounds=_SHARES,
    registry=REGISTRY,
)
_calls = _counter("gradus_calls", "Samples, judgements and calls of servers", "purpose", "model")
_tokens = _counter("gradus_tokens", "Tokens; prompt includes cached_prompt", "purpose", "model", "kind")
_usd = _counter("gradus_cost_usd", "What is known of the cost", "purpose", "model")
_unpriced = _counter("gradus_unknown_cost", "Lines of bills whose cost is unknown", "purpose", "model")
_billed = _counter("gradus_billed_usd", "What budgets were charged", "estimated")
_upstream = _counter(
    "gradus_upstream_calls", "Calls of servers, as they ended", "model", "deployment", "outcome"
)
_upstream_seconds = _seconds("gradus_upstream_seconds", "How long servers took", "model")
_retries = _counter("gradus_upstream_retries", "Calls of servers after one that failed", "model")
_feedback = _counter("gradus_feedback", "What users said of answers", "right")
_records_lost = _counter("gradus_records_lost", "Outcome records that could not be written")


class stage:
    """Around a ``with`` block: its time is counted as this stage's, and it is a span of the trace."""

    __slots__ = ("_began_s", "_name", "_span")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._span = span(self._name)
        self._span.__enter__()
        self._began_s = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stages.add(time.perf_counter() - self._began_s, self._name)
        self._span.__exit__(kind, error, trace)


def responded(endpoint: str, status: int, code: str) -> None:
    """``code`` is the error's, else empty."""
    _http.add(endpoint, str(status), known_code(code))


def ended(entry: Entry) -> None:
    """A request is over, and this is what it is billed."""
    route = "cache" if entry.cached else entry.route or ""
    _requests.add(entry.policy or "", route, entry.answered or "", entry.status, known_code(entry.error))
    if entry.status == "answered":
        _stages.add(entry.seconds, "total")
    if entry.strategy is not None:
        _strategies.add(entry.strategy)
    if entry.billed_usd:
        _billed.add("true" if entry.estimated else "false", amount=float(entry.billed_usd))
    _consumed(entry.lines)


def decided(p_right: float | None, decision: Decision | None, stages_s: Mapping[str, float]) -> None:
    """How hard a request looked, and what the stages of its answer took."""
    if p_right is not None:
        _p_right.add(p_right)
    if decision is not None and decision.difficulty is not None:
        _bins.add(decision.difficulty.bin)
    for name, seconds in stages_s.items():
        _stages.add(seconds, name)


def called(model: str, deployment: str, outcome: str, seconds: float) -> None:
    """A server was asked; ``outcome``: answered, refused, failed, too_late or cancelled."""
    _upstream.add(model, deployment, outcome)
    _upstream_seconds.add(seconds, model)


def retried(model: str) -> None:
    _retries.add(model)


def judged(right: float) -> None:
    _feedback.add("true" if right == 1 else "false" if right == 0 else "partly")


def record_lost() -> None:
    _records_lost.add()


def known_code(code: str | None) -> str:
    """A code of our own table; those of servers are theirs to choose, and count as one."""
    return "" if not code else code if code in TABLE else "other"


def _consumed(lines: Iterable[Usage]) -> None:
    for line in lines:
        purpose, model = line.purpose, line.model
        _calls.add(purpose, model, amount=line.calls)
        for kind, tokens in (
            ("prompt", line.prompt_tokens),
            ("cached_prompt", line.cached_prompt_tokens),
            ("completion", line.completion_tokens),
            ("reasoning", line.reasoning_tokens),
        ):
            if tokens:
                _tokens.add(purpose, model, kind, amount=tokens)
        if line.cost_usd is None:
            if purpose != "cache":
                _unpriced.add(purpose, model)
        elif line.cost_usd != Decimal(0):
            _usd.add(purpose, model, amount=float(line.cost_usd))
