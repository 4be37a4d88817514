"""How sure a number is: the percentile bootstrap over questions, the same resamples for everything.

Because every statistic sees the same resampled questions, and every search the same draws, differences are
paired. The seed is fixed: the same results give the same intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.rows import Row

Values = NDArray[np.float64]
RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic with its 95% interval; ``None`` where there is nothing to take it of."""

    value: float | None
    low: float | None
    high: float | None

    def json(self) -> dict[str, Any]:
        return asdict(self)


@cache
def resamples(questions: int, count: int = RESAMPLES) -> NDArray[np.int64]:
    """Indices of questions drawn with replacement, (count, questions): the same at every call."""
    return np.random.default_rng(0).integers(questions, size=(count, questions))


def mean_interval(values: Sequence[float] | Values) -> Interval:
    """The mean over questions; ``values`` is one number a question."""
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return Interval(None, None, None)
    means = array[resamples(len(array))].mean(axis=1)
    low, high = np.percentile(means, _PERCENTILES)
    return Interval(float(array.mean()), float(low), float(high))


def of_weightings(found: Values) -> Interval:
    """Of a statistic of many weightings: the first is of all questions as they are, the others resamples."""
    low, high = np.percentile(found[1:], _PERCENTILES)
    return Interval(float(found[0]), float(low), float(high))


def by_question(rows: Sequence[Row], value: Callable[[Row], float]) -> dict[tuple[str, int], Values]:
    """For each (way, budget) the mean of ``value`` over repeats, one number a question in their order.

    Every way and budget must have the same questions.
    """
    found: dict[tuple[str, int], dict[int, list[float]]] = {}
    for row in rows:
        found.setdefault((row.way, row.budget), {}).setdefault(row.question, []).append(value(row))
    return {
        key: np.array([float(np.mean(values)) for _, values in sorted(questions.items())])
        for key, questions in found.items()
    }


def accuracy(rows: Sequence[Row]) -> dict[tuple[str, int], Values]:
    """The share of repeats that were right, by way and budget, one number a question."""
    return by_question(rows, lambda row: float(row.right))
