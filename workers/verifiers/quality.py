"""How good a verifier is, from turns whose rightness is known.

Told apart are: whether its scores rank right above wrong (AUC, over all turns and within questions), whether
they mean what they say (calibration), and whether choosing by them beats counting votes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.answers import Answers
from workers.protocols import Candidate, SearchResult
from workers.search.selection import select_best_of_n, select_best_of_n_weighted, select_majority

_BINS: Final = 10
_RESAMPLES: Final = 2000

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Select = Callable[[Sequence[Candidate], Answers], SearchResult]


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: its scored candidates, which of them are right, and how their answers compare."""

    candidates: tuple[Candidate, ...]
    right: tuple[bool, ...]
    answers: Answers


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The outcomes with scores from ``low`` to ``high``: a calibrated verifier has ``share_right`` as its
    ``mean_score``.
    """

    low: float
    high: float
    outcomes: int
    mean_score: float
    share_right: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured. Shares are of questions; an AUC is ``None`` where nothing can be ranked.

    ``ece`` is the expected calibration error over ten bins of equal width, ``brier`` the mean squared error.
    ``gain_over_majority`` is that of the weighted vote; ``gain_interval`` holds it with 95%.
    """

    outcomes: int
    questions: int
    auc: float | None
    within_question_auc: float | None
    ece: float
    brier: float
    reliability: tuple[ReliabilityBin, ...]
    majority_right: float
    weighted_right: float
    best_of_n_right: float
    gain_over_majority: float
    gain_interval: tuple[float, float]


def measure(questions: Sequence[Judged], *, seed: int = 0) -> Quality:
    """The quality of the scores. The interval resamples questions (bootstrap). At least one outcome."""
    scores = np.array([one.score for question in questions for one in question.candidates])
    right = np.array([one for question in questions for one in question.right])
    majority = _chosen(questions, _by_votes)
    weighted = _chosen(questions, select_best_of_n_weighted)
    gains = weighted - majority
    within = [_auc_of(question) for question in questions]
    rankable = [one for one in within if one is not None]
    bins = _reliability(scores, right)
    return Quality(
        outcomes=len(scores),
        questions=len(questions),
        auc=auc(scores, right),
        within_question_auc=float(np.mean(rankable)) if rankable else None,
        ece=sum(one.outcomes * abs(one.mean_score - one.share_right) for one in bins) / len(scores),
        brier=float(np.mean((scores - right) ** 2)),
        reliability=bins,
        majority_right=float(majority.mean()),
        weighted_right=float(weighted.mean()),
        best_of_n_right=float(_chosen(questions, select_best_of_n).mean()),
        gain_over_majority=float(gains.mean()),
        gain_interval=_interval(gains, seed),
    )


def auc(scores: Floats, right: Bools) -> float | None:
    """How often a right one is scored above a wrong one, ties counting half; ``None`` without both kinds."""
    good, bad = scores[right], np.sort(scores[~right])
    if not len(good) or not len(bad):
        return None
    below = np.searchsorted(bad, good, side="left")
    not_above = np.searchsorted(bad, good, side="right")
    return float((below + not_above).mean() / 2 / len(bad))


def _auc_of(question: Judged) -> float | None:
    scores = np.array([one.score for one in question.candidates])
    return auc(scores, np.array(question.right))


def _reliability(scores: Floats, right: Bools) -> tuple[ReliabilityBin, ...]:
    place = np.clip((scores * _BINS).astype(int), 0, _BINS - 1)
    return tuple(
        ReliabilityBin(
            low=number / _BINS,
            high=(number + 1) / _BINS,
            outcomes=int(inside.sum()),
            mean_score=float(scores[inside].mean()),
            share_right=float(right[inside].mean()),
        )
        for number in range(_BINS)
        if (inside := place == number).any()
    )


def _chosen(questions: Sequence[Judged], select: Select) -> Floats:
    """1 for each question whose selected candidate is right, else 0."""
    chosen = []
    for question in questions:
        best = select(question.candidates, question.answers).best
        place = next(at for at, one in enumerate(question.candidates) if one is best)
        chosen.append(float(question.right[place]))
    return np.array(chosen)


def _by_votes(candidates: Sequence[Candidate], answers: Answers) -> SearchResult:
    """Majority without any verifier: scores do not break its ties."""
    unscored = [replace(one, score=0.0) for one in candidates]
    best = select_majority(unscored, answers).best
    place = next(at for at, one in enumerate(unscored) if one is best)
    return SearchResult(candidates[place], tuple(candidates), None)


def _interval(gains: Floats, seed: int) -> tuple[float, float]:
    drawn = np.random.default_rng(seed).integers(len(gains), size=(_RESAMPLES, len(gains)))
    low, high = np.percentile(gains[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
