"""Text models that `gradus fit` chooses from: from prompts to P(right) of every action, several at once.

Words say what a question is about, its looks and wording how much work it is. Ridge regression reads the
one, trees the other; they err on different questions, so that their mean is mostly better than both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.tree._tree import NODE_DTYPE, Tree  # the form in which scikit-learn keeps and copies trees

from router.evaluation.crossval import folds
from router.features.lexical import LEXICAL
from router.features.text import TextFeatures
from router.features.wording import wording_features
from router.outcome_table import Floats

ENOUGH = 4000
_FOLDS = 4
_MANY = 500
"""For so many texts at once trees are built anew as scikit-learn has them, whose walk is compiled."""
_FAR = 4.0
"""Standardised looks are cut off here, or a prompt unlike all others is predicted to be impossible."""


class Readings(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Of N texts: words, a sparse float32 [N, buckets + K]; looks and wording [N, L], standardised, cut off.

    The last K columns of the words are looks again, which no model of words is to read: to drop them costs
    more than all else.
    """

    def __init__(self, buckets: int = 2**16) -> None:
        self.buckets = buckets

    def fit(self, texts: Sequence[str], y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        self.words_ = TextFeatures(self.buckets, looks=1.0).fit(texts)
        wording = wording_features(texts)
        self.mean_ = wording.mean(axis=0)
        self.scale_ = np.maximum(wording.std(axis=0), 1e-2)
        return self

    def transform(self, texts: Sequence[str]) -> tuple[Any, Any]:
        return self.of_rows(self.words_.transform(texts), texts)

    def of_rows(self, rows: Any, texts: Sequence[str]) -> tuple[Any, Any]:
        """The same, where ``words_`` read the texts already."""
        width = len(LEXICAL)
        # The last of every row: taken by place, at a tenth of the price of a slice.
        looks = rows.data[rows.indptr[1:, None] - width + np.arange(width)]
        wording = (wording_features(texts) - self.mean_) / self.scale_
        return rows, np.concatenate([looks, wording], axis=1).clip(-_FAR, _FAR)


class ReadText(RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """What predicts from the :class:`Readings` that it fitted."""

    readings_: Readings

    @property
    def features_(self) -> TextFeatures:
        """Whose rows a predictor takes for itself too: :class:`router.predictor.predictor.RowModel`."""
        return self.readings_.words_

    def predict(self, texts: Sequence[str]) -> Any:
        return self.predict_readings(*self.readings_.transform(texts))

    def predict_rows(self, rows: Any, texts: Sequence[str]) -> Any:
        """As :meth:`predict`, from texts and the rows that ``features_`` made of them."""
        return self.predict_readings(*self.readings_.of_rows(rows, texts))

    @abstractmethod
    def predict_readings(self, words: Any, looks: Any) -> Any:
        """[N, K] from what ``readings_`` made of N texts."""


class WordsText(ReadText):
    """Ridge regression on the words; targets may be NaN."""

    def __init__(self, alpha: float = 10.0) -> None:
        self.alpha = alpha

    def fit(self, texts: Sequence[str], Y: Floats) -> Self:
        self.readings_ = Readings().fit(texts)
        rows, _ = self.readings_.transform(texts)
        words = rows[:, : self.readings_.buckets]
        self.weights_ = np.zeros((rows.shape[1], Y.shape[1]), dtype=np.float32)
        self.intercept_ = np.zeros(Y.shape[1])
        known = np.isfinite(Y)
        for pattern in np.unique(known, axis=1).T:
            columns = np.flatnonzero((known == pattern[:, None]).all(axis=0))
            ridge = Ridge(self.alpha, solver="sparse_cg", tol=1e-3).fit(
                words[pattern], Y[pattern][:, columns]
            )
            self.weights_[: words.shape[1], columns] = np.atleast_2d(ridge.coef_).T
            self.intercept_[columns] = ridge.intercept_
        return self

    def predict(self, texts: Sequence[str]) -> Any:
        return self.predict_rows(self.features_.transform(texts), texts)

    def predict_rows(self, rows: Any, texts: Sequence[str]) -> Any:  # noqa: ARG002 (the shape of its siblings')
        return self.predict_readings(rows, None)  # how questions are put is not looked at

    def predict_readings(self, words: Any, looks: Any) -> Any:  # noqa: ARG002 (the shape of its sibling's)
        return words @ self.weights_ + self.intercept_


class TreesText(ReadText):
    """Extremely randomised trees on the looks (Geurts et al. 2006), all targets in the same trees.

    NaN among the targets is filled in from the question and the target (see :func:`_filled`).
    The trees are kept as flat arrays: all are walked down at once, so a single text takes some .1 ms.
    """

    def __init__(
        self, trees: int = 150, depth: int = 16, least: int = 5, share: float = 0.3, seed: int = 0
    ) -> None:
        self.trees = trees
        self.depth = depth
        self.least = least
        self.share = share
        self.seed = seed

    def fit(self, texts: Sequence[str], Y: Floats) -> Self:
        self.readings_ = Readings().fit(texts)
        _, looks = self.readings_.transform(texts)
        forest = ExtraTreesRegressor(
            self.trees,
            max_depth=self.depth,
            min_samples_leaf=max(self.least, len(texts) // 1000),
            max_features=self.share,
            random_state=self.seed,
        )
        forest.fit(looks, _filled(Y))
        grown = [each.tree_ for each in forest.estimators_]
        sizes = [each.node_count for each in grown]
        self.roots_ = (np.cumsum(sizes) - sizes).astype(np.intp)
        starts = np.repeat(self.roots_, sizes)
        left, right = (
            np.concatenate([getattr(each, side) for each in grown])
            for side in ("children_left", "children_right")
        )
        leaf = left < 0
        here = np.arange(len(left))
        children = np.where(leaf, here, np.stack([left, right]) + starts)
        self.children_ = children.T.ravel().astype(np.intp)
        self.feature_ = np.where(leaf, 0, np.concatenate([each.feature for each in grown])).astype(np.intp)
        self.threshold_ = np.concatenate([each.threshold for each in grown]).astype(np.float32)
        self.value_ = np.concatenate([each.value[:, :, 0] for each in grown]).astype(np.float32)
        self.depth_ = max(each.max_depth for each in grown)
        return self

    def predict_readings(self, words: Any, looks: Any) -> Any:  # noqa: ARG002 (the shape of its sibling's)
        if len(looks) >= _MANY:
            return self._predict_many(looks)
        seen = looks.ravel()
        starts = looks.shape[1] * np.arange(len(looks))[:, None]
        at = np.broadcast_to(self.roots_, (len(looks), len(self.roots_)))
        for _ in range(self.depth_):
            beyond = seen.take(starts + self.feature_.take(at)) > self.threshold_.take(at)
            at = self.children_.take(2 * at + beyond)
        return self.value_.take(at, axis=0).mean(axis=1).astype(np.float64)

    def _predict_many(self, looks: Any) -> Any:
        """The same sums, tree by tree."""
        total = np.zeros((len(looks), self.value_.shape[1]), dtype=np.float32)
        for root, tree in zip(self.roots_, self._compiled(looks.shape[1]), strict=True):
            total += self.value_.take(root + tree.apply(looks), axis=0)
        return (total / np.float32(len(self.roots_))).astype(np.float64)

    def _compiled(self, columns: int) -> Iterator[Tree]:
        """Each tree as scikit-learn walks it; what its leaves say is kept here."""
        children = self.children_.reshape(-1, 2)
        for start, end in pairwise([*self.roots_.tolist(), len(self.feature_)]):
            nodes = np.zeros(end - start, dtype=NODE_DTYPE)
            left, right = children[start:end].T - start
            leaf = left == np.arange(end - start)
            nodes["left_child"], nodes["right_child"] = np.where(leaf, -1, [left, right])
            nodes["feature"], nodes["threshold"] = self.feature_[start:end], self.threshold_[start:end]
            tree = Tree(columns, np.ones(1, dtype=np.intp), 1)
            state = {"max_depth": self.depth_, "node_count": len(nodes), "nodes": nodes}
            tree.__setstate__(state | {"values": np.zeros((len(nodes), 1, 1))})
            yield tree


class BothText(ReadText):
    """The mean of :class:`WordsText` and :class:`TreesText`, on the same readings."""

    def __init__(self, words: WordsText, trees: TreesText) -> None:
        self.words = words
        self.trees = trees

    def fit(self, texts: Sequence[str], Y: Floats) -> Self:
        self.words_ = clone(self.words).fit(texts, Y)
        self.trees_ = clone(self.trees).fit(texts, Y)
        self.readings_ = self.words_.readings_
        return self

    def predict_readings(self, words: Any, looks: Any) -> Any:
        of_words = self.words_.predict_readings(words, looks)
        return (of_words + self.trees_.predict_readings(words, looks)) / 2


def candidates(seed: int) -> dict[str, BaseEstimator]:
    """Unfitted, by name."""
    words, trees = WordsText(), TreesText(seed=seed)
    return {"words": words, "trees": trees, "both": BothText(words, trees)}


def choose(texts: Sequence[str], Y: Floats, groups: Sequence[str], seed: int) -> tuple[str, BaseEstimator]:
    """The best by inner cross-validation, fitted to all: what orders the gains between actions best.

    Of many questions a draw of :data:`ENOUGH` decides.
    """
    drawn = np.random.default_rng(seed).permutation(len(texts))[:ENOUGH]
    some, known, stories = [texts[row] for row in drawn], Y[drawn], [groups[row] for row in drawn]
    estimators = candidates(seed)
    predicted = {name: np.empty_like(known) for name in estimators}
    for training, test in folds(stories, _FOLDS, seed):
        inner, outer = ([some[row] for row in part] for part in (training, test))
        for name, estimator in estimators.items():
            # Centred, since a fold that is harder than average was trained on an easier rest.
            fitted = clone(estimator).fit(inner, known[training])
            predicted[name][test] = fitted.predict(outer) - np.nanmean(known[training], axis=0)
    name = max(estimators, key=lambda each: _told(predicted[each], known))
    return name, estimators[name].fit(texts, Y)


def _told(predicted: Floats, Y: Floats) -> float:
    """The correlation of what was predicted with what came, each question's mean over actions taken off.

    A router orders actions; that a question is harder for all of them changes no choice.
    """
    said, came = (np.where(np.isfinite(Y), each, np.nan) for each in (predicted, Y - np.nanmean(Y, axis=0)))
    if Y.shape[1] > 1:
        said, came = (each - np.nanmean(each, axis=1, keepdims=True) for each in (said, came))
    known = np.isfinite(came)
    if not np.std(said[known]) or not np.std(came[known]):
        return 0.0
    return float(np.corrcoef(said[known], came[known])[0, 1])


def _filled(Y: Floats) -> Floats:
    """What is unknown guessed: the mean of its target, and how much easier the question is than most."""
    mean = np.nanmean(Y, axis=0)
    known = np.isfinite(Y)
    easier = np.where(known, Y - mean, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
    filled: Floats = np.where(known, Y, mean + easier[:, None])
    return filled
