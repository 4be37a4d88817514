"""Which search suits which difficulty (Snell et al. 2024, Algorithm 6, method "search")."""

from __future__ import annotations

from router.types import Bin, StrategySpec

MAX_ROUNDS = 40
"""Of beam search (Snell et al. 2024, Algorithm 3)."""


def search_strategy(
    difficulty_bin: Bin | None, samples: int, *, beam_width: int = 4, scores_steps: bool = True
) -> StrategySpec:
    """The search for a bin within a budget of N ``samples``.

    Best-of-N (weighted) where the query is easy, since beam search over-optimises the verifier there, and
    beam search elsewhere. Algorithm 6 also asks whether N < 32, but both of its branches then do the same. A
    verifier that cannot judge steps (majority) leaves one search: the vote. ``None``, a query of unknown
    difficulty, gets best-of-N: what it costs at most is known best.
    """
    if not scores_steps:
        return StrategySpec("majority", samples, beam_width)
    if difficulty_bin in (None, Bin.EASY):
        return StrategySpec("best_of_n_weighted", samples, beam_width)
    return StrategySpec("beam", samples, beam_width, MAX_ROUNDS)
