"""Searches that sample whole turns independently: they differ only in how the winner is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Candidate, Generate, Score, Scored, SearchResult
from workers.search.sampling import as_candidate, is_complete, top_up
from workers.search.selection import select_best_of_n, select_best_of_n_weighted, select_majority


def direct(
    _spec: StrategySpec, generate: Generate, _score: Score, initial: Sequence[Candidate]
) -> SearchResult:
    """One turn, unjudged: its score is 0 and the confidence is unknown. A probe's first turn will do."""
    if initial:
        return SearchResult(initial[0], (initial[0],), confidence=None)
    (completion,) = generate([""], False)
    if not is_complete(completion.ended):
        raise NoAnswer("the deadline came before the answer was complete")
    only = as_candidate(completion.text, completion.ended, Scored((), 0.0))
    return SearchResult(only, (only,), confidence=None)


def majority(
    spec: StrategySpec, generate: Generate, score: Score, initial: Sequence[Candidate]
) -> SearchResult:
    """The most frequent answer of N samples (self-consistency)."""
    return select_majority(_some(top_up(initial, spec.samples, generate, score)))


def best_of_n(
    spec: StrategySpec, generate: Generate, score: Score, initial: Sequence[Candidate]
) -> SearchResult:
    """The best scored of N samples."""
    return select_best_of_n(_some(top_up(initial, spec.samples, generate, score)))


def best_of_n_weighted(
    spec: StrategySpec, generate: Generate, score: Score, initial: Sequence[Candidate]
) -> SearchResult:
    """The answer with the largest sum of scores over N samples (Snell et al. 2024, Algorithm 2)."""
    return select_best_of_n_weighted(_some(top_up(initial, spec.samples, generate, score)))


def _some(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    if not candidates:
        raise NoAnswer("the deadline came before any candidate was complete")
    return candidates
