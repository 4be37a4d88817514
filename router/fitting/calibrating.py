"""Fitting calibrators: Platt's method or isotonic regression, by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.evaluation.crossval import folds
from router.predictor.calibrator import EDGE, Calibrator

Floats = NDArray[np.float64]

_FOLDS = 5
_END = 20


def fit_calibrator(raw: Floats, right: Floats, groups: Sequence[str], seed: int) -> Calibrator:
    """For raw scores [N] that were predicted out of fold, and what came true [N], 0 to 1 or NaN.

    The method with the lower log loss over grouped folds is taken; Platt's where they are equal.
    """
    known = np.isfinite(right)
    raw, right = raw[known], right[known]
    kept = [group for group, there in zip(groups, known, strict=True) if there]
    if right.min() == right.max():
        return _always(right)
    loss = dict.fromkeys((_platt, _isotonic), 0.0)
    for training, test in folds(kept, min(_FOLDS, len(set(kept))), seed):
        for fit in loss:
            predicted = _fitted(fit, raw[training], right[training])(raw[test])
            loss[fit] += log_loss(predicted, right[test]) * len(test)
    return _fitted(min(loss, key=loss.__getitem__), raw, right)


def log_loss(predicted: Floats, right: Floats) -> float:
    """Mean of -log P(what came true), in nats; ``right`` may be a share."""
    return float(-np.mean(right * np.log(predicted) + (1 - right) * np.log1p(-predicted)))


def shares_as_labels(right: Floats) -> tuple[NDArray[np.intp], NDArray[np.int64], Floats]:
    """(row, label, weight): a question right in a share of runs counts as right and as wrong, in parts.

    Estimators that want classes then see the likelihood of the shares.
    """
    rows = np.concatenate([np.flatnonzero(right > 0), np.flatnonzero(right < 1)])
    positive = int((right > 0).sum())
    labels = np.concatenate(
        [np.ones(positive, dtype=np.int64), np.zeros(len(rows) - positive, dtype=np.int64)]
    )
    return rows, labels, np.where(labels == 1, right[rows], 1 - right[rows])


def _fitted(fit: object, raw: Floats, right: Floats) -> Calibrator:
    if right.min() == right.max():
        return _always(right)
    assert callable(fit)
    calibrator: Calibrator = fit(raw, right)
    return calibrator


def _platt(raw: Floats, right: Floats) -> Calibrator:
    from sklearn.linear_model import LogisticRegression

    middle, scale = raw.mean(), max(raw.std(), 1e-12)
    rows, labels, weights = shares_as_labels(right)
    model = LogisticRegression(C=1e3).fit((raw[rows, None] - middle) / scale, labels, weights)
    slope = float(model.coef_[0, 0] / scale)
    return Calibrator(float(model.intercept_[0]) - slope * middle, slope)


def _isotonic(raw: Floats, right: Floats) -> Calibrator:
    from sklearn.isotonic import IsotonicRegression

    # An end would be as sure as the few questions there are; no surer than a twentieth of all, by Laplace.
    end = max(len(raw) // _END, 1)
    ordered = right[np.argsort(raw, kind="stable")]
    least, most = ((each.sum() + 1) / (end + 2) for each in (ordered[:end], ordered[-end:]))
    if least >= most:
        least, most = EDGE, 1 - EDGE
    model = IsotonicRegression(y_min=max(least, EDGE), y_max=min(most, 1 - EDGE), out_of_bounds="clip")
    model.fit(raw, right)
    return Calibrator(0.0, 0.0, np.stack([model.X_thresholds_, model.y_thresholds_]).astype(np.float64))


def _always(right: Floats) -> Calibrator:
    """Of an action that was always right, or never: Laplace's rule of succession."""
    share = (right.sum() + 1) / (len(right) + 2)
    return Calibrator(float(np.log(share / (1 - share))), 0.0)
