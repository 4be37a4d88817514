"""How often each question is drawn by the bootstrap, one chunk after another.

Poisson weights (Oza and Russell 2001; Chamandy et al. 2012, for streams): a resample draws each group of
questions so many times, by itself, with mean 1. They follow from the group's name alone. So all policies see
the same resamples, a group that comes again is drawn again with it, and neither chunks nor processes matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 200

# Poisson(1) in 256ths: as many bytes stand for each count.
_COUNTS = np.repeat(np.arange(6.0), [94, 94, 47, 16, 4, 1])
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def weights_of(groups: Sequence[str]) -> Floats:
    """[N, 1 + R] of N questions by their groups; the first column, of all as they are, is 1."""
    hashes = np.fromiter(
        (crc32(group.encode("utf-8", "replace")) for group in groups), np.uint64, len(groups)
    )
    words = RESAMPLES // 8
    drawn = _mixed(_mixed(hashes)[:, None] + np.arange(1, words + 1, dtype=np.uint64) * _GOLDEN)
    counts = _COUNTS[drawn.view(np.uint8)]
    return np.concatenate([np.ones((len(groups), 1)), counts], axis=1)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
