"""The product's own predictor as a method to cross-validate: by the text alone, and after a probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from router.errors import ArtifactInvalid
from router.evaluation.crossval import OutOfFold, Predict
from router.fitting.fit import fit_predictor
from router.fitting.probing_fit import seen_right
from router.outcome_table import Floats, OutcomeTable
from router.outcomes import SMALL
from router.predictor.predictor import Predictor
from router.probing import log_odds

_HELD_OUT = 0.1
"""Share of the groups. Fitting holds them out to measure itself and to tune on, which is not done here: the
folds measure. So few, and however few questions they have."""


def fit_and_forecast(method: str) -> Callable[[OutcomeTable, int], Predict]:
    """A method whose predictions are [N, 2 A]: P(right) by the text, then after the probe.

    ``method`` is the text model, as of :func:`router.fitting.fit.fit_predictor`. Where nothing was probed,
    or no action is the probed one, both halves are the same. :func:`halves` takes them apart.
    """

    def fit(train: OutcomeTable, seed: int) -> Predict:
        predictor = fit_predictor(
            _probed(train), method=method, calibration_share=_HELD_OUT, one_of_folds=True, seed=seed
        )
        return lambda test: forecasts(predictor, test)

    return fit


def forecasts(predictor: Predictor, table: OutcomeTable) -> Floats:
    """[N, 2 A] P(right) of each action by the text alone, then by the text and all of the probe."""
    right = predictor.forecast(table.prompts).right
    after = right.copy()
    if predictor.probing is not None:
        seen = seen_right(predictor.probing, table, log_odds(right))
        for stage in range(seen.shape[1]):
            there = np.isfinite(seen[:, stage]).all(axis=1)
            after[there] = seen[there, stage]
    return np.concatenate([right, after], axis=1)


def apply_predictor(predictor: Predictor, table: OutcomeTable) -> OutOfFold:
    """What a fitted predictor says of ``table``, as of one fold: nothing was fitted, nothing is centred.

    Raises :class:`ArtifactInvalid` where it knows other actions.
    """
    names = [action.name for action in predictor.actions]
    missing = [action.name for action in table.actions if action.name not in names]
    if missing:
        raise ArtifactInvalid(
            f"the predictor knows nothing of {', '.join(missing)}: it was fitted to {', '.join(names)}"
        )
    columns = [names.index(action.name) for action in table.actions]
    right = forecasts(predictor, table)[:, [*columns, *(len(names) + each for each in columns)]][None]
    return OutOfFold(right, np.zeros_like(right))


def halves(predicted: OutOfFold) -> tuple[OutOfFold, OutOfFold]:
    """By the text alone, after the probe."""
    actions = predicted.right.shape[-1] // 2
    text, probed = (
        OutOfFold(predicted.right[..., part], predicted.training_mean[..., part])
        for part in (slice(None, actions), slice(actions, None))
    )
    return text, probed


def _probed(table: OutcomeTable) -> OutcomeTable:
    """The action that evidence is of has the name "small", whatever model it is."""
    names = [action.name for action in table.actions]
    if SMALL in names or not any(table.evidence):
        return table
    column = next((at for at, action in enumerate(table.actions) if action.route == "small"), 0)
    actions = list(table.actions)
    actions[column] = replace(actions[column], name=SMALL)
    return replace(table, actions=tuple(actions))
