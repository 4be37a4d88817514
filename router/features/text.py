"""Texts as sparse rows: hashed words and pairs of words by how rare they are, and what texts look like.

The words are hashed by scikit-learn's HashingVectorizer (Weinberger et al. 2009): nothing but the weights of
the buckets has to be kept, and words never seen before cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import HashingVectorizer

from router.features.lexical import LEXICAL, lexical_features


class TextFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """float32 [N, buckets + len(LEXICAL)]: tf-idf of hashed n-grams, each row of length 1, and looks.

    ``ngrams`` are the shortest and longest runs of words (``analyzer`` "word") or characters ("char_wb").
    ``looks`` is the weight of the second part; they are standardised, and 0 drops them.
    """

    def __init__(
        self,
        buckets: int = 2**16,
        ngrams: tuple[int, int] = (1, 2),
        analyzer: str = "word",
        looks: float = 0.1,
    ) -> None:
        self.buckets = buckets
        self.ngrams = ngrams
        self.analyzer = analyzer
        self.looks = looks

    def fit(self, texts: Sequence[str], y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        counts = self._counts(texts)
        seen = np.bincount(counts.indices, minlength=self.buckets)
        self.idf_ = (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32)
        looks = lexical_features(texts)
        self.mean_ = looks.mean(axis=0)
        self.scale_ = np.maximum(looks.std(axis=0), 1e-3)
        return self

    def transform(self, texts: Sequence[str]) -> Any:
        """A scipy CSR matrix; a single text takes some .2 ms."""
        words = self._counts(texts)
        data = (1 + np.log(words.data)) * self.idf_[words.indices]
        rows = np.repeat(np.arange(len(texts)), np.diff(words.indptr))
        norms = np.sqrt(np.bincount(rows, weights=data**2, minlength=len(texts)))
        data = data / norms[rows]
        looks = self.looks * (lexical_features(texts) - self.mean_) / self.scale_
        return self._beside(words, data, looks)

    def _counts(self, texts: Sequence[str]) -> Any:
        # Not kept as an attribute: skops would have to trust it, and it holds nothing that was learned.
        hashing = HashingVectorizer(
            analyzer=self.analyzer,
            ngram_range=self.ngrams,
            n_features=self.buckets,
            token_pattern=r"(?u)\b\w+\b|[^\w\s]",
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        )
        return hashing.transform(texts)

    def _beside(self, words: Any, data: Any, looks: Any) -> Any:
        """One matrix of both parts: what scipy's hstack does, at a tenth of its price for a single text."""
        width = looks.shape[1]
        indptr = words.indptr + width * np.arange(len(looks) + 1)
        tail = (indptr[1:, None] - width + np.arange(width)).ravel()
        is_word = np.ones(indptr[-1], dtype=np.bool_)
        is_word[tail] = False
        values = np.empty(indptr[-1], dtype=np.float32)
        columns = np.empty(indptr[-1], dtype=words.indices.dtype)
        values[is_word], columns[is_word] = data, words.indices
        values[tail], columns[tail] = looks.ravel(), np.tile(self.buckets + np.arange(width), len(looks))
        return csr_matrix((values, columns, indptr), shape=(len(looks), self.buckets + len(LEXICAL)))
