"""What `gradus train abacus report` computes of samples that are known to be right or wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from cost_model.scaling import pass_at_k
from router.probe import bin_of
from router.types import Bin
from workers.answers import Answers
from workers.protocols import Candidate, SearchResult
from workers.search.selection import select_best_of_n_weighted, select_majority
from workers.verifiers.aggregate import Aggregation, aggregate
from workers.verifiers.quality import Judged, measure

GROUP = 16
"""Samples that one answer is chosen from: as many as the router's probe and search take."""
QUINTILES = 5
_RESAMPLES = 2000

Floats = NDArray[np.float64]
Select = Callable[[Sequence[Candidate], Answers], SearchResult]


@dataclass(frozen=True, slots=True)
class Share:
    """A share, and what holds it with 95%: questions are drawn again (percentile bootstrap)."""

    value: float
    low: float
    high: float


def share(hits: Floats, of: Floats | None = None, *, seed: int = 0) -> Share:
    """``hits`` of the questions, summed, over ``of`` (by default 1 a question; in all more than 0)."""
    whole = np.ones(len(hits)) if of is None else of
    drawn = np.random.default_rng(seed).integers(len(hits), size=(_RESAMPLES, len(hits)))
    with np.errstate(invalid="ignore"):  # a draw without any of what is counted has no share
        again = hits[drawn].sum(1) / whole[drawn].sum(1)
        low, high = np.nanpercentile(again, [2.5, 97.5])
        return Share(float(hits.sum() / whole.sum()), float(low), float(high))


def part(judged: Judged, begin: int, end: int) -> Judged:
    """Some of a question's samples."""
    return replace(judged, candidates=judged.candidates[begin:end], right=judged.right[begin:end])


def together(parts: Sequence[Judged]) -> Judged:
    """The samples of all parts, which are of one question."""
    candidates = tuple(candidate for one in parts for candidate in one.candidates)
    return Judged(candidates, tuple(right for one in parts for right in one.right), parts[0].answers)


def unjudged(judged: Judged) -> Judged:
    """Without scores: a majority that no verifier had a hand in, not even where votes tie."""
    return replace(judged, candidates=tuple(replace(one, score=0.0) for one in judged.candidates))


def is_solved(judged: Judged, select: Select) -> bool:
    """Whether the candidate that ``select`` chooses is right."""
    best = select(judged.candidates, judged.answers).best
    return judged.right[next(at for at, one in enumerate(judged.candidates) if one is best)]


def solved(questions: Sequence[Judged], select: Select, size: int = GROUP) -> Floats:
    """For each question the share of its groups of ``size`` samples that ``select`` solves."""
    return np.array(
        [
            np.mean([is_solved(part(one, at, at + size), select) for at in _starts(one, size)])
            for one in questions
        ]
    )


def by_majority(questions: Sequence[Judged], size: int = GROUP) -> Floats:
    """As :func:`solved`, by votes alone."""
    return solved([unjudged(one) for one in questions], select_majority, size)


def pass_1(questions: Sequence[Judged]) -> Floats:
    """For each question the share of its samples that are right."""
    return np.array([np.mean(one.right) for one in questions])


def coverage(questions: Sequence[Judged], k: int) -> Floats:
    """For each question its unbiased pass@k."""
    return np.array([pass_at_k(len(one.right), sum(one.right), k) for one in questions])


def quintiles(questions: Sequence[Judged]) -> NDArray[np.int64]:
    """0 for the easiest fifth of the questions to 4 for the hardest, by pass@1 (Snell et al., 3.2)."""
    order = np.argsort(-pass_1(questions), kind="stable")
    found = np.empty(len(order), np.int64)
    for rank, members in enumerate(np.array_split(order, QUINTILES)):
        found[members] = rank
    return found


def by_quintile(values: Floats, ranks: NDArray[np.int64]) -> list[float]:
    return [float(values[ranks == rank].mean()) for rank in range(QUINTILES)]


def aggregations(questions: Sequence[Judged], size: int = GROUP) -> dict[str, dict[str, float | None]]:
    """What weighted best-of-16 and AUC would be, by how the scores of steps become one."""
    table = {}
    for how in get_args(Aggregation):
        again = [_aggregated(one, how) for one in questions]
        found = measure(again)
        table[how] = {
            "weighted_best_of_16": float(solved(again, select_best_of_n_weighted, size).mean()),
            "auc": found.auc,
            "within_question_auc": found.within_question_auc,
        }
    return table


def calibration(
    small: Sequence[Judged], large: Sequence[Judged], small_tokens: Floats, large_tokens: Floats
) -> dict[str, Any]:
    """What :mod:`router.artifacts` reads, but for the names of what was measured.

    By bin of the mean score of 16 probes: what search with the small model and one answer of the large model
    get right, and how many tokens one completion has (``small_tokens``, ``large_tokens``: the mean of each
    question's).
    """
    bins = np.array([bin_of(float(np.mean([one.score for one in each.candidates]))) for each in small])
    columns = {
        # By weighted best-of-16, which stands for every search of that size.
        "small_right": solved(small, select_best_of_n_weighted),
        "small_majority_right": by_majority(small),
        "small_pass_1": pass_1(small),
        "large_right": pass_1(large),
        "small_completion_tokens": small_tokens,
        "large_completion_tokens": large_tokens,
    }
    measured: dict[str, Any] = {}
    for name in Bin:
        chosen = bins == name
        count = int(chosen.sum())
        means = {key: round(float(values[chosen].mean()), 4) for key, values in columns.items() if count}
        measured[name.value] = {"questions": count, **means}
    return {
        "version": 1,
        "probe_samples": GROUP,
        "search_samples": GROUP,
        "split": "calibration",
        "questions": len(small),
        "bins": measured,
    }


def _starts(judged: Judged, size: int) -> range:
    return range(0, len(judged.candidates) - size + 1, size)


def _aggregated(judged: Judged, how: Aggregation) -> Judged:
    scored = tuple(replace(one, score=aggregate(one.step_scores, how)) for one in judged.candidates)
    return replace(judged, candidates=scored)
