"""What `gradus train abacus report` measures: held-out samples, the reward model's scores on them, and the
calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.training.abacus.measure import (
    majority_answer,
    pass_at_k,
    quintile_of,
    right_counts,
    weighted_answer,
)
from workers.training.abacus.steps import parse_answer

AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": lambda scores: float(np.prod(scores)),
    "mean": lambda scores: float(np.mean(scores)),
}
# Snell et al., Algorithm 6, on the mean verifier score of the probes.
BINS = (("easy", 0.6), ("medium", 0.35), ("hard", 0.15), ("very_hard", -1.0))
GROUP = 16

Scores = list[list[list[float]]]
"""For each question, for each sample, for each step."""


@dataclass(frozen=True)
class PassRates:
    """Unbiased pass@1 and pass@16 of one model: overall, then by quintile from the easiest to the hardest."""

    pass_1: float
    pass_16: float
    pass_1_by_quintile: tuple[float, ...]
    pass_16_by_quintile: tuple[float, ...]


def pass_rates(rows: Sequence[dict[str, Any]], quintiles: np.ndarray) -> PassRates:
    samples = len(rows[0]["texts"])
    counts = right_counts(rows)
    once = counts / samples
    among = np.array([pass_at_k(samples, int(count), GROUP) for count in counts])

    def by_quintile(values: np.ndarray) -> tuple[float, ...]:
        return tuple(float(values[quintiles == rank].mean()) for rank in range(5))

    return PassRates(float(once.mean()), float(among.mean()), by_quintile(once), by_quintile(among))


def halves(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The first half of the samples ranks the questions, the second measures: the ranking then flatters
    nobody.
    """
    middle = len(rows[0]["texts"]) // 2
    first = [{**row, "texts": row["texts"][:middle]} for row in rows]
    second = [{**row, "texts": row["texts"][middle:]} for row in rows]
    return first, second


def difficulty_quintiles(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    return quintile_of((right_counts(rows) / len(rows[0]["texts"])).tolist())


def selection_accuracy(
    rows: Sequence[dict[str, Any]], scores: Scores, aggregation: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each question the share of its groups of 16 samples that majority, weighted best-of-16 and
    best-of-16 solve.
    """
    aggregate = AGGREGATIONS[aggregation]
    by_majority: list[float] = []
    by_weight: list[float] = []
    by_best: list[float] = []
    for row, own in zip(rows, scores, strict=True):
        solved = np.zeros(3)
        starts = range(0, len(row["texts"]) - GROUP + 1, GROUP)
        for start in starts:
            answers = [parse_answer(text) for text in row["texts"][start : start + GROUP]]
            weights = [aggregate(steps) for steps in own[start : start + GROUP]]
            stated = [
                weight if answer is not None else -1.0
                for weight, answer in zip(weights, answers, strict=True)
            ]
            solved += [
                majority_answer(answers) == row["answer"],
                weighted_answer(answers, weights) == row["answer"],
                answers[int(np.argmax(stated))] == row["answer"],
            ]
        for values, value in zip((by_majority, by_weight, by_best), solved / len(starts), strict=True):
            values.append(float(value))
    return np.array(by_majority), np.array(by_weight), np.array(by_best)


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties counting half."""
    values, labels = np.asarray(scores, np.float64), np.asarray(positive, bool)
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    del distinct
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def answer_auc(rows: Sequence[dict[str, Any]], scores: Scores, aggregation: str) -> float:
    """Right against wrong final answers, over all samples of all questions that state one."""
    aggregate = AGGREGATIONS[aggregation]
    pairs = [
        (aggregate(steps), parse_answer(text) == row["answer"])
        for row, own in zip(rows, scores, strict=True)
        for text, steps in zip(row["texts"], own, strict=True)
        if parse_answer(text) is not None
    ]
    return auc([score for score, _ in pairs], [right for _, right in pairs])


def choose_aggregation(
    rows: Sequence[dict[str, Any]], scores: Scores
) -> tuple[str, dict[str, dict[str, float]]]:
    """The aggregation with the best weighted best-of-16 (then the best AUC), and the table it was chosen
    from.
    """
    table = {
        name: {
            "weighted_best_of_16": float(selection_accuracy(rows, scores, name)[1].mean()),
            "auc": answer_auc(rows, scores, name),
        }
        for name in AGGREGATIONS
    }
    best = max(table, key=lambda name: (table[name]["weighted_best_of_16"], table[name]["auc"]))
    return best, table


def bin_of(score: float) -> str:
    return next(name for name, bound in BINS if score > bound)


def calibration(
    small_rows: Sequence[dict[str, Any]],
    scores: Scores,
    large_rows: Sequence[dict[str, Any]],
    aggregation: str,
) -> dict[str, Any]:
    """What :mod:`router.artifacts` reads.

    By bin of the mean score of 16 probes: what search with the small model and one answer of the large model
    get right, and how long one completion is.
    """
    aggregate = AGGREGATIONS[aggregation]
    means = [float(np.mean([aggregate(steps) for steps in own])) for own in scores]
    names = np.array([bin_of(score) for score in means])
    by_majority, by_weight, _ = selection_accuracy(small_rows, scores, aggregation)
    columns = {
        # By weighted best-of-16, which stands for every search of that size.
        "small_right": by_weight,
        "small_majority_right": by_majority,
        "small_pass_1": right_counts(small_rows) / len(small_rows[0]["texts"]),
        "large_right": right_counts(large_rows) / len(large_rows[0]["texts"]),
        "small_completion_tokens": np.array([np.mean(row["tokens"]) for row in small_rows]),
        "large_completion_tokens": np.array([np.mean(row["tokens"]) for row in large_rows]),
    }
    bins: dict[str, Any] = {}
    for name, _bound in BINS:
        chosen = names == name
        count = int(chosen.sum())
        bins[name] = {"questions": count}
        if count:
            bins[name] |= {key: round(float(values[chosen].mean()), 4) for key, values in columns.items()}
    return {
        "version": 1,
        "small": "abacus-small",
        "verifier": "abacus-prm",
        "large": "abacus-large",
        "probe_samples": GROUP,
        "search_samples": GROUP,
        "aggregation": aggregation,
        "split": "calibration",
        "questions": len(names),
        "bins": bins,
    }
