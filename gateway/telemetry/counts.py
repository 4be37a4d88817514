"""Counters and histograms for one event loop: plain numbers, which prometheus_client shows.

Its own metrics are for many threads: a lock each time they count, a microsecond or more of every one of the
dozens of things that are counted of a request. Here it is a dictionary (docs/observability.md: numbers).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Counts(Collector):
    """A counter, by labels."""

    def __init__(self, name: str, what: str, *labels: str, registry: CollectorRegistry) -> None:
        self._name, self._what, self._labels = name, what, labels
        self._values: defaultdict[tuple[str, ...], float] = defaultdict(float)
        if not labels:
            self._values[()] = 0
        registry.register(self)

    def add(self, *labels: str, amount: float = 1) -> None:
        self._values[labels] += amount

    def describe(self) -> list[Metric]:
        return [CounterMetricFamily(self._name, self._what, labels=self._labels)]

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._what, labels=self._labels)
        for labels, value in list(self._values.items()):
            family.add_metric(labels, value)
        yield family


class Spread(Collector):
    """A histogram, by at most one label; ``bounds`` are the upper ones of its buckets, rising."""

    def __init__(
        self, name: str, what: str, *labels: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._what, self._labels, self._bounds = name, what, labels, bounds
        self._counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(bounds) + 1))
        self._sums: defaultdict[str, float] = defaultdict(float)
        registry.register(self)

    def add(self, value: float, label: str = "") -> None:
        self._counts[label][bisect_left(self._bounds, value)] += 1
        self._sums[label] += value

    def describe(self) -> list[Metric]:
        return [HistogramMetricFamily(self._name, self._what, labels=self._labels)]

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._what, labels=self._labels)
        for label, counts in list(self._counts.items()):
            buckets, so_far = [], 0
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                so_far += count
                buckets.append((bound, float(so_far)))
            family.add_metric([label] if self._labels else [], buckets, self._sums[label])
        yield family
