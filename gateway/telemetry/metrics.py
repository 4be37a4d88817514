"""What is counted while requests are answered. Numbers that something keeps anyway are asked for when
somebody looks (:mod:`gateway.telemetry.scraping`).

Labels come from the configuration and from the code alone (names of models, policies, error codes), so there
are only so many, whatever clients send. Each gateway process counts by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from types import TracebackType
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
)

from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.errors import TABLE
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


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(name, what, labels, registry=REGISTRY)


_stage_seconds = Histogram(
    "gradus_stage_seconds",
    "Where the time of requests goes; total is of those that were answered",
    ("stage",),
    buckets=_SECONDS,
    registry=REGISTRY,
)
_http = _counter("gradus_http_requests", "Responses, by error code", "endpoint", "status", "code")
_requests = _counter(
    "gradus_requests",
    "Requests that got as far as a reservation, as they ended",
    "policy",
    "route",
    "model",
    "status",
    "error",
)
_strategies = _counter("gradus_strategies", "Answers, by the search that led there", "strategy")
_bins = _counter("gradus_difficulty", "Probed requests, by difficulty bin", "bin")
_p_right = Histogram(
    "gradus_predicted_p_right",
    "P(right) of one answer of the small model, by the prompt alone",
    buckets=_SHARES,
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
_upstream_seconds = Histogram(
    "gradus_upstream_seconds", "How long servers took", ("model",), buckets=_SECONDS, registry=REGISTRY
)
_retries = _counter("gradus_upstream_retries", "Calls of servers after one that failed", "model")
_feedback = _counter("gradus_feedback", "What users said of answers", "right")
RECORDS_LOST: Final = _counter("gradus_records_lost", "Outcome records that could not be written")


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
        _stage_of(self._name).observe(time.perf_counter() - self._began_s)
        self._span.__exit__(kind, error, trace)


def responded(endpoint: str, status: int, code: str) -> None:
    """``code`` is the error's, else empty."""
    _http_of(endpoint, status, known_code(code)).inc()


def ended(entry: Entry) -> None:
    """A request is over, and this is what it is billed."""
    _request_of(
        entry.policy or "", entry.route or "", entry.answered or "", entry.status, known_code(entry.error)
    ).inc()
    if entry.status == "answered":
        _stage_of("total").observe(entry.seconds)
    if entry.strategy is not None:
        _strategy_of(entry.strategy).inc()
    if entry.billed_usd:
        _billed_of(entry.estimated).inc(float(entry.billed_usd))
    _consumed(entry.lines)


def decided(p_right: float | None, decision: Decision | None, stages_s: Mapping[str, float]) -> None:
    """How hard a request looked, and what the stages of its answer took."""
    if p_right is not None:
        _p_right.observe(p_right)
    if decision is not None and decision.difficulty is not None:
        _bin_of(decision.difficulty.bin).inc()
    for name, seconds in stages_s.items():
        _stage_of(name).observe(seconds)


def called(model: str, deployment: str, outcome: str, seconds: float) -> None:
    """A server was asked; ``outcome``: answered, refused, failed, too_late or cancelled."""
    _upstream_of(model, deployment, outcome).inc()
    _upstream_seconds_of(model).observe(seconds)


def retried(model: str) -> None:
    _retries_of(model).inc()


def judged(right: float) -> None:
    _feedback_of("true" if right == 1 else "false" if right == 0 else "partly").inc()


def known_code(code: str | None) -> str:
    """A code of our own table; those of servers are theirs to choose, and count as one."""
    return "" if not code else code if code in TABLE else "other"


def _consumed(lines: Iterable[Usage]) -> None:
    for line in lines:
        purpose, model = line.purpose, line.model
        _calls_of(purpose, model).inc(line.calls)
        for kind, tokens in (
            ("prompt", line.prompt_tokens),
            ("cached_prompt", line.cached_prompt_tokens),
            ("completion", line.completion_tokens),
            ("reasoning", line.reasoning_tokens),
        ):
            if tokens:
                _tokens_of(purpose, model, kind).inc(tokens)
        if line.cost_usd is None:
            if purpose != "cache":
                _unpriced_of(purpose, model).inc()
        elif line.cost_usd != Decimal(0):
            _usd_of(purpose, model).inc(float(line.cost_usd))


# Looked up once for given labels: prometheus_client makes a tuple of texts and takes a lock for it.
_stage_of = cache(_stage_seconds.labels)
_http_of = cache(_http.labels)
_request_of = cache(_requests.labels)
_strategy_of = cache(_strategies.labels)
_bin_of = cache(_bins.labels)
_calls_of = cache(_calls.labels)
_tokens_of = cache(_tokens.labels)
_usd_of = cache(_usd.labels)
_unpriced_of = cache(_unpriced.labels)
_upstream_of = cache(_upstream.labels)
_upstream_seconds_of = cache(_upstream_seconds.labels)
_retries_of = cache(_retries.labels)
_feedback_of = cache(_feedback.labels)


@cache
def _billed_of(estimated: bool) -> Counter:
    return _billed.labels(str(estimated).lower())
