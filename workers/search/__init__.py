"""Searches of Snell et al. 2024, as functions of a spec, ``generate``, ``score`` and the probe's candidates.

They know neither model nor queue nor money: whoever hands them ``generate`` counts and limits what they do
(:mod:`workers.meter`). The probe's candidates are the first candidates of every search: best-of-16 after a
probe of 16 generates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from router.types import StrategyName, StrategySpec
from workers.protocols import Candidate, Generate, Score, SearchResult
from workers.search.beam import beam
from workers.search.parallel import best_of_n, best_of_n_weighted, direct, majority

Strategy = Callable[[StrategySpec, Generate, Score, Sequence[Candidate]], SearchResult]

STRATEGIES: Mapping[StrategyName, Strategy] = {
    "direct": direct,
    "majority": majority,
    "best_of_n": best_of_n,
    "best_of_n_weighted": best_of_n_weighted,
    "beam": beam,
}

__all__ = ["STRATEGIES", "Strategy"]
