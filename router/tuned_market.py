"""Tunes a policy on its predictor's calibration split, through the rule that serves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from router.decision import Objective
from router.errors import CannotTune
from router.forecast import Forecast
from router.market import Market
from router.predicted import Predicted
from router.predictor.predictor import CalibrationSplit
from router.prospects import Tabled
from router.rehearsal import Recorded, rehearse
from router.together import readers_of_unseen
from router.trials import Play
from router.tuning import Tuned, tune

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def tune_policy(
    market: Market, name: str, guide: Predicted, split: CalibrationSplit, *, doubt: str | None = None
) -> Tuned:
    """Play a policy on the split, once a multiplier, unfamiliar prompts as they are answered online.

    Only what the policy may do is played, single actions too: by its allow-list, and by what its cap and its
    ceiling allow a prompt of usual length. Where a table sends an unfamiliar prompt to a search that was not
    recorded, its answer counts as wrong, at the cost that is expected: such prompts are never left out. A
    ``doubt`` about the questions is why nothing may be certified. Raises :class:`router.errors.CannotTune`.
    """
    policy = market.config.policies[name]
    forecast = Forecast(
        guide.predictor.actions, split.forecast_right, split.forecast_tokens, split.familiarity
    )
    prospect = guide.of_forecast(forecast)
    recorded = recorded_split(guide, split)
    prompt_tokens = _known(split.prompt_tokens)
    usual = float(np.median(prompt_tokens))
    rehearsal = rehearse(market, name, guide, prospect, usual)
    may = guide.offered & rehearsal.grid.affordable
    if not may.any() and not rehearsal.stages:
        raise CannotTune(
            "max_cost_usd or max_latency_s leaves no way to answer a prompt of usual length; raise it"
        )
    strange = np.flatnonzero(guide.strange(split.familiarity, policy))
    tables = market.tables[name]
    unfamiliar = tables.prospect([""] * len(strange))
    instead = rehearse(
        market,
        name,
        tables,
        tables.prospect([""]),
        usual,
        readers=readers_of_unseen(policy, [policy.small, *policy.larges]),
        must_probe=policy.unseen == "probe",
    )
    recorded_strange = _recorded_tables(guide, tables, split, strange)

    def simulate(multiplier: float) -> Play:
        objective = Objective(multiplier, market.objectives[name].min_accuracy)
        played = rehearsal.play(prospect, recorded, prompt_tokens, objective)
        right, cost_usd = played.right, played.cost_usd
        if len(strange):
            other = instead.play(unfamiliar, recorded_strange, prompt_tokens[strange], objective)
            unknown = np.isnan(other.right) | np.isnan(other.cost_usd)
            right[strange] = np.where(unknown, 0.0, other.right)
            cost_usd[strange] = np.where(unknown, other.expected_usd, other.cost_usd)
        return right, cost_usd

    singles = {
        way.name: (recorded.right[:, column], recorded.cost_usd[:, column])
        for column, way in enumerate(guide.ways)
        if may[column]
    }
    return tune(policy, simulate, singles, split.groups, doubt=doubt)


def recorded_split(guide: Predicted, split: CalibrationSplit) -> Recorded:
    """The split by the ways of a guide."""
    probing = guide.predictor.probing
    sizes = [stage.samples for stage in probing.stages] if probing is not None else []
    stages = [sizes.index(stage.model.samples) for stage in guide.stages]
    return Recorded(
        split.right[:, guide.columns],
        split.cost_usd[:, guide.columns],
        split.probe_usd,
        np.full(len(split), float(sizes[-1] if sizes else 1)),
        expit(split.posterior[:, stages]),
        split.seen_right[:, stages][:, :, guide.columns],
    )


def _recorded_tables(guide: Predicted, tables: Tabled, split: CalibrationSplit, rows: Indices) -> Recorded:
    """Rows of the split by the ways of a table, which knows only the mean score of a whole probe."""
    names = [action.name for action in guide.predictor.actions]
    unknown = np.full((len(split), 1), np.nan)
    columns = [names.index(way.name) if way.name in names else -1 for way in tables.ways]
    right, cost_usd = (
        np.concatenate([each, unknown], axis=1)[rows][:, columns] for each in (split.right, split.cost_usd)
    )
    probing = guide.predictor.probing
    sizes = [stage.samples for stage in probing.stages] if probing is not None else []
    score = split.mean_score[:, [sizes.index(tables.samples)]] if tables.samples in sizes else unknown
    samples = np.full(len(rows), float(sizes[-1] if sizes else 1))
    return Recorded(right, cost_usd, split.probe_usd[rows], samples, score[rows], None)


def _known(prompt_tokens: Floats) -> Floats:
    """Where nobody counted, as long as the others."""
    typical = np.nanmedian(prompt_tokens) if not np.isnan(prompt_tokens).all() else 0.0
    return np.where(np.isnan(prompt_tokens), typical, prompt_tokens)
