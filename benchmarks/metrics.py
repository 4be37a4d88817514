"""What the metrics of one request cost: python -m benchmarks.metrics"""

from __future__ import annotations

import timeit
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.telemetry import metrics

REPEATS = 5
REQUESTS = 20_000
USD = Decimal("0.0004")

DIRECT = (Usage("direct", "large", 1, 20, 200, cost_usd=USD),)
SEARCH = (
    Usage("probe", "small", 4, 20, 200, cost_usd=USD),
    Usage("verifier", "prm", 4, 300, cost_usd=USD),
    Usage("candidate", "small", 4, 20, 180, cost_usd=USD),
)


def request(lines: Sequence[Usage], stages_s: dict[str, float]) -> None:
    """Everything that is counted of a request that was answered."""
    for name in ("plan", "cache", "reserve"):
        with metrics.stage(name):
            pass
    if len(lines) == 1:
        metrics.called("large", "host/large", "answered", 0.2)
    metrics.decided(0.7, None, stages_s)
    at = datetime.now(UTC)
    entry = Entry("x", at, "answered", USD, tuple(lines), route="small", answered="small", strategy="direct")
    metrics.ended(entry)
    metrics.responded("/v1/chat/completions", 200, "")


def main() -> None:
    cases = {
        "an answer of a server": (DIRECT, {"direct": 0.2}),
        "a probe and a search": (SEARCH, {"queue": 0.0, "probe": 0.1, "search": 0.1}),
    }
    for name, (lines, stages_s) in cases.items():

        def once(lines: Sequence[Usage] = lines, stages_s: dict[str, float] = stages_s) -> None:
            request(lines, stages_s)

        best_s = min(timeit.repeat(once, number=REQUESTS, repeat=REPEATS)) / REQUESTS
        print(f"{name}: {best_s * 1e6:.1f} us")


if __name__ == "__main__":
    main()
