"""Searches as plain functions of a problem, a spec (the budget), ``generate`` and ``score``.

They know neither model nor queue nor money: whoever hands them ``generate`` counts and limits what they do
(:mod:`workers.meter`). The probe's candidates are the first candidates of every search: best-of-16 after a
probe of 16 generates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from router.types import StrategyName, StrategySpec
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.beam import beam
from workers.search.parallel import best_of_n, best_of_n_weighted, direct, majority

Strategy = Callable[[Problem, StrategySpec, Generate, Score], SearchResult]

STRATEGIES: Mapping[StrategyName, Strategy] = {
    "direct": direct,
    "majority": majority,
    "best_of_n": best_of_n,
    "best_of_n_weighted": best_of_n_weighted,
    "beam": beam,
}

BY_STEPS: frozenset[StrategyName] = frozenset(["beam", "lookahead", "dvts", "particle", "backtrack"])
"""Searches that judge unfinished turns: they need a verifier that can, and an engine that continues them."""

__all__ = ["BY_STEPS", "STRATEGIES", "Strategy"]
