"""Is a prompt of a kind that was fitted on? Conformal p-values, which bound the false alarms.

How strange a prompt looks is the sum of up to three numbers, each brought to the same scale:

- rarity: the mean of log(N / rows with it) over its words and pairs of words;
- distance: one minus its cosine to the nearest of a few cluster centres, in the span of the leading singular
  vectors of the frequent words (latent semantic analysis, Deerwester et al. 1990);
- looks: the logarithm of the Mahalanobis distance of its dense columns (length, digits, code, ...), with
  Ledoit and Wolf's (2004) covariance.

The sum is turned into a p-value by rows kept apart (split conformal prediction: Vovk, Gammerman and Shafer,
*Algorithmic Learning in a Random World*, 2005; Laxhammar and Falkman 2010 for anomalies): whatever the score
is worth, a prompt exchangeable with those rows has P(p <= level) <= level, for any number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from router.features.rows import TextRows

Floats = NDArray[np.float64]

_FREQUENT = 4096
_SINGULAR = 32
_CENTRES = 24
_FLOOR = 1e-6
_SAME_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Unseen:
    """Fitted by :func:`fit_unseen`. B word columns, L dense ones, T frequent ones, K cluster centres.

    ``rarity`` [B] is float32, empty where rows are dense; ``place`` [B] (or longer, as releases before this
    one wrote it) is where a column is in ``directions`` [T + 1, K] (the last row is zero: not frequent);
    ``mean`` [L] and ``whiten`` [L, L] are of the dense columns; ``middle`` and ``spread`` [P] scale the
    parts; ``calibration`` [n] are sorted scores.
    """

    rarity: NDArray[np.float32]
    place: NDArray[np.int32]
    directions: NDArray[np.float32]
    mean: Floats
    whiten: Floats
    middle: Floats
    spread: Floats
    calibration: Floats
    direction_of: NDArray[np.float32] = field(init=False, repr=False)
    """[B, K] of every word column."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction_of", self.directions[self.place[: len(self.rarity)]])

    def p_values(self, X: TextRows | NDArray[Any]) -> Floats:
        """[N] of rows X: (1 + calibration rows at least as strange) / (n + 1). Small: an unseen kind."""
        return conformal_p_values(self.scores(X), self.calibration)

    def scores(self, X: TextRows | NDArray[Any]) -> Floats:
        """[N] of rows X, the stranger the larger; they mean nothing across fits."""
        scores: Floats = ((self._parts(X) - self.middle) / self.spread).sum(axis=1)
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name, for a safetensors file; under 2 MB at 65,536 columns."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{each.name: arrays[each.name] for each in fields(cls) if each.init})

    def _parts(self, X: TextRows | NDArray[Any]) -> Floats:
        """[N, P]: distance and looks, before them rarity if there are words."""
        if isinstance(X, np.ndarray):
            norms = np.maximum(np.linalg.norm(X, axis=1, keepdims=True), _FLOOR)
            return np.column_stack([1 - (X / norms @ self.directions[:-1]).max(axis=1), self._looks(X)])
        words = X.words
        sizes = words.indptr[1:] - words.indptr[:-1]
        row = np.arange(len(sizes)).repeat(sizes)
        rarity = np.bincount(row, weights=self.rarity.take(words.indices), minlength=len(sizes))
        distance = 1 - (words @ self.direction_of).max(axis=1)
        return np.array([rarity / np.maximum(sizes, 1), distance, self._looks(X.looks)]).T

    def _looks(self, dense: NDArray[Any]) -> Floats:
        distance: Floats = np.log1p(np.square((dense - self.mean) @ self.whiten).sum(axis=1))
        return distance


