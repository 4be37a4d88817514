"""From outcomes to a predictor: `gradus fit`.

A part of the questions is held out of everything (the calibration split); on the others the text model
predicts out of fold, and calibrators, lengths and probes are fitted to those predictions, since predictions
for prompts that were fitted are surer than any that will be made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.errors import OutcomesInvalid
from router.evaluation.crossval import folds
from router.evaluation.groups import by_story
from router.features.text import TextFeatures
from router.fitting import text_models
from router.fitting.calibrating import fit_calibrator
from router.fitting.embedding_fit import fit_embedding
from router.fitting.measuring import first_manifest, with_metrics
from router.fitting.minimum import MIN_OUTCOMES, check_enough, without_rare
from router.fitting.probing_fit import fit_probing, mean_scores, posteriors, seen_right
from router.outcome_table import OutcomeTable
from router.outcomes import SMALL
from router.predictor.identity import fingerprints
from router.predictor.manifest import Identities
from router.predictor.predictor import CalibrationSplit, Embed, Lengths, Predictor
from router.probing import log_odds
from router.unseen import Unseen, fit_unseen

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

AUTO = "auto"
_FOLDS = 5


def fit_predictor(
    table: OutcomeTable,
    *,
    method: str = AUTO,
    calibration_share: float = 0.3,
    one_of_folds: bool = False,
    seed: int = 0,
    identities: Identities | None = None,
    embed: Embed | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Predictor:
    """Fit to a part of ``table``; all else is its calibration split.

    ``method`` is one of :func:`router.fitting.text_models.candidates`, or chosen among them by inner
    cross-validation. ``calibration_share`` is of the groups. ``one_of_folds``: for :mod:`router.evaluation`,
    which has checked that there is enough on the whole, and measures by itself; little may be held out then.
    ``embed`` refines it by embeddings. ``on_step`` is told what begins. Actions that too
    little is known of are left out: the manifest says why. Raises :class:`OutcomesInvalid` for too few
    outcomes (:mod:`router.fitting.minimum`).
    """
    identities, table = identities or Identities(), by_story(table)
    if not one_of_folds:
        check_enough(table)
    fitted, held_out = split(table, calibration_share, seed)
    table, left_out = without_rare(table, fitted, held_out, 1 if one_of_folds else MIN_OUTCOMES)
    train = table.take(fitted)

    on_step("choosing the text model")
    targets, lengths_of = _targets(train)
    name = method
    if method == AUTO:
        name = text_models.choose(train.prompts, train.right, train.groups, seed)[0]
    estimators = text_models.candidates(seed)
    if name not in estimators:
        raise OutcomesInvalid(f"--method {name}: there are {AUTO}, {', '.join(estimators)}")

    on_step(f"predicting out of fold by {name}")
    raw = _out_of_fold(estimators[name], train, targets, seed)
    embedding = None
    if embed is not None:
        on_step("embedding the prompts")
        embedding, addition = fit_embedding(embed(train.prompts), targets - raw, train.groups, seed)
        raw = raw + addition

    on_step("calibrating")
    actions = len(table.actions)
    calibrators = tuple(
        fit_calibrator(raw[:, action], train.right[:, action], train.groups, seed)
        for action in range(actions)
    )
    right = np.stack([each(raw[:, action]) for action, each in enumerate(calibrators)], axis=1)
    on_step("fitting what probes tell")
    probing = fit_probing(train, right, seed)

    on_step(f"fitting {name}")
    from sklearn.base import clone

    text = clone(estimators[name]).fit(train.prompts, targets)
    features = _features(text, train.prompts)
    predictor = Predictor(
        actions=table.actions,
        text=text,
        features=features,
        calibrators=calibrators,
        lengths=_lengths(raw[:, actions:], targets[:, actions:], lengths_of),
        manifest=first_manifest(table, train, name, seed, identities, left_out),
        embedding=embedding,
        unseen=_unseen(features, table, fitted, held_out),
        probing=probing,
        embed=embed,
        fitted_to=fingerprints(train.prompts),
    )
    on_step("measuring on what was held out")
    rest = table.take(held_out)
    calibration = calibration_split(predictor, rest)
    manifest = with_metrics(predictor.manifest, train, calibration, probing)
    return replace(predictor, calibration=calibration, manifest=manifest)


def split(table: OutcomeTable, calibration_share: float, seed: int) -> tuple[Indices, Indices]:
    """Which questions to fit to, and which to hold out; no group is in both."""
    from sklearn.model_selection import GroupShuffleSplit

    splitter = GroupShuffleSplit(1, test_size=calibration_share, random_state=seed)
    fitted, held_out = next(splitter.split(table.right, groups=np.asarray(table.groups)))
    left = len({table.groups[row] for row in fitted})
    if left < _FOLDS:
        raise OutcomesInvalid(
            f"--calibration-share {calibration_share} leaves {left} groups of questions to fit to; at least "
            f"{_FOLDS} are needed"
        )
    return fitted, held_out


def _targets(table: OutcomeTable) -> tuple[Floats, Indices]:
    """[N, A + M] right by action, then the log length of an answer by model; and which of M an action has.

    Those of models whose lengths nobody knows are -1. A search's length is that of all its samples, so it
    counts only where its model has no direct action, and by steps not even then exactly.
    """
    of_model: dict[str, Floats] = {}
    for column, action in sorted(enumerate(table.actions), key=lambda each: each[1].samples):
        tokens = table.completion_tokens[:, column] / action.samples
        if np.isfinite(tokens).sum() >= MIN_OUTCOMES:
            of_model.setdefault(action.model, np.log(np.maximum(tokens, 1.0)))
    models = list(of_model)
    columns = [models.index(action.model) if action.model in of_model else -1 for action in table.actions]
    return np.column_stack([table.right, *of_model.values()]), np.array(columns)


def _out_of_fold(estimator: Any, table: OutcomeTable, targets: Floats, seed: int) -> Floats:
    from sklearn.base import clone

    raw = np.empty_like(targets)
    for training, test in folds(table.groups, _FOLDS, seed):
        texts = [table.prompts[row] for row in training]
        fitted = clone(estimator).fit(texts, targets[training])
        raw[test] = fitted.predict([table.prompts[row] for row in test])
    return raw


def _features(text: Any, prompts: Sequence[str]) -> TextFeatures:
    """The text model's own, so that a prompt is read once; else fitted here."""
    own = getattr(text, "features_", None)
    return own if isinstance(own, TextFeatures) else TextFeatures().fit(prompts)


