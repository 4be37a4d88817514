"""Searches that sample whole turns independently: they differ in how the winner is chosen.

All of them may stop before the budget is used up (:class:`router.types.Stopping`): see
:mod:`workers.search.voting`. They raise :class:`workers.errors.NoAnswer` if nothing is complete when time or
budget run out.
"""

from __future__ import annotations

from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.sampling import as_candidate, is_complete
from workers.search.selection import best_tier, select_best_of_n, select_best_of_n_weighted, select_majority
from workers.search.voting import Vote


def direct(problem: Problem, _spec: StrategySpec, generate: Generate, _score: Score) -> SearchResult:
    """One turn, unjudged: its score is 0 and the confidence is unknown. A turn of a probe will do."""
    if problem.probes:
        first = best_tier(problem.probes)[0]
        return SearchResult(first, (first,), confidence=None)
    (completion,) = generate([problem.turn()])
    if not is_complete(completion.ended):
        raise NoAnswer("the deadline came before the answer was complete")
    only = as_candidate(problem, completion.text, completion.ended)
    return SearchResult(only, (only,), confidence=None)


def majority(problem: Problem, spec: StrategySpec, generate: Generate, _score: Score) -> SearchResult:
    """The most frequent answer of N samples (self-consistency, Wang et al. 2022): nothing is judged."""
    return Vote(problem, spec, select_majority, None).run(generate)


def best_of_n(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """The best scored of N samples."""
    return Vote(problem, spec, select_best_of_n, score).run(generate)


def best_of_n_weighted(
    problem: Problem, spec: StrategySpec, generate: Generate, score: Score
) -> SearchResult:
    """The answer with the largest sum of scores over N samples (Snell et al. 2024, Algorithm 2)."""
    return Vote(problem, spec, select_best_of_n_weighted, score).run(generate)
