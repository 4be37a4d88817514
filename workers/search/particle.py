"""Particle filtering (Puri et al. 2025, arXiv 2502.01618, Algorithm 1)."""

from __future__ import annotations

from random import Random

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.selection import select_best_of_n
from workers.search.tree import ROOT, Path, Tree, alive, first_steps

_CERTAIN = 1e-6
"""Scores stay this far from 0 and 1, where the logit has no value."""


def particle(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """N particles grow a step a round and are resampled by softmax(logit(score)); the best scored one wins.

    Resampling is multinomial, with replacement, as in the paper: a good path is likely to be continued often,
    and a bad one is not dropped for certain. Complete particles are not continued, but stay and compete. The
    draws are a function of the conversation and the spec: equal samples and scores give an equal search. The
    probe's first steps are first particles. After ``max_rounds`` each goes on to the end of its turn.

    The paper leaves the last choice open (a reward model or a vote); the one with the best score is what its
    authors' library takes.
    Raises :class:`workers.errors.NoAnswer` if none is complete when time or budget run out.
    """
    tree = Tree(problem, generate, score)
    draw = Random(f"{spec} {problem.messages}")
    started = first_steps(problem)[: spec.samples]
    particles = started + alive(tree.grow([ROOT] * (spec.samples - len(started))))
    for _ in range(spec.max_rounds - 1):
        if all(one.complete for one in particles):
            break
        drawn = draw.choices(particles, [_weight(one) for one in particles], k=spec.samples)
        grown = tree.grow([one for one in drawn if not one.complete])
        particles = [one for one in drawn if one.complete] + alive(grown)
    tree.finish(particles)
    return tree.select(select_best_of_n)


def _weight(path: Path) -> float:
    """exp(logit(score)), which is the odds: what the softmax of logits is proportional to."""
    probability = min(max(path.score, _CERTAIN), 1 - _CERTAIN)
    return probability / (1 - probability)
