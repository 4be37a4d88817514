"""Tunes a policy on its predictor's calibration split, through the rule that serves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from router.decision import Objective
from router.forecast import Forecast
from router.market import Market
from router.predicted import Predicted
from router.predictor.predictor import CalibrationSplit
from router.rehearsal import Recorded, rehearse
from router.tuning import Play, Tuned, tune

Floats = NDArray[np.float64]


def tune_policy(market: Market, name: str, guide: Predicted, split: CalibrationSplit) -> Tuned:
    """Play a policy on the split, once a multiplier. Raises :class:`router.errors.CannotTune`."""
    policy = market.config.policies[name]
    forecast = Forecast(
        guide.predictor.actions, split.forecast_right, split.forecast_tokens, split.familiarity
    )
    prospect = guide.of_forecast(forecast)
    recorded = recorded_split(guide, split)
    prompt_tokens = _known(split.prompt_tokens)
    rehearsal = rehearse(market, name, guide, prospect, float(np.median(prompt_tokens)))

    def simulate(multiplier: float) -> Play:
        objective = Objective(multiplier, market.objectives[name].min_accuracy)
        played = rehearsal.play(prospect, recorded, prompt_tokens, objective)
        return played.right, played.cost_usd

    singles = {
        way.name: (recorded.right[:, column], recorded.cost_usd[:, column])
        for column, way in enumerate(guide.ways)
        if guide.offered[column]
    }
    return tune(policy, simulate, singles, split.groups)


def recorded_split(guide: Predicted, split: CalibrationSplit) -> Recorded:
    """The split by the ways of a guide."""
    probing = guide.predictor.probing
    sizes = [stage.samples for stage in probing.stages] if probing is not None else []
    stages = [sizes.index(stage.model.samples) for stage in guide.stages]
    return Recorded(
        split.right[:, guide.columns],
        split.cost_usd[:, guide.columns],
        split.probe_usd / (sizes[-1] if sizes else 1),
        expit(split.posterior[:, stages]),
        split.seen_right[:, stages][:, :, guide.columns],
    )


def only_way(guide: Predicted, name: str) -> Predicted:
    """The guide of a policy whose best is always the same way."""
    return replace(guide, offered=np.array([way.name == name for way in guide.ways]), stages=(), always=name)


def _known(prompt_tokens: Floats) -> Floats:
    """Where nobody counted, as long as the others."""
    typical = np.nanmedian(prompt_tokens) if not np.isnan(prompt_tokens).all() else 0.0
    return np.where(np.isnan(prompt_tokens), typical, prompt_tokens)
