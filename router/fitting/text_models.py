"""Text models that `gradus fit` chooses from: from prompts to P(right) of every action, several at once.

Words say what a question is about, its looks and wording how much work it is. Ridge regression reads the
one, trees the other; they err on different questions, so that their mean is mostly better than both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge

from router.evaluation.crossval import folds
from router.features.rows import TextRows
from router.features.text import TextFeatures
from router.features.wording import wording_features
from router.outcome_table import Floats

ENOUGH = 4000
_FOLDS = 4
_AT_ONCE = 64
"""Texts that go down the trees side by side: more of them take more memory than is near."""
_FAR = 4.0
"""Standardised looks are cut off here, or a prompt unlike all others is predicted to be impossible."""


class Readings(BaseEstimator):  # type: ignore[misc]
    """Of N texts: words, a sparse float32 [N, buckets]; looks and wording [N, L], standardised, cut off."""

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

    def of_rows(self, rows: TextRows, texts: Sequence[str]) -> tuple[Any, Any]:
        """The same, where ``words_`` read the texts already."""
        wording = (wording_features(texts) - self.mean_) / self.scale_
        looks = np.concatenate([rows.looks, wording], axis=1)
        return rows.words, np.minimum(np.maximum(looks, -_FAR), _FAR)


class ReadText(RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """What predicts from the :class:`Readings` that it fitted."""

    readings_: Readings

    @property
    def features_(self) -> TextFeatures:
        """Whose rows a predictor takes for itself too: :class:`router.predictor.predictor.RowModel`."""
        return self.readings_.words_

    def predict(self, texts: Sequence[str]) -> Any:
        return self.predict_readings(*self.readings_.transform(texts))

    def predict_rows(self, rows: TextRows, texts: Sequence[str]) -> Any:
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
        words = self.features_.transform(texts).words
        self.weights_ = np.zeros((words.shape[1], Y.shape[1]), dtype=np.float32)
        self.intercept_ = np.zeros(Y.shape[1])
        known = np.isfinite(Y)
        for pattern in np.unique(known, axis=1).T:
            columns = np.flatnonzero((known == pattern[:, None]).all(axis=0))
            ridge = Ridge(self.alpha, solver="sparse_cg", tol=1e-3).fit(
                words[pattern], Y[pattern][:, columns]
            )
            self.weights_[:, columns] = np.atleast_2d(ridge.coef_).T
            self.intercept_[columns] = ridge.intercept_
        return self

    def predict(self, texts: Sequence[str]) -> Any:
        return self.predict_rows(self.features_.transform(texts), texts)

    def predict_rows(self, rows: TextRows, texts: Sequence[str]) -> Any:  # noqa: ARG002 (its siblings' shape)
        return self.predict_readings(rows.words, None)  # how questions are put is not looked at

    def predict_readings(self, words: Any, looks: Any) -> Any:  # noqa: ARG002 (the shape of its sibling's)
        # Those that releases before this one wrote had rows of zeros for looks, too.
        return words @ self.weights_[: words.shape[1]] + self.intercept_


class TreesText(ReadText):
    """Extremely randomised trees on the looks (Geurts et al. 2006), all targets in the same trees.

    NaN among the targets is filled in from the question and the target (see :func:`_filled`).
    The trees are kept as flat arrays, in which the children of a node stand side by side: all trees are
    walked down at once, so a single text takes some .1 ms.
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
        self.roots_ = np.cumsum(sizes) - sizes
        starts = np.repeat(self.roots_, sizes)
        left, right = (
            np.concatenate([getattr(each, side) for each in grown])
            for side in ("children_left", "children_right")
        )
        leaf = left < 0
        here = np.arange(len(left))
        self.feature_ = np.where(leaf, 0, np.concatenate([each.feature for each in grown]))
        self.threshold_ = np.concatenate([each.threshold for each in grown]).astype(np.float32)
        self.value_ = np.concatenate([each.value[:, :, 0] for each in grown]).astype(np.float32)
        self.depth_ = max(each.max_depth for each in grown)
        self._lay_out(np.where(leaf, here, np.stack([left, right]) + starts).T)
        return self

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        kept = dict(state)
        children = kept.pop("children_", None)
        super().__setstate__(kept)
        if children is not None:  # written by a release before this one
            self._lay_out(children.reshape(-1, 2))

    def _lay_out(self, children: NDArray[np.intp]) -> None:
        """Number the nodes level by level, siblings one after the other: where the left child is says all.

        ``children`` [nodes, 2], a leaf's are itself; all nodes are numbered as those.
        """
        inner = children[:, 0] != np.arange(len(children))
        levels = [self.roots_]
        for _ in range(self.depth_):
            levels.append(children[levels[-1][inner[levels[-1]]]].ravel())
        order = np.concatenate(levels)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        self.roots_ = place[self.roots_]
        self.left_ = place[children[order, 0]].astype(np.intp)  # of a leaf itself
        self.feature_ = self.feature_[order].astype(np.intp)
        # Nothing is beyond a leaf's.
        self.threshold_ = np.where(inner, self.threshold_, np.float32(np.inf))[order]
        self.value_ = self.value_[order]

    def predict_readings(self, words: Any, looks: Any) -> Any:  # noqa: ARG002 (the shape of its sibling's)
        said = np.empty((len(looks), self.value_.shape[1]))
        for first in range(0, len(looks), _AT_ONCE):
            said[first : first + _AT_ONCE] = self._values(looks[first : first + _AT_ONCE])
        return said

    def _values(self, looks: Any) -> Any:
        """[n, K] of n texts. Texts and trees lie in one dimension: of that numpy takes faster than of two."""
        count, width = looks.shape
        seen = looks.ravel()
        starts = (width * np.arange(count)).repeat(len(self.roots_))
        at = np.tile(self.roots_, count)
        for _ in range(self.depth_):
            asked = self.feature_.take(at)
            asked += starts
            beyond = seen.take(asked) > self.threshold_.take(at)
            at = self.left_.take(at)
            at += beyond
        return self.value_.take(at.reshape(count, -1), axis=0).mean(axis=1)


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
