"""Which candidate is the answer, and how much of the evidence stands behind it.

Every rule chooses from the best *tier* only: complete turns with an answer, else complete turns, else turns
that were cut off. So a candidate that never finished, or that breaks what the task demands of its answer,
cannot win against one that did not, whatever its score. What agrees is for the problem's task to say. Ties
are broken by what else is known (scores, votes, how likely the model found it), at last by the text: the
winner does not depend on order.

Confidence is the share that the winning answer has of the weight of *all* candidates, those of lower tiers
included: one answer among sixteen turns of which fifteen lead nowhere is not certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, inf

from workers.answers.port import Answers
from workers.protocols import Candidate, SearchResult

Select = Callable[[Sequence[Candidate], Answers], SearchResult]
Weight = Callable[[Candidate], float]

Rank = Callable[[float, float, float], tuple[float, ...]]
"""(sum of scores of an answer, votes for it, the candidate's own score) -> what decides first, then next."""


def select_majority(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """The most frequent answer (self-consistency); of those that give it, the best scored candidate."""
    return _select(candidates, answers, lambda believed, votes, score: (votes, believed, score), _one)


def select_best_of_n_weighted(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """The answer with the largest sum of scores (Snell et al. 2024, Algorithm 2)."""
    return _select(candidates, answers, lambda believed, votes, score: (believed, votes, score), _score)


def select_best_of_n(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """The candidate with the highest score. Confidence is as in :func:`select_best_of_n_weighted`."""
    return _select(candidates, answers, lambda believed, votes, score: (score, believed, votes), _score)


def select_from_chains(chains: Sequence[Sequence[Candidate]], answers: Answers) -> SearchResult:
    """Hierarchical selection over chains of revisions (Snell et al. 2024, Algorithm 7).

    Best-of-N weighted within each chain, of its winning answer the best solution; best-of-N weighted across
    these. Confidence is the share of the winning answer in all attempts of all chains.
    """
    finalists = [select_best_of_n_weighted(chain, answers).best for chain in chains if chain]
    best = select_best_of_n_weighted(finalists, answers).best
    everything = tuple(candidate for chain in chains for candidate in chain)
    eligible = best_tier(everything)
    at = eligible.index(best)
    believed = support(eligible, answers, _score)[at]
    votes = support(eligible, answers, _one)[at]
    return SearchResult(best, everything, _share(believed, votes, everything, _score))


def best_tier(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that may win, in order. Raises ``ValueError`` if there is no candidate at all."""
    if not candidates:
        raise ValueError("nothing to select from: a search needs at least one candidate")
    highest = max(map(_tier, candidates))
    return tuple(candidate for candidate in candidates if _tier(candidate) == highest)


def has_answer(candidate: Candidate) -> bool:
    """Whether it is of the highest tier."""
    return all(_tier(candidate))


def support(candidates: Sequence[Candidate], answers: Answers, weight: Weight) -> list[float]:
    """The weight behind each candidate's answer; one without an answer has only its own."""
    said = [at for at, one in enumerate(candidates) if one.answer is not None]
    behind = answers.support(
        [candidates[at].answer or "" for at in said], [weight(candidates[at]) for at in said]
    )
    by_place = dict(zip(said, behind, strict=True))
    return [by_place.get(at, weight(one)) for at, one in enumerate(candidates)]


def _select(candidates: Sequence[Candidate], answers: Answers, rank: Rank, weight: Weight) -> SearchResult:
    eligible = best_tier(candidates)
    believed, votes = support(eligible, answers, _score), support(eligible, answers, _one)
    best = max(
        range(len(eligible)),
        key=lambda at: (
            *rank(believed[at], votes[at], eligible[at].score),
            _likelihood(eligible[at]),
            eligible[at].text,
        ),
    )
    share = _share(votes[best] if weight is _one else believed[best], votes[best], candidates, weight)
    return SearchResult(eligible[best], tuple(candidates), share)


def _share(behind: float, votes: float, candidates: Sequence[Candidate], weight: Weight) -> float:
    total = fsum(map(weight, candidates))
    if total == 0.0:  # nobody believes in anything: fall back to counting
        return votes / len(candidates)
    return min(1.0, behind / total)


def _tier(candidate: Candidate) -> tuple[bool, bool]:
    return (candidate.finish_reason == "stop", candidate.answer is not None)


def _likelihood(candidate: Candidate) -> float:
    return -inf if candidate.mean_logprob is None else candidate.mean_logprob


def _one(_candidate: Candidate) -> float:
    return 1.0


def _score(candidate: Candidate) -> float:
    return candidate.score
