"""What ``/metrics`` asks of the parts of a gateway when somebody looks: they keep these numbers anyway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.state import GatewayState
from gateway.cache.counters import Counters
from gateway.errors import QueueUnavailable
from gateway.ledger.channel import State
from gateway.ledger.numbers import Numbers
from gateway.telemetry.metrics import REGISTRY
from router.drift import DriftStatus

DRIFTS: Final = ("familiarity", "difficulty", "calibration")


async def exposition(state: GatewayState) -> bytes:
    """All metrics, in Prometheus's text format."""
    asked = CollectorRegistry(auto_describe=False)
    asked.register(_Asked([*await _queue(state), *_kept(state)]))
    return generate_latest(REGISTRY) + generate_latest(asked)


class _Asked(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


async def _queue(state: GatewayState) -> list[Metric]:
    """Without Redis nobody knows how long the queue is: then only that is said."""
    try:
        queued, workers = await state.dispatcher.queued(), await state.dispatcher.workers()
    except QueueUnavailable:
        return [_gauge("gradus_redis_up", "Whether Redis answers", 0)]
    models = GaugeMetricFamily("gradus_model_workers", "Live workers that run a model", labels=["model"])
    for name in state.config.of_workers():
        models.add_metric([name], sum(name in worker.get("models", ()) for worker in workers))
    return [
        _gauge("gradus_redis_up", "Whether Redis answers", 1),
        _gauge("gradus_queue_jobs", "Jobs that wait for a worker", queued),
        _gauge("gradus_workers", "Live workers", len(workers)),
        models,
    ]


def _kept(state: GatewayState) -> Iterator[Metric]:
    yield _gauge("gradus_start_unix_seconds", "When this gateway started", state.started_unix_s)
    yield from _cache(state.cache.counters)
    yield from _ledger(state.ledger.numbers())
    if state.drift is not None:
        yield from _drift(state.drift.status())
    resting = GaugeMetricFamily(
        "gradus_upstream_resting",
        "Whether a deployment is left alone after failures",
        labels=["model", "deployment"],
    )
    for (model, deployment), rests in state.upstreams.resting().items():
        resting.add_metric([model, deployment], int(rests))
    yield resting


def _cache(counted: Counters) -> Iterator[Metric]:
    statuses = {
        "hit": counted.hits,
        "shared": counted.shared,
        "miss": counted.misses,
        "bypass": counted.bypasses,
    }
    fates = {"kept": counted.kept, "refused": counted.refused, "lost": counted.lost}
    yield _counters("gradus_cache_requests", "Requests, by what the cache did", "status", statuses)
    yield _counters("gradus_cache_answers", "Answers, by whether they were kept", "fate", fates)
    sizes = {"kept": counted.bytes_kept, "read": counted.bytes_read}
    yield _counters("gradus_cache_bytes", "Bytes of answers", "direction", sizes)
    yield CounterMetricFamily(
        "gradus_cache_redis_failures", "When Redis was away", value=counted.redis_failures
    )
    yield CounterMetricFamily(
        "gradus_cache_candidates_reused",
        "Samples that were not drawn again",
        value=counted.candidates_reused,
    )


def _ledger(numbers: Numbers) -> Iterator[Metric]:
    states = GaugeMetricFamily("gradus_ledger_state", "1 at the state it is in", labels=["state"])
    for each in get_args(State):
        states.add_metric([each], int(each == numbers.state))
    yield states
    yield _gauge("gradus_ledger_open_reservations", "Requests under way", numbers.open)
    yield _gauge("gradus_ledger_unjournaled", "Entries not in the database yet", numbers.unjournaled)
    yield _gauge("gradus_ledger_spool_bytes", "Of the file on this machine's disk", numbers.spool_bytes)
    yield _gauge("gradus_ledger_untold", "Settlements that Redis has not heard of", numbers.untold)
    yield _gauge("gradus_ledger_journal_up", "Whether the database takes entries", int(numbers.journal_is_up))
    for name, what, value in (
        ("overruns", "Requests that cost more than was reserved", numbers.overruns),
        ("overrun_usd", "By how much, in all", float(numbers.overrun_usd)),
        ("lost", "Requests of dead gateways, billed what they reserved", numbers.lost),
        ("rebuilds", "Times that the counters in Redis were made anew", numbers.rebuilds),
    ):
        yield CounterMetricFamily(f"gradus_ledger_{name}", what, value=value)


def _drift(status: DriftStatus) -> Iterator[Metric]:
    yield CounterMetricFamily("gradus_drift_queries", "Prompts that were watched", value=status.queries)
    yield CounterMetricFamily(
        "gradus_drift_feedback", "Feedback that calibration was watched by", value=status.feedback
    )
    yield _gauge("gradus_drift_familiarity_wealth", "Alarms at 1000", status.familiarity_wealth)
    yield _gauge("gradus_drift_calibration_wealth", "Alarms at 1000", status.calibration_wealth)
    if status.stability_index is not None:
        yield _gauge("gradus_drift_stability_index", "Of difficulty; 0.25: shifted", status.stability_index)
    alarms = GaugeMetricFamily("gradus_drift_alarm", "1: has drifted", labels=["kind"])
    raised = {alarm.kind for alarm in status.alarms}
    for kind in DRIFTS:
        alarms.add_metric([kind], int(kind in raised))
    yield alarms


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _counters(name: str, what: str, label: str, values: dict[str, Any]) -> Metric:
    family = CounterMetricFamily(name, what, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
