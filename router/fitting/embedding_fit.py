"""What embeddings of prompts know beyond the text model: ridge regression on what it leaves unexplained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.evaluation.crossval import folds
from router.predictor.predictor import EmbeddingPart

Floats = NDArray[np.float64]

_FOLDS = 5
_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)


def fit_embedding(
    embeddings: Floats, left: Floats, groups: Sequence[str], seed: int
) -> tuple[EmbeddingPart, Floats]:
    """For embeddings [N, D] and residuals [N, K] (NaN where unknown): the part, and its out-of-fold values.

    The penalty is chosen for every column by generalised cross-validation.
    """
    out_of_fold = np.empty_like(left)
    for training, test in folds(groups, _FOLDS, seed):
        part = _fit(embeddings[training], left[training])
        out_of_fold[test] = embeddings[test] @ part.weights + part.intercept
    return _fit(embeddings, left), out_of_fold


def _fit(embeddings: Floats, left: Floats) -> EmbeddingPart:
    columns = [
        _ridge(embeddings[known], each[known]) for each in left.T if (known := np.isfinite(each)).any()
    ]
    weights = np.stack([each.coef_ for each in columns], axis=1)
    return EmbeddingPart(weights, np.array([each.intercept_ for each in columns]))


def _ridge(embeddings: Floats, left: Floats) -> Any:
    from sklearn.linear_model import RidgeCV

    return RidgeCV(_PENALTIES).fit(embeddings, left)
