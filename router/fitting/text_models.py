"""Text models that `gradus fit` chooses from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import Ridge

from router.features.text import TextFeatures
from router.outcome_table import Floats


class LinearText(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression on sparse text features, several targets at once; targets may be NaN."""

    def __init__(self, features: Any, alpha: float = 1.0) -> None:
        self.features = features
        self.alpha = alpha

    def fit(self, texts: Sequence[str], Y: Floats, sample_weight: Floats | None = None) -> Self:
        self.features_ = clone(self.features).fit(texts)
        rows = self.features_.transform(texts)
        self.weights_ = np.zeros((rows.shape[1], Y.shape[1]), dtype=np.float32)
        self.intercept_ = np.zeros(Y.shape[1])
        known = np.isfinite(Y)
        for pattern in np.unique(known, axis=1).T:
            columns = np.flatnonzero((known == pattern[:, None]).all(axis=0))
            weights = None if sample_weight is None else sample_weight[pattern]
            ridge = Ridge(self.alpha, solver="sparse_cg").fit(rows[pattern], Y[pattern][:, columns], weights)
            self.weights_[:, columns] = ridge.coef_.T
            self.intercept_[columns] = ridge.intercept_
        return self

    def predict(self, texts: Sequence[str]) -> Any:
        return self.predict_rows(self.features_.transform(texts))

    def predict_rows(self, rows: Any) -> Any:
        """The same from rows of ``features_``."""
        return rows @ self.weights_ + self.intercept_


def candidates(seed: int) -> dict[str, BaseEstimator]:  # noqa: ARG001 (others draw)
    """Unfitted, by name."""
    return {"ridge": LinearText(TextFeatures())}


def choose(
    texts: Sequence[str],
    Y: Floats,
    groups: Sequence[str],  # noqa: ARG001 (for inner folds, once there is more than one candidate)
    seed: int,
) -> tuple[str, BaseEstimator]:
    """The best by inner cross-validation, fitted to all."""
    return "ridge", candidates(seed)["ridge"].fit(texts, Y)
