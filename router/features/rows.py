"""What was read of texts, before a model sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TextRows:
    """Of N texts, as :class:`router.features.text.TextFeatures` reads them.

    ``words`` is a scipy CSR matrix float32 [N, buckets]: tf-idf of hashed n-grams, each row of length 1, its
    columns in order. ``looks`` [N, L] float32 are standardised, by :data:`router.features.lexical.LEXICAL`.
    """

    words: Any
    looks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.looks)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> TextRows:
        return TextRows(self.words[rows], self.looks[rows])
