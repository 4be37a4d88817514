"""Fitting what a probe tells: logistic regressions on its evidence and the prompt's prior, by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from router.evaluation.crossval import folds
from router.features.evidence import FEATURES, evidence_matrix
from router.fitting.calibrating import log_loss, shares_as_labels
from router.outcome_table import OutcomeTable
from router.outcomes import SMALL
from router.probing import Probing, StageModel, log_odds

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIN_PROBES = 50
"""Fewer probes than these teach nothing."""

_PENALTIES = (0.003, 0.03, 0.3, 3.0)
"""Inverse strengths of L2, as scikit-learn's C; features are standardised."""
_FOLDS = 5
_SCORE = FEATURES.index("score_mean")


def fit_probing(table: OutcomeTable, prior_right: Floats, seed: int) -> Probing | None:
    """Stages of 4, 8, 16, ... samples, and of all that the probes of ``table`` have.

    ``prior_right`` [N, A] is P(right) from the prompt, predicted out of fold: predictions for prompts that
    were fitted would look surer than they will be. ``None`` without an action "small" or enough probes.
    """
    if not any(action.name == SMALL for action in table.actions):
        return None
    small = table.column(SMALL)
    taken = _sizes(table)
    labelled = np.isfinite(table.right[:, small]) & (taken > 0)
    if labelled.sum() < MIN_PROBES:
        return None
    sizes = _stages(taken[labelled])
    rows = labelled & (taken >= sizes[-1])
    table, priors = table.take(rows), log_odds(prior_right[rows])
    prior, right = priors[:, small], table.right[:, small]
    if right.min() == right.max():
        return None
    before = prior
    stages = []
    for samples in sizes:
        features = _features(table, samples)
        penalty = _best_penalty(prior, features, right, table.groups, seed)
        out_of_fold = np.empty(len(table))
        for training, test in _folds(table.groups, seed):
            weights = _posterior(prior[training], features[training], right[training], penalty)
            out_of_fold[test] = _apply(weights, prior[test], features[test])
        weights = _posterior(prior, features, right, penalty)
        stages.append(
            StageModel(
                samples=samples,
                intercept=float(weights[0]),
                prior_weight=float(weights[1]),
                weights=weights[2:],
                arrive=_arrivals(before, out_of_fold),
                right=_actions_right(priors, out_of_fold, table.right),
                seen=_actions_seen(priors, features, table, seed),
            )
        )
        before = out_of_fold
    return Probing(tuple(stages))


def posteriors(probing: Probing, table: OutcomeTable, prior: Floats) -> Floats:
    """[N, S] log-odds after each stage, for prior log-odds [N]; NaN where there was no such probe."""
    found = np.full((len(table), len(probing.stages)), np.nan)
    for column, (stage, rows, features) in enumerate(_by_stage(probing, table)):
        found[rows, column] = stage.posterior(prior[rows], features)
    return found


def mean_scores(probing: Probing, table: OutcomeTable) -> Floats:
    """[N, S] mean score of the samples up to each stage; NaN where no such probe was scored."""
    scored = np.array([seen is not None and len(seen.scores) > 0 for seen in table.evidence])
    found = np.full((len(table), len(probing.stages)), np.nan)
    for column, (_, rows, features) in enumerate(_by_stage(probing, table)):
        found[rows, column] = np.where(scored[rows], features[:, _SCORE], np.nan)
    return found


def seen_right(probing: Probing, table: OutcomeTable, priors: Floats) -> Floats:
    """[N, S, A] P(right) of the actions after each stage, for their prior log-odds [N, A]; NaN as above."""
    found = np.full((len(table), len(probing.stages), priors.shape[1]), np.nan)
    for column, (stage, rows, features) in enumerate(_by_stage(probing, table)):
        found[rows, column] = stage.actions_seen(priors[rows], features)
    return found


def _by_stage(probing: Probing, table: OutcomeTable) -> Iterator[tuple[StageModel, Bools, Floats]]:
    """Each stage, whose probes [N] reached it, and what those saw by then."""
    sizes = _sizes(table)
    for stage in probing.stages:
        rows = sizes >= stage.samples
        yield stage, rows, _features(table.take(rows), stage.samples)


def _sizes(table: OutcomeTable) -> NDArray[np.int64]:
    """[N] samples of each probe, 0 without one."""
    return np.array([0 if seen is None else len(seen.answers) for seen in table.evidence], dtype=np.int64)


