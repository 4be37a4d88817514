"""Diverse verifier tree search (Beeching et al. 2024, "Scaling test-time compute with open models")."""

from __future__ import annotations

from collections.abc import Sequence

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.selection import select_best_of_n_weighted
from workers.search.tree import ROOT, Path, Tree, alive, first_steps, rank, shares


def dvts(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """N/M independent subtrees, in each the best of M continuations a step; at last best-of-N weighted.

    Beam search with its beams kept apart: no subtree takes another's place, so the answers stay diverse. All
    subtrees grow in one batch a round. One ends when its best continuation is complete; the others that were
    complete are leaves too. The probe's first steps are dealt out to the subtrees, and take the places of
    first steps there. After ``max_rounds`` the best of each subtree goes on to the end of its turn.
    Raises :class:`workers.errors.NoAnswer` if no leaf is complete when time or budget run out.
    """
    tree = Tree(problem, generate, score)
    places = shares(spec.samples, max(1, spec.samples // spec.beam_width))
    dealt = [first_steps(problem)[at :: len(places)] for at in range(len(places))]
    rootlets = [(ROOT, count - len(firsts)) for count, firsts in zip(places, dealt, strict=True)]
    subtrees = [firsts + grown for firsts, grown in zip(dealt, _continuations(tree, rootlets), strict=True)]
    for _ in range(spec.max_rounds - 1):
        tips = _tips(subtrees)
        growing = [(tip, n) for tip, n in zip(tips, places, strict=True) if tip and not tip.complete]
        if not growing:
            break
        places = [n for _, n in growing]
        subtrees = _continuations(tree, growing)
    tree.finish(alive(_tips(subtrees)))
    return tree.select(select_best_of_n_weighted)


def _tips(subtrees: Sequence[Sequence[Path]]) -> list[Path | None]:
    """The best leaf of each subtree."""
    return [max(leaves, key=rank, default=None) for leaves in subtrees]


def _continuations(tree: Tree, tips: list[tuple[Path, int]]) -> list[list[Path]]:
    """So many continuations of each tip, in one batch; fewer where they were broken off."""
    grown = iter(tree.grow([tip for tip, count in tips for _ in range(count)]))
    return [[one for _, one in zip(range(count), grown, strict=False) if one] for _, count in tips]
