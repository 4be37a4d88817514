"""What a policy's ways to answer promise, query by query: before a probe, and after each stage of one.

From a fitted predictor (:class:`Predicted`), or from measured or assumed accuracies by difficulty bin
(:class:`Tabled`). :mod:`router.policy` weighs the two alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from router.forecast import Forecast
from router.outcome_table import Action
from router.predictor.predictor import CalibrationSplit
from router.probing import Probing, StageModel, log_odds
from router.types import Reading, Route, StrategySpec

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Source = Literal["measured", "assumed", "predicted"]

LEVELS = np.array([0.05, 0.1, 0.15, 0.25, 0.35, 0.45, 0.6, 0.7, 0.8, 0.9, 0.95])
"""Where posteriors are told apart. Those of Algorithm 6 are among them, so a level lies in one bin."""
BINS = np.array([0.15, 0.35, 0.6])
"""Snell et al. 2024, Algorithm 6."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer that a policy has; ``name`` is that of its action in outcomes."""

    name: str
    route: Route
    model: str
    spec: StrategySpec


@dataclass(frozen=True, slots=True)
class ProspectStage:
    """Once ``samples`` were seen: for N queries, K levels of the posterior and A ways.

    ``arrive`` and ``right`` are as in :class:`router.decision.Stage`, ``offered`` [1, 1 or K, A] says which
    ways a level has. ``completion_tokens`` [N, 1 or K, A] are of one answer; NaN where nobody knows.
    """

    samples: int
    arrive: Floats
    right: Floats
    offered: Bools
    completion_tokens: Floats


@dataclass(frozen=True, slots=True)
class Prospect:
    """N queries by A ways. ``right``, ``completion_tokens`` [N, A] and ``offered`` [A] hold without a probe.

    ``edges`` [K - 1] part the levels of the posterior, in probability. ``familiarity`` [N] as in
    :class:`router.forecast.Forecast`, NaN without a predictor. ``sources`` say where P(right) comes from: a
    row a level, a column a way. ``prior`` [N] are the log-odds that one answer of the small model is right;
    empty without a predictor.
    """

    ways: tuple[Way, ...]
    right: Floats
    completion_tokens: Floats
    offered: Bools
    edges: Floats
    stages: tuple[ProspectStage, ...]
    familiarity: Floats
    sources: tuple[tuple[Source, ...], ...]
    prior: Floats


class Guide(Protocol):
    """What tells the prospects of a policy's queries."""

    @property
    def ways(self) -> tuple[Way, ...]: ...

    @property
    def predicts(self) -> bool:
        """Whether it knows one query from another. Levels that end alike are then told as one."""
        ...

    def prospect(self, texts: Sequence[str]) -> Prospect: ...

    def reading(self, prospect: Prospect, stage: int) -> Reading | None:
        """How a worker reads the evidence of a stage, of one query. ``None``: the mean score."""
        ...

    def way_reading(self, prospect: Prospect, stage: int, way: int) -> Reading | None:
        """How likely a way is right, by all that was seen. ``None``: the level of the posterior says it."""
        ...


@dataclass(frozen=True, slots=True)
class Tabled:
    """The same for every query: accuracies by difficulty bin (hardest first), and how often a bin occurs."""

    ways: tuple[Way, ...]
    shares: Floats
    right: Floats
    offered: Bools
    average_offered: Bools
    completion_tokens: Floats
    sources: tuple[tuple[Source, ...], ...]
    samples: int

    @property
    def predicts(self) -> bool:
        return False

    def prospect(self, texts: Sequence[str]) -> Prospect:
        count = len(texts)
        lengths = np.nansum(self.shares[:, None] * self.completion_tokens, axis=0)
        held = np.isnan(self.completion_tokens[self.shares > 0]).any(axis=0)
        stages = (
            ProspectStage(
                self.samples,
                np.broadcast_to(self.shares, (count, len(self.shares))),
                np.broadcast_to(self.right, (count, *self.right.shape)),
                self.offered[None],
                np.broadcast_to(self.completion_tokens, (count, *self.completion_tokens.shape)),
            ),
        )
        return Prospect(
            self.ways,
            np.broadcast_to(self.shares @ self.right, (count, len(self.ways))),
            np.broadcast_to(np.where(held, np.nan, lengths), (count, len(self.ways))),
            self.average_offered,
            BINS,
            stages if self.samples else (),
            np.full(count, np.nan),
            self.sources,
            np.zeros(0),
        )

    def reading(self, prospect: Prospect, stage: int) -> Reading | None:  # noqa: ARG002  (a Guide)
        return None

    def way_reading(self, prospect: Prospect, stage: int, way: int) -> Reading | None:  # noqa: ARG002
        return None


