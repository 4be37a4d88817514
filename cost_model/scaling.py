"""How coverage (at least one right among k samples) grows with k: the estimator, two laws, intervals.

Both laws are fitted by least squares over the k that are given, usually powers of two. The intervals are
percentiles of a bootstrap over questions: each resample weighs the questions anew and is fitted anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, exp, isfinite, log, log2, prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SEED = 0


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Probability that at least one of ``k`` samples is right, from ``right`` among ``samples``, unbiased.

    ``1 - C(n - c, k) / C(n, k)`` (Chen et al. 2021, section 2.1), as a product: large n are no problem.
    Raises :class:`ValueError` unless 0 <= right <= samples and 1 <= k <= samples.
    """
    if not (0 <= right <= samples and 1 <= k <= samples):
        raise ValueError(f"needs 0 <= right <= samples and 1 <= k <= samples; got {right}, {samples}, {k}")
    if samples - right < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(samples - right + 1, samples + 1))


def coverage(samples: int, right: Sequence[int], ks: Sequence[int]) -> Floats:
    """pass@k, (questions, ks), of questions of which each had so many ``right`` among ``samples``."""
    return np.array([[pass_at_k(samples, each, k) for k in ks] for each in right])


class Law(Protocol):
    """A fitted curve of coverage."""

    def at(self, k: float) -> float:
        """The coverage that it says of k samples, from 0 to 1."""

    def samples_needed(self, accuracy: float) -> int | None:
        """The fewest samples at which it says ``accuracy``; ``None`` where it never does."""


@dataclass(frozen=True, slots=True)
class LogLinear:
    """``start + per_doubling * log2 k``: of ``ln k`` the slope is ``per_doubling / ln 2``.

    A line through what was measured; beyond 0 and 1 it is cut off.
    """

    start: float
    per_doubling: float

    def at(self, k: float) -> float:
        return min(1.0, max(0.0, self.start + self.per_doubling * log2(k)))

    def samples_needed(self, accuracy: float) -> int | None:
        _check(accuracy)
        if self.start >= accuracy:
            return 1
        doublings = (accuracy - self.start) / self.per_doubling if self.per_doubling > 0 else np.inf
        return _whole(doublings)


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """``exp(a k^b)``, a < 0 and, where samples help, b < 0 (Brown et al. 2024, 2407.21787, section 3.1)."""

    a: float
    b: float

    def at(self, k: float) -> float:
        return exp(self.a * k**self.b)

    def samples_needed(self, accuracy: float) -> int | None:
        _check(accuracy)
        if self.at(1) >= accuracy:
            return 1
        if self.b >= 0 or accuracy == 1:
            return None
        return _whole(log2(log(accuracy) / self.a) / self.b)


def fit_log_linear(ks: Sequence[float], covered: Floats) -> LogLinear:
    """``covered`` (ks,) is the mean coverage at each k. Raises :class:`ValueError` for fewer than two k."""
    per_doubling, start = _line(np.log2(_at_least_two(ks)), covered)
    return LogLinear(float(start), float(per_doubling))


def fit_power_law(ks: Sequence[float], covered: Floats) -> PowerLaw | None:
    """As a line through ``ln(-ln coverage)``; ``None`` where any coverage is 0 or 1, which no such law says.

    Raises :class:`ValueError` for fewer than two k.
    """
    at = _at_least_two(ks)
    if covered.min() <= 0 or covered.max() >= 1:
        return None
    b, log_a = _line(np.log(at), np.log(-np.log(covered)))
    return PowerLaw(float(-np.exp(log_a)), float(b))


@dataclass(frozen=True, slots=True)
class Interval:
    """``None`` at an end: no sample count is enough there."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A law, and the laws that resampled questions would have led to; those without one are left out."""

    law: Law
    resampled: tuple[Law, ...]

    def coverage_interval(self, k: float, confidence: float = 0.95) -> Interval:
        """Of the coverage at k samples."""
        return self._interval(lambda law: law.at(k), confidence)

    def samples_interval(self, accuracy: float, confidence: float = 0.95) -> Interval:
        """Of the samples needed for ``accuracy``."""
        return self._interval(lambda law: law.samples_needed(accuracy), confidence)

    def _interval(self, said: Callable[[Law], float | None], confidence: float) -> Interval:
        values = [np.inf if (value := said(law)) is None else float(value) for law in self.resampled]
        if not values:
            return Interval(None, None)
        tail = (1 - confidence) / 2
        ends = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
        low, high = (float(end) if isfinite(end) else None for end in ends)
        return Interval(low, high)


def fit(
    law: Callable[[Sequence[float], Floats], Law | None],
    ks: Sequence[float],
    by_question: Floats,
    resamples: int = 1000,
) -> Fitted | None:
    """Fit ``law`` (:func:`fit_log_linear`, :func:`fit_power_law`) to coverage by question, (questions, ks).

    ``None`` where the questions as they are allow none. Deterministic: the bootstrap has a seed of its own.
    Raises :class:`ValueError` for no questions, and for coverage that is not known of each.
    """
    if not len(by_question):
        raise ValueError("a law is fitted to the coverage of questions, and there are none")
    if not np.isfinite(by_question).all():
        raise ValueError(
            "coverage must be known of every question at each k: leave out those where it is not"
        )
    found = law(ks, by_question.mean(axis=0))
    if found is None:
        return None
    questions = len(by_question)
    weights = np.random.default_rng(_SEED).multinomial(
        questions, np.full(questions, 1 / questions), size=resamples
    )
    means = weights @ by_question / questions
    resampled = (law(ks, mean) for mean in means)
    return Fitted(found, tuple(each for each in resampled if each is not None))


def _line(x: Floats, y: Floats) -> Floats:
    """Slope and start, by least squares."""
    return np.polyfit(x, y, 1)


def _at_least_two(ks: Sequence[float]) -> Floats:
    if len(set(ks)) < 2 or min(ks) < 1:
        raise ValueError(f"a law is fitted to at least two numbers of samples from 1 up, not to {list(ks)}")
    return np.array(ks, dtype=float)


def _check(accuracy: float) -> None:
    if not 0 < accuracy <= 1:
        raise ValueError(f"an accuracy is above 0 and at most 1, not {accuracy}")


def _whole(doublings: float) -> int | None:
    """``None`` for more samples than a float holds: nobody draws them."""
    return ceil(2**doublings - 1e-9) if doublings < 1000 else None