def _stages(sizes: NDArray[np.int64]) -> tuple[int, ...]:
    """As policies probe by default. A few probes may be shorter, cut by a deadline: they are left out."""
    reached = int(np.quantile(sizes, 0.1, method="lower"))
    return (*(2**power for power in range(2, reached.bit_length()) if 2**power < reached), reached)


def _features(table: OutcomeTable, samples: int) -> Floats:
    """[N, F] of the first ``samples`` samples of the probes, which must all be there."""
    return evidence_matrix([seen.first(samples) for seen in table.evidence if seen is not None])


def _folds(groups: Sequence[str], seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    return folds(groups, min(_FOLDS, len(set(groups))), seed)


def _best_penalty(prior: Floats, features: Floats, right: Floats, groups: Sequence[str], seed: int) -> float:
    loss = dict.fromkeys(_PENALTIES, 0.0)
    for training, test in _folds(groups, seed):
        for penalty in _PENALTIES:
            weights = _posterior(prior[training], features[training], right[training], penalty)
            predicted = expit(_apply(weights, prior[test], features[test]))
            loss[penalty] += log_loss(np.clip(predicted, 1e-4, 1 - 1e-4), right[test]) * len(test)
    return min(loss, key=loss.__getitem__)


def _apply(weights: Floats, prior: Floats, features: Floats) -> Floats:
    log_odds_: Floats = weights[0] + weights[1] * prior + features @ weights[2:]
    return log_odds_


def _posterior(prior: Floats, features: Floats, right: Floats, penalty: float) -> Floats:
    """Intercept, weight of the prior and weights of the features, for features as they come."""
    return _logistic(np.column_stack([prior, features]), right, penalty)


def _logistic(columns: Floats, right: Floats, penalty: float) -> Floats:
    """[1 + K] log-odds of ``right`` (shares) by ``columns`` [N, K]; one that never varies has weight 0."""
    from sklearn.linear_model import LogisticRegression

    middle, scale = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(scale > 1e-9, scale, np.inf)
    rows, labels, weights = shares_as_labels(right)
    if labels.min() == labels.max():
        share = (right.sum() + 1) / (len(right) + 2)
        return np.concatenate([[log_odds(share)], np.zeros(columns.shape[1])])
    model = LogisticRegression(C=penalty, max_iter=1000)
    model.fit(((columns - middle) / scale)[rows], labels, sample_weight=weights)
    slopes = model.coef_[0] / scale
    return np.concatenate([model.intercept_ - slopes @ middle, slopes])


def _arrivals(before: Floats, posterior: Floats) -> Floats:
    """Mean a + b * ``before`` and the deviation from it, by least squares."""
    spread = before.std()
    slope = np.mean((before - before.mean()) * (posterior - posterior.mean())) / spread**2 if spread else 0.0
    intercept = posterior.mean() - slope * before.mean()
    return np.array([intercept, slope, np.std(posterior - intercept - slope * before)])


def _actions_seen(priors: Floats, features: Floats, table: OutcomeTable, seed: int) -> Floats:
    """[A, 2 + F] of each action, from its own prior and what was seen."""
    found = np.zeros((table.right.shape[1], 2 + features.shape[1]))
    groups = np.array(table.groups)
    for action in range(table.right.shape[1]):
        known = np.isfinite(table.right[:, action])
        prior, seen, right = priors[known, action], features[known], table.right[known, action]
        few = len(right) < MIN_PROBES or len(set(groups[known])) < 2
        if few or right.min() == right.max():
            found[action, 1] = 1.0  # nothing is learned: what the prompt says holds
            continue
        penalty = _best_penalty(prior, seen, right, list(groups[known]), seed)
        found[action] = _posterior(prior, seen, right, penalty)
    return found


def _actions_right(priors: Floats, posterior: Floats, right: Floats) -> Floats:
    """[A, 3] of each action, from its own prior and the posterior."""
    found = np.zeros((right.shape[1], 3))
    for action in range(right.shape[1]):
        known = np.isfinite(right[:, action])
        if known.sum() < MIN_PROBES:
            found[action, 1] = 1.0  # as above
            continue
        columns = np.column_stack([priors[known, action], posterior[known]])
        found[action] = _logistic(columns, right[known, action], 1.0)
    return found
