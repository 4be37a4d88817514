"""How sure a number is: the bootstrap over groups of questions, the same resamples for everything.

Because all statistics see the same resamples, their differences are paired. A statistic takes how often each
question was drawn [N] and gives one number; of several fold seeds it is the mean over them, so that every
seed's predictions are carried along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from router.evaluation.metrics import CallCurve, Floats, Ranking

Statistic = Callable[[Floats], float]
_PERCENTILES = (2.5, 97.5)
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic of all questions, with its 95% interval; NaN where it has no value."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether it is above 0 for all that these questions can tell."""
        return self.low > 0

    def among(self, count: int) -> Interval:
        """The same as one of ``count`` that were looked at: wider, so that luck clears none (Bonferroni).

        By the ratio of normal quantiles: a thousand resamples are too few to read such tails from.
        """
        tail = (100 - _PERCENTILES[1]) / 100
        ratio = _NORMAL.inv_cdf(1 - tail / count) / _NORMAL.inv_cdf(1 - tail)
        return Interval(
            self.value,
            self.value - ratio * (self.value - self.low),
            self.value + ratio * (self.high - self.value),
        )

    def json(self) -> dict[str, Any]:
        return {key: None if np.isnan(value) else value for key, value in asdict(self).items()}


def weightings(groups: Sequence[str], resamples: int, seed: int = 0) -> Iterator[Floats]:
    """How often each question [N] was drawn: first all once, then ``resamples`` draws of whole groups."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count = int(member.max()) + 1
    random = np.random.default_rng(seed)
    yield np.ones(len(member))
    for _ in range(resamples):
        drawn = np.bincount(random.integers(count, size=count), minlength=count)
        yield drawn[member].astype(np.float64)


def intervals(
    statistics: Callable[[Floats], Sequence[float]],
    groups: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Interval]:
    """Several statistics at once, each with its 95% percentile interval; whole groups are drawn."""
    found = np.array([statistics(weights) for weights in weightings(groups, resamples, seed)])
    return of_resamples(found)


def of_resamples(found: Floats) -> list[Interval]:
    """Of M statistics [1 + R, M]: the first row is of all questions as they are, the others resamples."""
    return [Interval(float(column[0]), *_bounds(column[1:])) for column in found.T]


def paired_difference(
    one: Statistic, other: Statistic, groups: Sequence[str], *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """How much ``one`` is above ``other`` on the same questions: a gain counts where this is clear."""
    return intervals(lambda weights: [one(weights) - other(weights)], groups, resamples=resamples, seed=seed)[
        0
    ]


def of_curves(
    scores: ArrayLike,
    weak: ArrayLike,
    strong: ArrayLike,
    values: Callable[[CallCurve], float | Sequence[float]],
) -> Callable[[Floats], Floats]:
    """Values of the call curve, the mean over S seeds; ``scores`` [S, N], qualities [N] each."""
    rankings = [Ranking(each, weak, strong) for each in np.atleast_2d(np.asarray(scores, float))]
    return lambda weights: np.mean([values(each.curve(weights)) for each in rankings], axis=0)


def apgr_of(scores: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> Statistic:
    """APGR, the mean over seeds; ``scores`` [S, N], qualities [N] each."""
    found = of_curves(scores, weak, strong, CallCurve.apgr)
    return lambda weights: float(found(weights))


def mean_of(values: ArrayLike) -> Statistic:
    """The mean over questions [N], or over seeds and questions [S, N]."""
    by_question = np.atleast_2d(np.asarray(values, float)).mean(axis=0)
    return lambda weights: float(weights @ by_question / weights.sum())


def _bounds(resampled: Floats) -> tuple[float, float]:
    # A resample in which a statistic has no value (both models equally good, say) says nothing of it.
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)
