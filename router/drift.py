"""Has the traffic moved away from what was fitted? Three alarms, in constant memory, for every query.

Kinds of prompts and calibration are watched by betting: a gambler who starts with 1 cannot win, on average,
unless something drifted. Whoever stops when the wealth reaches 1 / level is wrong with probability at most
``level``, over *any* number of queries (Ville 1939). What is bet on:

- **familiarity** (a conformal test martingale: Vovk, Nouretdinov and Gammerman, ICML 2003; Vovk et al. 2021,
  "Retrain or not retrain"): that p-values of prompts are uniform. A calibration set that stays the same gives
  p-values that are not independent, and would raise a false alarm some day; so live prompts join it. Prompts
  fall into the gaps between n calibration scores like balls into a Polya urn of n + 1 colours, hence the
  smoothed rank of each among all before it is exactly uniform and independent while they are exchangeable.
- **calibration**: that answers are right as often as predicted, within ``TOLERANCE``, whatever was asked.

The stakes are handed out a little at every query (1 / t(t+1) at the t-th: 1 in all), so that a drift after a
million queries is seen nearly as fast as one on the first day (Shin, Ramdas and Rinaldo 2022: e-detectors).

- **difficulty**, the predicted P(right) of the small model, is compared with the fit's by the population
  stability index over its deciles, sum of (live - fitted) log(live / fitted); .25 is the usual "has shifted".
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DriftKind = Literal["familiarity", "difficulty", "calibration"]

TOLERANCE = 0.05
"""How far a predicted P(right) may be off, on average, before that counts as drift of calibration."""

_BETS = (
    (0.0, 0.01, 0.1),
    (0.0, 0.03, 0.1),
    (0.0, 0.1, 0.2),
    (0.0, 0.5, 0.4),
    (0.25, 0.75, 0.4),
    (0.5, 1.0, 0.4),
    (0.9, 1.0, 0.2),
)
"""Bets on where p-values fall: from, to, and the share of the wealth put on it."""

_ERRORS = (-0.9, -0.3, -0.1, 0.1, 0.3, 0.9)
"""Bets on right - predicted: shares of the wealth, below 0 that answers are right less often."""

_BINS = 100
_DECILES = 10
_SHIFTED = 0.25
_MEMORY = 2000
_MIN_COUNT = 200
_LOOK_EVERY = 50
_REMEDY = "fit anew on recent outcomes (gradus fit)"


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """``since`` counts queries (feedback for "calibration") from the start to the likely change."""

    kind: DriftKind
    since: int
    message: str


@dataclass(frozen=True, slots=True)
class DriftStatus:
    """What was seen. ``familiarity_wealth`` and ``calibration_wealth`` alarm at 1 / level.

    ``stability_index`` is ``None`` until ``difficulty`` has been seen often enough.
    """

    queries: int
    feedback: int
    familiarity_wealth: float
    calibration_wealth: float
    stability_index: float | None
    alarms: tuple[DriftAlarm, ...]


class Wealth:
    """A gambler's, with several ways to bet. ``total`` starts at 1; ``count`` outcomes were bet on.

    Plain numbers: of so few ways numpy would take several times as long, and this is done for every query.
    """

    def __init__(self, ways: int) -> None:
        self.count = 0
        self._bets, self._gains, self._lowest = ([0.0] * ways for _ in range(3))
        self._lowest_at = [0] * ways

    @property
    def total(self) -> float:
        return sum(self._bets) + 1 / (self.count + 1)

    @property
    def best(self) -> int:
        """The way that won most."""
        return self._bets.index(max(self._bets))

    @property
    def since(self) -> int:
        """After how many outcomes the product of the best way's factors was at its lowest."""
        return self._lowest_at[self.best]

    def bet(self, factors: Sequence[float]) -> None:
        """Multiply each bet by its factor [K]: at least 0, on average at most 1 unless something drifted."""
        self.count += 1
        stake = 1 / (self.count * (self.count + 1) * len(factors))
        for way, factor in enumerate(factors):
            self._bets[way] = (self._bets[way] + stake) * factor
            self._gains[way] += math.log(max(factor, 1e-12))
            if self._gains[way] < self._lowest[way]:
                self._lowest[way] = self._gains[way]
                self._lowest_at[way] = self.count


