"""Texts as sparse rows: hashed words and pairs of words by how rare they are, and what texts look like.

The words are hashed as scikit-learn's HashingVectorizer does (Weinberger et al. 2009): nothing but the
weights of the buckets has to be kept, and words never seen before cost nothing.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils import murmurhash3_32

from router.features.lexical import lexical_features
from router.features.rows import TextRows

_WORD = re.compile(r"\w+|\S")
"""Marks count as words."""
_NO_MARKS = f"{string.ascii_letters}{string.digits}_{string.whitespace}\x1c\x1d\x1e\x1f".encode()
"""Of ASCII."""


class TextFeatures(BaseEstimator):  # type: ignore[misc]
    """Reads texts into :class:`router.features.rows.TextRows`.

    ``ngrams`` are the shortest and longest runs of words that are counted. ``looks`` is the weight of the
    looks; 0 drops them.
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
        columns, _, _ = self._entries(texts)
        seen = np.bincount(columns, minlength=self.buckets)
        self.idf_ = (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32)
        looks = lexical_features(texts)
        self.mean_ = looks.mean(axis=0)
        self.scale_ = np.maximum(looks.std(axis=0), 1e-3)
        return self

    def transform(self, texts: Sequence[str]) -> TextRows:
        columns, counts, starts = self._entries(texts)
        row = np.arange(len(texts)).repeat(starts[1:] - starts[:-1])
        weights = (1 + np.log(counts.astype(np.float32))) * self.idf_.take(columns)
        norms = np.sqrt(np.bincount(row, weights=weights * weights, minlength=len(texts)))
        weights = (weights / norms.take(row)).astype(np.float32)
        words = csr_matrix((weights, columns, starts), shape=(len(texts), self.buckets))
        return TextRows(words, self.looks * (lexical_features(texts) - self.mean_) / self.scale_)

    def _entries(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.int32]]:
        """The columns of each text's words, in order, how often each is there, and where each text begins.

        As HashingVectorizer counts, in half of its time for a single text.
        """
        words = [self._words(text) for text in texts]
        sizes = [len(each) for each in words]
        hashes = np.fromiter(map(murmurhash3_32, chain.from_iterable(words)), np.int64, sum(sizes))
        starts = self.buckets * np.arange(len(texts) + 1)
        places = starts[:-1].repeat(sizes) + np.abs(hashes) % self.buckets
        places.sort()
        other = np.ones(len(places) + 1, dtype=np.bool_)
        np.not_equal(places[1:], places[:-1], out=other[1:-1])
        first = np.flatnonzero(other)
        places = places.take(first[:-1])
        columns = (places % self.buckets).astype(np.int32)
        return columns, first[1:] - first[:-1], places.searchsorted(starts).astype(np.int32)

    def _words(self, text: str) -> list[str]:
        """Runs of words, of every length that is counted."""
        words = _words_and_marks(text.lower())
        shortest, longest = self.ngrams
        runs: list[str] = words if shortest == 1 else []
        for length in range(max(shortest, 2), longest + 1):
            runs = [*runs, *map(" ".join, zip(*(words[start:] for start in range(length)), strict=False))]
        return runs


def _words_and_marks(text: str) -> list[str]:
    if not text.isascii():
        return _WORD.findall(text)
    # The same up to three times as fast: few marks are different ones.
    for mark in set(text.encode().translate(None, _NO_MARKS).decode()):
        text = text.replace(mark, f" {mark} ")
    return text.split()
