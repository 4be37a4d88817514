"""Beam search with a process reward model (Snell et al. 2024, Algorithm 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.selection import select_best_of_n_weighted
from workers.search.tree import ROOT, Path, Tree, alive, best, first_steps

Grow = Callable[[Sequence[Path]], Sequence[Path | None]]


def beam(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """N first steps; round by round N continuations, shared by the N/M best; at last best-of-N weighted.

    A complete beam competes for its place but is not continued. After ``max_rounds`` the N/M best go on to
    the end of their turn in one batch, without steps. Differences to Algorithm 3:

    - The probe's turns start the search: their first steps, whose scores are known, are first beams.
    - It selects from everything that was ever complete, beams that lost their place and the probes included:
      all of it was paid for. The paper selects among the beams at T_max, complete or not.
    - At the last only the N/M survivors are finished; the paper weighs all N beams as they stand.
    - Equal beams take one place together, and so that the budget stays N a round, each survivor of k gets
      N/k continuations (M, if k is N/M). That matters where first steps are few.

    Out of time or budget, it selects from what is complete by then.
    Raises :class:`workers.errors.NoAnswer` if nothing is.
    """
    tree = Tree(problem, generate, score)
    tree.finish(grow_beams(first_steps(problem), spec, tree.grow))
    return tree.select(select_best_of_n_weighted)


def grow_beams(firsts: Sequence[Path], spec: StrategySpec, grow: Grow) -> list[Path]:
    """Algorithm 3 from the first beams there are, with one ``grow`` a round: the survivors of the last."""
    kept = max(1, spec.samples // spec.beam_width)
    beams = [*firsts, *alive(grow([ROOT] * (spec.samples - len(firsts))))]
    for _ in range(spec.max_rounds - 1):
        survivors = best(beams, kept)
        growing = [one for one in survivors if not one.complete]
        if not growing:
            break
        fan_out = spec.samples // len(survivors)
        grown = grow([one for one in growing for _ in range(fan_out)])
        beams = [one for one in survivors if one.complete] + alive(grown)
    return best(beams, kept)