class Forecaster(Protocol):
    """A fitted predictor, as far as planning needs it (:class:`router.predictor.predictor.Predictor`)."""

    @property
    def actions(self) -> tuple[Action, ...]: ...

    @property
    def probing(self) -> Probing | None: ...

    @property
    def calibration(self) -> CalibrationSplit | None: ...

    def forecast(self, texts: Sequence[str]) -> Forecast: ...


@dataclass(frozen=True, slots=True)
class Predicted:
    """By a predictor: for each prompt its own.

    ``columns`` [A] are the ways among the predictor's actions, ``small`` is that of one answer of the small
    model (the prior of the posterior). ``offered`` and ``offered_later`` [A] say which ways there are without
    a probe and after one, ``sizes`` the stages that a probe may have (fitted ones, fewest samples first).
    """

    predictor: Forecaster
    ways: tuple[Way, ...]
    columns: NDArray[np.intp]
    small: int
    offered: Bools
    offered_later: Bools
    sizes: tuple[int, ...]

    @property
    def predicts(self) -> bool:
        return True

    def prospect(self, texts: Sequence[str]) -> Prospect:
        return self.of_forecast(self.predictor.forecast(texts))

    def of_forecast(self, forecast: Forecast) -> Prospect:
        """The same from what was forecast before: of a calibration split, of records."""
        prior = log_odds(forecast.right[:, self.small])
        right = forecast.right[:, self.columns]
        lengths = forecast.completion_tokens[:, self.columns]
        edges = log_odds(LEVELS)
        posterior = log_odds(middles(LEVELS))
        stages: list[ProspectStage] = []
        for stage in self.stages():
            arrive = stage.arrivals(posterior, edges)[None] if stages else stage.arrivals(prior, edges)
            by_level = stage.actions_right(log_odds(right), posterior)
            stages.append(
                ProspectStage(
                    stage.samples, arrive, by_level, self._later(stage.samples)[None, None], lengths[:, None]
                )
            )
        source: Source = "predicted"
        return Prospect(
            self.ways,
            right,
            lengths,
            self.offered,
            LEVELS,
            tuple(stages),
            forecast.familiarity,
            ((source,) * len(self.ways),) * (len(LEVELS) + 1),
            prior,
        )

    def _later(self, samples: int) -> Bools:
        """Of the votes among samples that are there, a strategy has one: the largest that was measured."""
        most: dict[str, int] = {}
        for way in self.ways:
            if way.spec.samples <= samples:
                most[way.spec.name] = max(way.spec.samples, most.get(way.spec.name, 0))
        kept = [most.get(way.spec.name, 0) <= way.spec.samples or way.route == "large" for way in self.ways]
        later: Bools = self.offered_later & np.array(kept)
        return later

    def stages(self) -> tuple[StageModel, ...]:
        """Those of ``sizes``; what lies between two of them is left out of both arrivals."""
        found: list[StageModel] = []
        probing = self.predictor.probing
        assert probing is not None or not self.sizes
        arrive = None
        for stage in probing.stages if probing and self.sizes else ():
            arrive = stage.arrive if arrive is None else _after(arrive, stage.arrive)
            if stage.samples in self.sizes:
                here = replace(
                    stage, arrive=arrive, right=stage.right[self.columns], seen=stage.seen[self.columns]
                )
                found.append(here)
                arrive = None
        return tuple(found)

    def reading(self, prospect: Prospect, stage: int) -> Reading | None:
        found = self.stages()[stage]
        intercept = found.intercept + found.prior_weight * float(prospect.prior[0])
        return Reading(intercept, tuple(found.weights.tolist()))

    def way_reading(self, prospect: Prospect, stage: int, way: int) -> Reading | None:
        intercept, prior_weight, *weights = self.stages()[stage].seen[way].tolist()
        prior = float(log_odds(prospect.right[0, way]))
        return Reading(intercept + prior_weight * prior, tuple(weights))


def middles(edges: Floats) -> Floats:
    """The probability in the middle of each of K levels."""
    ends = np.concatenate([[0.0], edges, [1.0]])
    found: Floats = (ends[:-1] + ends[1:]) / 2
    return found


def _after(first: Floats, second: Floats) -> Floats:
    """Two linear steps with normal noise, one after the other, as one."""
    shift, slope, deviation = second
    return np.array(
        [shift + slope * first[0], slope * first[1], float(np.hypot(deviation, slope * first[2]))]
    )
