"""Our counters show what those of prometheus_client would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.counts import Counts, Spread

BOUNDS = (0.0005, 0.1, 1, 2.5)


def values(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(registry).decode()
    return {
        (each.name, tuple(sorted((name, _number(value)) for name, value in each.labels.items()))): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if not each.name.endswith("_created")
    }


def _number(text: str) -> str:
    try:
        return str(float(text))
    except ValueError:
        return text


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0, 0.0005, 0.0006, 0.1, 1, 2, 2.5, 3, 99])))
)
def test_a_histogram_has_the_same_buckets_and_sums(seen: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    spread = Spread("took", "What it took", "stage", bounds=BOUNDS, registry=ours)
    histogram = Histogram("took", "What it took", ("stage",), buckets=BOUNDS, registry=theirs)
    for label, value in seen:
        spread.add(value, label)
        histogram.labels(label).observe(value)

    assert values(ours) == pytest.approx(values(theirs))


def test_a_counter_has_the_same_name_and_labels() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("spent", "USD", "model", "kind", registry=ours)
    counter = Counter("spent", "USD", ("model", "kind"), registry=theirs)
    for model, amount in (("a", 1), ("b", 0.5), ("a", 2)):
        counts.add(model, "x", amount=amount)
        counter.labels(model, "x").inc(amount)

    assert values(ours) == values(theirs)


def test_a_counter_without_labels_is_there_before_it_counts() -> None:
    registry = CollectorRegistry()
    Counts("lost", "Records", registry=registry)

    assert values(registry) == {("lost_total", ()): 0}