def _unseen(features: TextFeatures, table: OutcomeTable, fitted: Indices, held_out: Indices) -> Unseen:
    """What prompts are familiar: learned where the predictor is fitted, calibrated on what is held out."""
    known, new = (features.transform([table.prompts[row] for row in rows]) for rows in (fitted, held_out))
    return fit_unseen(known, new)


def _lengths(raw: Floats, known: Floats, columns: Indices) -> Lengths:
    """The exponential of a mean of logarithms is below the mean; Duan 1983 measures by how much."""
    tokens, predicted = np.exp(known), np.where(np.isfinite(known), np.exp(raw), np.nan)
    return Lengths(
        columns,
        scale=np.nansum(tokens, axis=0) / np.nansum(predicted, axis=0),
        least=np.nanmin(tokens, axis=0),
        most=np.nanmax(tokens, axis=0),
    )


def calibration_split(predictor: Predictor, table: OutcomeTable) -> CalibrationSplit:
    """What ``predictor`` says of questions that it was not fitted to, and what came of them."""
    table = by_story(table)
    forecast = predictor.forecast(table.prompts)
    stages, seen = np.empty((len(table), 0)), np.empty((len(table), 0, len(table.actions)))
    scores = np.empty((len(table), 0))
    if predictor.probing is not None:
        priors = log_odds(forecast.right)
        stages = posteriors(predictor.probing, table, priors[:, table.column(SMALL)])
        scores = mean_scores(predictor.probing, table)
        seen = seen_right(predictor.probing, table, priors)
    return CalibrationSplit(
        forecast_right=forecast.right,
        forecast_tokens=forecast.completion_tokens,
        familiarity=forecast.familiarity,
        right=table.right,
        cost_usd=table.cost_usd,
        after_probe_usd=table.after_probe_usd,
        completion_tokens=table.completion_tokens,
        prompt_tokens=table.prompt_tokens,
        probe_usd=table.probe_usd,
        posterior=stages,
        mean_score=scores,
        seen_right=seen,
        groups=np.unique(table.groups, return_inverse=True)[1],
    )
