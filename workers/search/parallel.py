"""Searches that sample whole turns independently: they differ only in how the winner is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Candidate, Generate, Problem, Score, SearchResult
from workers.search.sampling import as_candidate, is_complete, sample
from workers.search.selection import select_best_of_n, select_best_of_n_weighted, select_majority


def direct(problem: Problem, _spec: StrategySpec, generate: Generate, _score: Score) -> SearchResult:
    """One turn, unjudged: its score is 0 and the confidence is unknown. A probe's first turn will do."""
    if problem.probes:
        return SearchResult(problem.probes[0], problem.probes[:1], confidence=None)
    (completion,) = generate([problem.turn()])
    if not is_complete(completion.ended):
        raise NoAnswer("the deadline came before the answer was complete")
    only = as_candidate(problem, completion.text, completion.ended)
    return SearchResult(only, (only,), confidence=None)


def majority(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """The most frequent answer of N samples (self-consistency)."""
    return select_majority(_sampled(problem, spec, generate, score), problem.answers)


def best_of_n(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """The best scored of N samples."""
    return select_best_of_n(_sampled(problem, spec, generate, score), problem.answers)


def best_of_n_weighted(
    problem: Problem, spec: StrategySpec, generate: Generate, score: Score
) -> SearchResult:
    """The answer with the largest sum of scores over N samples (Snell et al. 2024, Algorithm 2)."""
    return select_best_of_n_weighted(_sampled(problem, spec, generate, score), problem.answers)


def _sampled(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> Sequence[Candidate]:
    new = sample(problem, spec.samples - len(problem.probes), generate, score)
    if not problem.probes and not new:
        raise NoAnswer("the deadline came before any candidate was complete")
    return (*problem.probes, *new)
