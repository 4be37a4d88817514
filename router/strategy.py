"""Which search is done: the one that is named, or the one that suits a difficulty.

The latter is Snell et al. 2024, Algorithm 6, method "search".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from typing import Final, Literal

from router.types import Bin, StrategyName, StrategySpec

Judging = Literal["steps", "turns", "votes"]
"""What a verifier can judge: unfinished turns too, finished ones only, or nothing but how many agree."""

MOST_ROUNDS: Final = 200
"""Steps that a configuration or a request may let a turn have: each is a batch, and priced as one."""

BY_STEPS: Final[frozenset[StrategyName]] = frozenset(["beam", "lookahead", "dvts", "particle", "backtrack"])
"""Searches that judge unfinished turns."""
BY_BEAMS: Final[frozenset[StrategyName]] = frozenset(["beam", "lookahead", "dvts", "backtrack"])
"""Searches whose budget is split by ``beam_width``."""
BY_CHAINS: Final[frozenset[StrategyName]] = frozenset(["revisions", "reflect"])
"""Searches whose budget is split by ``chain_length``."""


def search_strategy(difficulty_bin: Bin | None, budget: StrategySpec, judging: Judging) -> StrategySpec:
    """``budget`` spent by the search that suits a bin.

    Best-of-N (weighted) where the query is easy, since beam search over-optimises the verifier there, and
    beam search elsewhere. Algorithm 6 also asks whether N < 32, but both of its branches then do the same. A
    verifier that cannot judge steps leaves best-of-N, one that counts votes the vote. ``None``, a query of
    unknown difficulty, gets best-of-N: what it costs at most is known best.
    """
    if judging == "votes":
        return replace(budget, name="majority")
    if judging == "turns" or difficulty_bin in (None, Bin.EASY):
        return replace(budget, name="best_of_n_weighted")
    return replace(budget, name="beam")


def square_root_width(samples: int) -> int:
    """The beam width M = sqrt(N) (Snell et al. 2024, section 5.2): the divisor of N that is nearest to it."""
    divisors = [width for width in range(1, samples + 1) if samples % width == 0]
    return min(divisors, key=lambda width: abs(width - sqrt(samples)))


def contradictions(
    strategy: StrategyName | Literal["auto"], budget: StrategySpec, judging: Judging, budget_name: str
) -> Iterator[tuple[str, str]]:
    """What keeps a search from being done: (parameter of ``budget`` at fault, problem).

    ``budget_name`` is what the number of samples is called where it was written.
    """
    if strategy in BY_STEPS and judging != "steps":
        yield "strategy", f"{strategy} judges unfinished answers, and the verifier cannot: it scores no steps"
    samples = f"{budget_name} ({budget.samples}) must be a multiple of"
    by_beams = strategy in BY_BEAMS or (strategy == "auto" and judging == "steps")
    if by_beams and budget.samples % budget.beam_width:
        yield "beam_width", f"{samples} beam_width ({budget.beam_width}), so that every round keeps N/M beams"
    if strategy in BY_CHAINS and budget.samples % budget.chain_length:
        yield "chain_length", f"{samples} chain_length ({budget.chain_length}), so that every chain is whole"
