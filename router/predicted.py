"""Prospects by a fitted predictor: for each prompt its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from router.config import Policy
from router.forecast import Forecast
from router.outcome_table import Action
from router.predictor.predictor import CalibrationSplit
from router.probing import Probing, StageModel, log_odds
from router.prospects import LEVELS, Prospect, ProspectStage, Source, Way, middles
from router.tariff import Tariff, tariff_of
from router.types import Reading

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_EDGE_LOG_ODDS = log_odds(LEVELS)
_MIDDLE_LOG_ODDS = log_odds(middles(LEVELS))


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
class GuideStage:
    """A stage of a probe for the ways of a guide: what no query changes, worked out once.

    ``model`` is of those ways, and arrives from the stage before of the same guide; ``passage`` [K, K] is
    how likely each level is from each level before (of the first stage, which comes from a prior: none).
    ``ahead`` [K, K] is how likely each level of the *last* stage is, ``offered`` [1, 1, A] as in
    :class:`router.prospects.ProspectStage`; ``weights`` and ``seen`` are the model's, for readings.
    """

    model: StageModel
    passage: Floats | None
    ahead: Floats
    offered: Bools
    weights: tuple[float, ...]
    seen: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Predicted:
    """By a predictor: for each prompt its own.

    ``columns`` [A] are the ways among the predictor's actions, ``small`` is that of one answer of the small
    model (the prior of the posterior; ``None`` where that was not fitted). ``offered`` [A] says which ways
    there are without a probe; ``stages`` are those that a probe may have. ``always`` is the one way of a
    policy that routes nothing: whatever is asked, familiar or not.
    """

    predictor: Forecaster
    ways: tuple[Way, ...]
    columns: NDArray[np.intp]
    small: int | None
    offered: Bools
    stages: tuple[GuideStage, ...]
    tariff: Tariff
    always: Way | None = None

    @property
    def predicts(self) -> bool:
        return True

    def strange(self, familiarity: Floats, policy: Policy) -> Bools:
        """[N] of which prompts nothing that is predicted counts; what is done always needs no prediction."""
        return (familiarity <= policy.unseen_below) & (self.always is None)

    def only(self, way: Way) -> Predicted:
        """That of a policy that always goes this way; where it is not there, one by the same model."""
        named = np.array([each.name == way.name for each in self.ways]) & self.offered
        of_model = np.array([each.model == way.model for each in self.ways]) & self.offered
        offered, tariff = named if named.any() else of_model, tariff_of(self.tariff.counter, self.ways, ())
        return replace(self, offered=offered, stages=(), tariff=tariff, always=way)

    def p_right(self, forecast: Forecast) -> Floats | None:
        """[N] of one answer of the small model; ``None`` where that was not fitted."""
        return None if self.small is None else forecast.right[:, self.small]

    def of_forecast(self, forecast: Forecast) -> Prospect:
        """Of N queries: online, of a calibration split, of records.

        P(right) after a stage is what the last stage is expected to say of it. Stages were fitted one by one;
        what each says by itself would differ a little, and going on would look like a gain in itself.
        """
        prior = np.zeros(0) if self.small is None else log_odds(forecast.right[:, self.small])
        right = forecast.right[:, self.columns]
        lengths = forecast.completion_tokens[:, self.columns]
        stages: tuple[ProspectStage, ...] = ()
        if self.stages:
            in_the_end = self.stages[-1].model.actions_right(log_odds(right), _MIDDLE_LOG_ODDS)
            stages = tuple(
                ProspectStage(
                    stage.model.samples,
                    stage.model.arrivals(prior, _EDGE_LOG_ODDS)
                    if stage.passage is None
                    else stage.passage[None],
                    stage.ahead @ in_the_end,
                    stage.offered,
                    lengths[:, None],
                )
                for stage in self.stages
            )
        source: Source = "predicted"
        return Prospect(
            self.ways,
            right,
            lengths,
            self.offered,
            LEVELS,
            stages,
            forecast.familiarity,
            ((source,) * len(self.ways),) * (len(LEVELS) + 1),
            prior,
        )

    def reading(self, prospect: Prospect, stage: int) -> Reading | None:
        found = self.stages[stage]
        intercept = found.model.intercept + found.model.prior_weight * float(prospect.prior[0])
        return Reading(intercept, found.weights)

    def way_reading(self, prospect: Prospect, stage: int, way: int) -> Reading | None:
        intercept, prior_weight, *weights = self.stages[stage].seen[way]
        prior = float(log_odds(prospect.right[0, way]))
        return Reading(intercept + prior_weight * prior, tuple(weights))


def guide_stages(
    ways: Sequence[Way], columns: NDArray[np.intp], offered: Bools, probing: Probing, sizes: Sequence[int]
) -> tuple[GuideStage, ...]:
    """Those of ``sizes``, the last one fitted; ``offered`` [A] says which ways there are after a probe."""
    models = _between(columns, probing, sizes)
    ahead = np.eye(len(LEVELS) + 1)
    found: list[GuideStage] = []
    for index in range(len(models) - 1, -1, -1):
        model = models[index]
        passage = model.arrivals(_MIDDLE_LOG_ODDS, _EDGE_LOG_ODDS) if index else None
        there = offered & _largest_votes(ways, model.samples)
        seen = tuple(tuple(row.tolist()) for row in model.seen)
        found.append(
            GuideStage(model, passage, ahead, there[None, None], tuple(model.weights.tolist()), seen)
        )
        ahead = ahead if passage is None else passage @ ahead
    return tuple(reversed(found))


def _largest_votes(ways: Sequence[Way], samples: int) -> Bools:
    """Of the votes among samples that are there, a strategy has one: the largest that was measured."""
    most: dict[str, int] = {}
    for way in ways:
        if way.route == "small" and way.spec.samples <= samples:
            most[way.spec.name] = max(way.spec.samples, most.get(way.spec.name, 0))
    return np.array([way.route == "large" or most.get(way.spec.name, 0) <= way.spec.samples for way in ways])


def _between(columns: NDArray[np.intp], probing: Probing, sizes: Sequence[int]) -> list[StageModel]:
    """The models of ``sizes``; what lies between two of them is left out of both arrivals."""
    found: list[StageModel] = []
    arrive = None
    for stage in probing.stages:
        arrive = stage.arrive if arrive is None else _after(arrive, stage.arrive)
        if stage.samples in sizes:
            found.append(replace(stage, arrive=arrive, right=stage.right[columns], seen=stage.seen[columns]))
            arrive = None
    return found


def _after(first: Floats, second: Floats) -> Floats:
    """Two linear steps with normal noise, one after the other, as one."""
    shift, slope, deviation = second
    return np.array(
        [shift + slope * first[0], slope * first[1], float(np.hypot(deviation, slope * first[2]))]
    )
