"""From what a probe saw to how hard the query is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp

from router.features.evidence import evidence_features
from router.types import Bin, Difficulty, Evidence, Reading

THRESHOLDS: tuple[tuple[float, Bin], ...] = ((0.6, Bin.EASY), (0.35, Bin.MEDIUM), (0.15, Bin.HARD))
"""A mean verifier score above the number belongs in the bin (Snell et al. 2024, Algorithm 6)."""


def bin_of(p_right: float) -> Bin:
    """The bin of a mean verifier score: easy > 0.6 >= medium > 0.35 >= hard > 0.15 >= very hard."""
    for threshold, difficulty_bin in THRESHOLDS:
        if p_right > threshold:
            return difficulty_bin
    return Bin.VERY_HARD


def range_of(difficulty_bin: Bin) -> tuple[float, float]:
    """(above, up to): the mean scores that belong in a bin."""
    up_to = 1.0
    for threshold, each in THRESHOLDS:
        if each == difficulty_bin:
            return threshold, up_to
        up_to = threshold
    return 0.0, up_to


def difficulty_of(evidence: Evidence, reading: Reading | None = None) -> Difficulty:
    """P(right) by the reading, or the mean score of the samples; its bin, and how far the samples agree.

    Raises :class:`ValueError` unless there is a sample, and as many scores as answers, each 0 to 1.
    """
    scores, answers = evidence.scores, evidence.answers
    if not scores or len(scores) != len(answers):
        raise ValueError(f"a probe has a score and an answer a sample; got {len(scores)} and {len(answers)}")
    if not all(0.0 <= score <= 1.0 for score in scores):
        raise ValueError(f"a verifier scores from 0 to 1; got {min(scores)} to {max(scores)}")
    p_right = min(1.0, sum(scores) / len(scores)) if reading is None else p_right_of(evidence, reading)
    return Difficulty(p_right, bin_of(p_right), len(scores), _agreement(answers))


def p_right_of(evidence: Evidence, reading: Reading) -> float:
    """The probability whose log-odds the reading tells."""
    features = evidence_features(evidence)
    log_odds = reading.intercept + sum(
        weight * float(feature) for weight, feature in zip(reading.weights, features, strict=True)
    )
    return 1 / (1 + exp(-log_odds)) if log_odds > 0 else exp(log_odds) / (1 + exp(log_odds))


def _agreement(answers: Sequence[str | None]) -> float:
    """The share of the most frequent answer among all samples; samples without one agree with nothing."""
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes.values(), default=0) / len(answers)
