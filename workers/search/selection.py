"""Which candidate is the answer, and how much of the evidence stands behind it.

Every rule chooses from the best *tier* only: complete turns with an answer, else complete turns, else turns
that were cut off. So a candidate that never finished cannot win against one that did. Ties are broken by
score, then by order: equal candidates always give an equal winner.

Confidence is the share that the winning answer has of the weight of *all* candidates, those of lower tiers
included: one answer among sixteen turns of which fifteen lead nowhere is not certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workers.protocols import Candidate, SearchResult

Weight = Callable[[Candidate], float]


def select_majority(candidates: Sequence[Candidate]) -> SearchResult:
    """The most frequent answer (self-consistency); of those that give it, the best scored candidate."""
    return _select_heaviest(candidates, _one)


def select_best_of_n_weighted(candidates: Sequence[Candidate]) -> SearchResult:
    """The answer with the largest sum of scores (Snell et al. 2024, Algorithm 2)."""
    return _select_heaviest(candidates, _score)


def select_best_of_n(candidates: Sequence[Candidate]) -> SearchResult:
    """The candidate with the highest score. Confidence is as in :func:`select_best_of_n_weighted`."""
    eligible = best_tier(candidates)
    best = max(eligible, key=_score)
    agreeing = next(group for group in _by_answer(eligible) if best in group)
    return SearchResult(best, tuple(candidates), _share(agreeing, candidates, _score))


def best_tier(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that may win, in order. Raises ``ValueError`` if there is no candidate at all."""
    if not candidates:
        raise ValueError("nothing to select from: a search needs at least one candidate")
    highest = max(map(_tier, candidates))
    return tuple(candidate for candidate in candidates if _tier(candidate) == highest)


def _select_heaviest(candidates: Sequence[Candidate], weight: Weight) -> SearchResult:
    groups = _by_answer(best_tier(candidates))
    heaviest = max(groups, key=lambda group: (sum(map(weight, group)), sum(map(_score, group))))
    return SearchResult(
        best=max(heaviest, key=_score),
        candidates=tuple(candidates),
        confidence=_share(heaviest, candidates, weight),
    )


def _tier(candidate: Candidate) -> tuple[bool, bool]:
    return (candidate.finish_reason == "stop", candidate.answer is not None)


def _by_answer(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates that share an answer, in order of first appearance; one without an answer is alone."""
    groups: dict[str | int, list[Candidate]] = {}
    for index, candidate in enumerate(candidates):
        groups.setdefault(index if candidate.answer is None else candidate.answer, []).append(candidate)
    return list(groups.values())


def _share(group: Sequence[Candidate], candidates: Sequence[Candidate], weight: Weight) -> float:
    total = sum(map(weight, candidates))
    if total == 0.0:  # nobody believes in anything: fall back to counting
        return len(group) / len(candidates)
    return min(1.0, sum(map(weight, group)) / total)


def _one(_candidate: Candidate) -> float:
    return 1.0


def _score(candidate: Candidate) -> float:
    return candidate.score
