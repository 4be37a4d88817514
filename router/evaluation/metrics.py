"""How well scores tell which questions need the strong model, and how well probabilities are calibrated.

APGR and CPT are computed as RouteLLM's evaluation does (Ong et al. 2024, 2406.18665; its
``routellm/evals/evaluate.py``): the strong model is called at eleven thresholds, the edges of ten
equal-count bins of the scores, and quality is joined by straight lines over the share of strong calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BINS = 10
# As pandas.qcut has them: by way of percent, which is not always the same last bit.
_QUANTILES: Floats = np.linspace(0, 1, _BINS + 1) * 100 / 100


@dataclass(frozen=True, slots=True)
class CallCurve:
    """Quality over the share of calls to the strong model.

    ``strong_share`` [11] rises from 0 to 1, ``quality`` [11] is the mean of what was routed so; ``weak`` and
    ``strong`` are the means of always calling one of the two.
    """

    strong_share: Floats
    quality: Floats
    weak: float
    strong: float

    def auc(self) -> float:
        """The area below the curve: mean quality over all shares."""
        return float(np.trapezoid(self.quality, self.strong_share))

    def apgr(self) -> float:
        """Average performance gap recovered: of the area between always weak and always strong.

        Scores that say nothing get 0.5; more than 1 can be had where mixing beats the strong model. NaN
        where both are equally good.
        """
        gap = self.strong - self.weak
        return (self.auc() - self.weak) / gap if gap else float("nan")

    def cpt(self, recovered: float) -> float:
        """Call-performance threshold: the share of strong calls, 0 to 1, that recovers so much of the gap.

        By :func:`numpy.interp`, which presumes that quality rises; of a curve that dips the value is what
        that function gives, as in RouteLLM. NaN where both are equally good.
        """
        if self.strong == self.weak:
            return float("nan")
        wanted = self.weak + recovered * (self.strong - self.weak)
        return float(np.interp(wanted, self.quality, self.strong_share))


class Ranking:
    """N questions in the order of their scores: what a curve needs, sorted once for many resamples.

    ``scores`` [N] are high where the strong model should be called; ``weak`` and ``strong`` [N] are the
    qualities of both on any scale. Raises :class:`ValueError` where something is unknown.
    """

    __slots__ = ("_gain", "_order", "_scores", "_weak")

    def __init__(self, scores: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> None:
        columns = [np.asarray(each, dtype=np.float64) for each in (scores, weak, strong)]
        if len({each.shape for each in columns}) > 1 or columns[0].ndim != 1 or not columns[0].size:
            raise ValueError(f"one number a question is wanted, not {[each.shape for each in columns]}")
        if not all(np.isfinite(each).all() for each in columns):
            raise ValueError(
                "scores and qualities must all be known: leave out the questions where one is not"
            )
        self._order = np.argsort(columns[0], kind="stable")
        self._scores, self._weak, strong_sorted = (each[self._order] for each in columns)
        self._gain = strong_sorted - self._weak

    def curve(self, weights: ArrayLike | None = None) -> CallCurve:
        """The curve of the questions, each as often as ``weights`` [N] (whole numbers) says; once by default.

        Thresholds are quantiles of the questions so weighted, ties between edges are kept: points that fall
        together change no area.
        """
        counts = np.ones(len(self._order)) if weights is None else np.asarray(weights, float)[self._order]
        seen = np.cumsum(counts)
        total = seen[-1]
        thresholds = self._edges(seen, total)
        cut = np.searchsorted(self._scores, thresholds, side="left")
        cut[-1] = np.searchsorted(self._scores, thresholds[-1], side="right")
        gained = np.cumsum(counts * self._gain)
        weak = float(counts @ self._weak / total)
        below = np.maximum(cut - 1, 0)
        share = np.where(cut > 0, 1 - seen[below] / total, 1.0)
        gain = (gained[-1] - np.where(cut > 0, gained[below], 0.0)) / total
        return CallCurve(share[::-1], weak + gain[::-1], weak, weak + float(gained[-1] / total))

    def _edges(self, seen: Floats, total: float) -> Floats:
        """Quantiles, between two neighbours on a straight line, of scores that are repeated by weight."""
        place = (total - 1) * _QUANTILES
        lower = np.floor(place)
        part = place - lower
        low = self._scores[np.searchsorted(seen, lower, side="right")]
        high = self._scores[np.searchsorted(seen, np.minimum(lower + 1, total - 1), side="right")]
        # From the nearer end, as numpy does, so that a quantile that falls on a score is that score.
        edges: Floats = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))
        return edges


def call_curve(scores: ArrayLike, weak: ArrayLike, strong: ArrayLike) -> CallCurve:
    """The curve of N questions; see :class:`Ranking` and :class:`CallCurve`."""
    return Ranking(scores, weak, strong).curve()


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often predictions came true, by bins of equal width: what a reliability plot shows.

    ``predicted`` and ``observed`` [B] are the means of the bins that hold anything, ``count`` [B] how many
    predictions each holds.
    """

    predicted: Floats
    observed: Floats
    count: NDArray[np.int64]

    def ece(self) -> float:
        """Expected calibration error (Naeini et al. 2015): the mean gap between said and seen."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.count))


def reliability(predicted: ArrayLike, right: ArrayLike, bins: int = 10) -> Reliability:
    """Of probabilities [...] and what came true [...] (0 to 1); pairs with a NaN are left out."""
    said, seen = _known(predicted, right)
    place = np.clip((said * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    held = count > 0
    means = [np.bincount(place, each, minlength=bins)[held] / count[held] for each in (said, seen)]
    return Reliability(means[0], means[1], count[held])


def brier(predicted: ArrayLike, right: ArrayLike) -> float:
    """The mean squared error of probabilities; pairs with a NaN are left out."""
    said, seen = _known(predicted, right)
    return float(np.mean((said - seen) ** 2))


def _known(predicted: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    said, seen = np.asarray(predicted, float), np.asarray(right, float)
    known = np.isfinite(said) & np.isfinite(seen)
    return said[known], seen[known]
