"""Texts as sparse rows: hashed words and pairs of words by how rare they are, and what texts look like.

The words are hashed as scikit-learn's HashingVectorizer does (Weinberger et al. 2009): nothing but the
weights of the buckets has to be kept, and words never seen before cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import murmurhash3_32

from router.features.lexical import LEXICAL, lexical_features

Indices = NDArray[np.intp]

_WORD = re.compile(r"\w+|[^\w\s]")
"""Marks count as words."""


class TextFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """float32 [N, buckets + len(LEXICAL)]: tf-idf of hashed n-grams, each row of length 1, and looks.

    ``ngrams`` are the shortest and longest runs of words that are counted. ``looks`` is the weight of the
    second part; they are standardised, and 0 drops them.
    """

    def __init__(
        self,
        buckets: int = 2**16,
        ngrams: tuple[int, int] = (1, 2),
        looks: float = 0.1,
    ) -> None:
        self.buckets = buckets
        self.ngrams = ngrams
        self.looks = looks

    def fit(self, texts: Sequence[str], y: object = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        _, columns, _ = self._entries(texts)
        seen = np.bincount(columns, minlength=self.buckets)[: self.buckets]
        self.idf_ = (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32)
        looks = lexical_features(texts)
        self.mean_ = looks.mean(axis=0)
        self.scale_ = np.maximum(looks.std(axis=0), 1e-3)
        return self

    def transform(self, texts: Sequence[str]) -> Any:
        """A scipy CSR matrix with the columns of each row in order: its looks are the last, even zeros."""
        rows, columns, counts = self._entries(texts)
        is_word = columns < self.buckets
        rows_of_words = rows[is_word]
        weights = (1 + np.log(counts[is_word].astype(np.float32))) * self.idf_[columns[is_word]]
        norms = np.sqrt(np.bincount(rows_of_words, weights=weights**2, minlength=len(texts)))
        data = np.empty(len(columns), dtype=np.float32)
        data[is_word] = weights / norms[rows_of_words]
        data[~is_word] = (self.looks * (lexical_features(texts) - self.mean_) / self.scale_).ravel()
        indptr = np.zeros(len(texts) + 1, dtype=np.intp)
        np.bincount(rows, minlength=len(texts)).cumsum(out=indptr[1:])
        return csr_matrix((data, columns.astype(np.int32), indptr), shape=(len(texts), self._width))

    @property
    def _width(self) -> int:
        return self.buckets + len(LEXICAL)

    def _entries(self, texts: Sequence[str]) -> tuple[Indices, Indices, Indices]:
        """Row and column of each entry, in order, and how often it is there: words, and the looks once.

        As HashingVectorizer counts, in half of its time for a single text.
        """
        words = [self._words(text) for text in texts]
        hashes = np.array([murmurhash3_32(word) for each in words for word in each], dtype=np.int64)
        starts = self._width * np.arange(len(texts))
        looks = starts[:, None] + np.arange(self.buckets, self._width)
        hashed = np.repeat(starts, [len(each) for each in words]) + np.abs(hashes) % self.buckets
        places, counts = np.unique(np.concatenate([hashed, looks.ravel()]), return_counts=True)
        rows, columns = np.divmod(places, self._width)
        return rows, columns, counts

    def _words(self, text: str) -> list[str]:
        """Runs of words, of every length that is counted."""
        words = _WORD.findall(text.lower())
        shortest, longest = self.ngrams
        runs: list[str] = words if shortest == 1 else []
        for length in range(max(shortest, 2), longest + 1):
            runs = [*runs, *map(" ".join, zip(*(words[start:] for start in range(length)), strict=False))]
        return runs
