"""What a policy's ways to answer promise, query by query: before a probe, and after each stage of one.

From a fitted predictor (:class:`router.predicted.Predicted`), or from measured or assumed accuracies by
difficulty bin (:class:`Tabled`). :mod:`router.policy` weighs the two alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from router.forecast import Rows
from router.tariff import Tariff
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

    def of(self, rows: Rows) -> ProspectStage:
        """That of some queries alone."""
        for_all = self.arrive.ndim == 3 and len(self.arrive) == 1
        arrive = self.arrive if for_all else self.arrive[rows]
        return ProspectStage(
            self.samples, arrive, self.right[rows], self.offered, self.completion_tokens[rows]
        )


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

    def of(self, rows: Rows) -> Prospect:
        """That of some queries alone."""
        return Prospect(
            self.ways,
            self.right[rows],
            self.completion_tokens[rows],
            self.offered,
            self.edges,
            tuple([stage.of(rows) for stage in self.stages]),
            self.familiarity[rows],
            self.sources,
            self.prior[rows] if len(self.prior) else self.prior,
        )


class Guide(Protocol):
    """What tells the prospects of a policy's queries."""

    @property
    def ways(self) -> tuple[Way, ...]: ...

    @property
    def tariff(self) -> Tariff:
        """What its ways cost, and the stages of its probe."""
        ...

    @property
    def predicts(self) -> bool:
        """Whether it knows one query from another. Levels that end alike are then told as one."""
        ...

    def reading(self, prospect: Prospect, stage: int) -> Reading | None:
        """How a worker reads the evidence of a stage, of one query. ``None``: the mean score."""
        ...

    def way_reading(self, prospect: Prospect, stage: int, way: int) -> Reading | None:
        """How likely a way is right, by all that was seen. ``None``: the level of the posterior says it."""
        ...


@dataclass(frozen=True, slots=True)
class Tabled:
    """The same for every query: accuracies by difficulty bin (hardest first), and how often a bin occurs.

    K bins by A ways: ``shares`` [K]; ``right``, ``offered`` and ``completion_tokens`` [K, A], and on average
    over the bins [A].
    """

    ways: tuple[Way, ...]
    shares: Floats
    right: Floats
    offered: Bools
    completion_tokens: Floats
    average_right: Floats
    average_offered: Bools
    average_completion_tokens: Floats
    sources: tuple[tuple[Source, ...], ...]
    samples: int
    tariff: Tariff

    @property
    def predicts(self) -> bool:
        return False

    def prospect(self, texts: Sequence[str]) -> Prospect:
        count = len(texts)
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
            np.broadcast_to(self.average_right, (count, len(self.ways))),
            np.broadcast_to(self.average_completion_tokens, (count, len(self.ways))),
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


def middles(edges: Floats) -> Floats:
    """The probability in the middle of each of K levels."""
    ends = np.concatenate([[0.0], edges, [1.0]])
    found: Floats = (ends[:-1] + ends[1:]) / 2
    return found
