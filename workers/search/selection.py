"""Which candidate is the answer, and how much of the evidence stands behind it.

Every rule chooses from the best *tier* only: complete turns with an answer, else complete turns, else turns
that were cut off. So a candidate that never finished, or that breaks what the task demands of its answer,
cannot win against one that did not, whatever its score. Ties are broken by score, then by order: equal
candidates always give an equal winner. What agrees is for the problem's task to say.

Confidence is the share that the winning answer has of the weight of *all* candidates, those of lower tiers
included: one answer among sixteen turns of which fifteen lead nowhere is not certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workers.answers.port import Answers
from workers.protocols import Candidate, SearchResult

Weight = Callable[[Candidate], float]


def select_majority(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """The most frequent answer (self-consistency); of those that give it, the best scored candidate."""
    return _select_heaviest(candidates, answers, _one)


def select_best_of_n_weighted(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """The answer with the largest sum of scores (Snell et al. 2024, Algorithm 2)."""
    return _select_heaviest(candidates, answers, _score)


def select_best_of_n(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """The candidate with the highest score. Confidence is as in :func:`select_best_of_n_weighted`."""
    eligible = best_tier(candidates)
    best = max(range(len(eligible)), key=lambda at: eligible[at].score)
    behind = support(eligible, answers, _score)
    return SearchResult(
        eligible[best], tuple(candidates), _share(behind[best], eligible, best, candidates, answers, _score)
    )


def best_tier(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that may win, in order. Raises ``ValueError`` if there is no candidate at all."""
    if not candidates:
        raise ValueError("nothing to select from: a search needs at least one candidate")
    highest = max(map(_tier, candidates))
    return tuple(candidate for candidate in candidates if _tier(candidate) == highest)


def support(candidates: Sequence[Candidate], answers: Answers, weight: Weight) -> list[float]:
    """The weight behind each candidate's answer; one without an answer has only its own."""
    said = [at for at, one in enumerate(candidates) if one.answer is not None]
    behind = answers.support(
        [candidates[at].answer or "" for at in said], [weight(candidates[at]) for at in said]
    )
    by_place = dict(zip(said, behind, strict=True))
    return [by_place.get(at, weight(one)) for at, one in enumerate(candidates)]


def _select_heaviest(candidates: Sequence[Candidate], answers: Answers, weight: Weight) -> SearchResult:
    eligible = best_tier(candidates)
    behind = support(eligible, answers, weight)
    believed = support(eligible, answers, _score)
    best = max(range(len(eligible)), key=lambda at: (behind[at], believed[at], eligible[at].score))
    return SearchResult(
        eligible[best], tuple(candidates), _share(behind[best], eligible, best, candidates, answers, weight)
    )


def _tier(candidate: Candidate) -> tuple[bool, bool]:
    return (candidate.finish_reason == "stop", candidate.answer is not None)


def _share(
    behind: float,
    eligible: Sequence[Candidate],
    best: int,
    candidates: Sequence[Candidate],
    answers: Answers,
    weight: Weight,
) -> float:
    total = sum(map(weight, candidates))
    if total == 0.0:  # nobody believes in anything: fall back to counting
        return support(eligible, answers, _one)[best] / len(candidates)
    return min(1.0, behind / total)


def _one(_candidate: Candidate) -> float:
    return 1.0


def _score(candidate: Candidate) -> float:
    return candidate.score