def fit_unseen(X: TextRows | NDArray[Any], X_calibration: TextRows | NDArray[Any]) -> Unseen:
    """Learn from N rows X what is usual, and from n other rows X_calibration how unusual they get.

    Rows are those of :class:`router.features.text.TextFeatures`, or an array of embeddings. The calibration
    rows must not be among X, and be like the traffic to come; no p-value is below 1 / (n + 1), so an
    abstention level of 1% wants n >= 99.

    Raises: ValueError for less than 20 rows of X or none to calibrate on.
    """
    n, n_calibration = len(X), len(X_calibration)
    if n < 20 or not n_calibration:
        raise ValueError(f"at least 20 rows to learn from and 1 to calibrate on, not {n} and {n_calibration}")
    # Words look less rare in the rows that counted them: the scales are learned on rows that did not.
    order = np.random.default_rng(0).permutation(n)
    cut = 2 * len(order) // 3
    count, scale = X[np.sort(order[:cut])], X[np.sort(order[cut:])]
    dense = scale.looks if isinstance(scale, TextRows) else scale
    rarity, place, directions = (
        _directions(count.words) if isinstance(count, TextRows) else _dense_directions(count)
    )
    mean, whiten = _whitening(np.asarray(dense, dtype=np.float64))
    none = np.empty(0)
    unseen = Unseen(rarity, place, directions, mean, whiten, middle=none, spread=none, calibration=none)
    parts = unseen._parts(scale)
    middle = np.median(parts, axis=0)
    spread = np.maximum(np.quantile(parts, 0.9, axis=0) - middle, _FLOOR)
    unseen = replace(unseen, middle=middle, spread=spread)
    return replace(unseen, calibration=np.sort(unseen.scores(X_calibration)))


def conformal_p_values(scores: Floats, calibration: Floats) -> Floats:
    """[N]: (1 + how many of the sorted ``calibration`` [n] are at least the score) / (n + 1)."""
    n = len(calibration)
    p_values: Floats = (1 + n - calibration.searchsorted(scores, side="left")) / (n + 1)
    return p_values


def _directions(X: Any) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """``rarity``, ``place`` and ``directions``: rows times directions are cosines to the cluster centres."""
    from sklearn.decomposition import TruncatedSVD

    n, buckets = X.shape
    seen = np.bincount(X.indices, minlength=buckets)
    rarity = np.log((n + 1) / (seen + 1)).astype(np.float32)
    frequent = np.argsort(-seen, kind="stable")[:_FREQUENT]
    frequent = frequent[seen[frequent] >= min(2, seen.max())]
    singular = max(1, min(_SINGULAR, len(frequent) - 1, n - 1))
    svd = TruncatedSVD(singular, random_state=0).fit(X[:, frequent])
    directions = svd.components_.T @ _centres(svd.transform(X[:, frequent])).T
    place = np.full(buckets, len(frequent), dtype=np.int32)
    place[frequent] = np.arange(len(frequent))
    return rarity, place, _with_zero_row(directions)


def _dense_directions(X: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), _FLOOR)
    return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int32), _with_zero_row(_centres(unit).T)


def _centres(points: NDArray[Any]) -> Floats:
    """[K, D] of length 1."""
    from sklearn.cluster import KMeans

    different = len(np.unique(points.round(_SAME_DIGITS), axis=0))  # no more centres than there are places
    clusters = KMeans(min(_CENTRES, different), n_init=1, random_state=0).fit(points)
    centres: Floats = clusters.cluster_centers_
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), _FLOOR)
    return centres


def _with_zero_row(directions: NDArray[Any]) -> NDArray[np.float32]:
    return np.vstack([directions, np.zeros_like(directions[:1])]).astype(np.float32)


def _whitening(dense: Floats) -> tuple[Floats, Floats]:
    """``mean`` and ``whiten``: the length of (row - mean) @ whiten is the Mahalanobis distance."""
    from sklearn.covariance import ledoit_wolf

    mean, scale = dense.mean(axis=0), np.maximum(dense.std(axis=0), _FLOOR)
    covariance, _ = ledoit_wolf((dense - mean) / scale, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    whiten: Floats = vectors / np.sqrt(np.maximum(values, _FLOOR)) / scale[:, None]
    return mean, whiten