class DriftMonitor:
    """Watches one predictor's live traffic; nothing is kept but counts.

    ``familiar`` is how many rows the familiarities were calibrated on (n of :class:`router.unseen.Unseen`);
    ``fitted_right`` [M] are the small model's P(right) for prompts of the fitted traffic, predicted out of
    sample. Alarms of familiarity and calibration stay until a new monitor is made, that is, after a new fit.
    """

    def __init__(self, familiar: int, fitted_right: Floats, *, level: float = 0.001, seed: int = 0) -> None:
        self._enough = 1 / level
        self._random = random.Random(seed)
        self._queries = 0
        # Familiarity i / (n + 1), i = 1 .. n + 1, says into which of n + 1 gaps a score fell.
        self._gaps = familiar + 1
        self._bins = min(_BINS, self._gaps)
        self._urn: list[int] = np.bincount(np.arange(self._gaps) * self._bins // self._gaps).tolist()
        self._familiarity = Wealth(len(_BETS))
        self._calibration = Wealth(len(_ERRORS))
        self._edges: list[float] = np.unique(
            np.quantile(fitted_right, np.arange(1, _DECILES) / _DECILES)
        ).tolist()
        deciles = [bisect_right(self._edges, each) for each in fitted_right.tolist()]
        self._fitted = np.bincount(deciles, minlength=len(self._edges) + 1)
        self._fitted_mean = float(np.mean(fitted_right))
        self._live = [0.0] * len(self._fitted)
        self._live_sum = 0.0
        self._shifted_since: int | None = None

    def observe(self, familiarity: float, p_right: float) -> None:
        """A query was forecast: its familiarity, and P(right) of the small model."""
        self._queries += 1
        if self._familiarity.total < self._enough:
            rank = self._rank(familiarity)
            self._familiarity.bet(
                [1 - stake + (start < rank <= end) * (stake / (end - start)) for start, end, stake in _BETS]
            )
        if sum(self._live) >= _MEMORY:
            self._live = [count / 2 for count in self._live]
            self._live_sum /= 2
        self._live[bisect_right(self._edges, p_right)] += 1
        self._live_sum += p_right
        if self._queries % _LOOK_EVERY == 0:
            if self._shift() < _SHIFTED:
                self._shifted_since = None
            elif self._shifted_since is None:
                self._shifted_since = self._queries

    def feedback(self, p_right: float, right: float) -> None:
        """An answer predicted right with ``p_right`` turned out right (1), wrong (0) or in between."""
        if self._calibration.total < self._enough:
            self._calibration.bet(
                [1 + share * (right - p_right) - abs(share) * TOLERANCE for share in _ERRORS]
            )

    def status(self) -> DriftStatus:
        return DriftStatus(
            queries=self._queries,
            feedback=self._calibration.count,
            familiarity_wealth=self._familiarity.total,
            calibration_wealth=self._calibration.total,
            stability_index=self._stability_index() if sum(self._live) >= _MIN_COUNT else None,
            alarms=tuple(self._alarms()),
        )

    def _alarms(self) -> Iterator[DriftAlarm]:
        if self._familiarity.total >= self._enough:
            strange = _BETS[self._familiarity.best][1] <= 0.5
            what = (
                "more prompts are unlike the fitted ones"
                if strange
                else "prompts are more alike than the fitted ones"
            )
            since = self._familiarity.since
            yield DriftAlarm("familiarity", since, f"{what} since about query {since}: {_REMEDY}")
        if self._shifted_since is not None:
            mean = self._live_sum / sum(self._live)
            what = f"questions look {'harder' if mean < self._fitted_mean else 'easier'} for the small model"
            change = f"P(right) {mean:.2f} on average, {self._fitted_mean:.2f} when fitted"
            since = self._shifted_since
            yield DriftAlarm("difficulty", since, f"{what} ({change}), seen at query {since}: {_REMEDY}")
        if self._calibration.total >= self._enough:
            rarely = _ERRORS[self._calibration.best] < 0
            since = self._calibration.since
            what = f"answers are right {'less' if rarely else 'more'} often than predicted"
            yield DriftAlarm("calibration", since, f"{what} since about feedback {since}: {_REMEDY}")

    def _rank(self, familiarity: float) -> float:
        """The smoothed conformal p-value of a query among the calibration rows and the queries before it."""
        gap = min(max(round(familiarity * self._gaps), 1), self._gaps) - 1
        place = gap * self._bins // self._gaps
        stranger = sum(self._urn[:place]) + self._random.random() * self._urn[place]
        rank = stranger / sum(self._urn)
        self._urn[place] += 1
        return rank

    def _stability_index(self) -> float:
        live, fitted = np.array(self._live) + 0.5, self._fitted + 0.5
        live, fitted = live / live.sum(), fitted / fitted.sum()
        return float(np.sum((live - fitted) * np.log(live / fitted)))

    def _shift(self) -> float:
        """The stability index less what chance alone gives: (deciles - 1)(1 / live + 1 / fitted)."""
        count = sum(self._live)
        if count < _MIN_COUNT:
            return 0.0
        return self._stability_index() - (len(self._live) - 1) * float(1 / count + 1 / self._fitted.sum())
