"""How hard each question is: five bins by pass@1 (oracle), and by the verifier's mean score (predicted).

Oracle bins rest on samples that no search sees. Predicted ones rest on 16 probes, which are the first
samples of a parallel search: what they cost is told beside them (Snell et al. 2024, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.paper.rows import Way, search
from benchmarks.paper.samples import draw
from benchmarks.paper.setting import Setting, Sitting

BINS = 5
"""Of equally many questions each; bin 0 is the easiest (the paper's level 1)."""
_PROBING = Way("probe", "best_of_n")


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What was found out of each question, one number a question.

    ``oracle`` and ``predicted`` are bins. ``pass_at_1`` is the share of right samples that no search sees,
    ``score`` the verifier's mean score of the probes, and the FLOPs are what generating and judging these
    cost (``None`` where a size is unknown).
    """

    oracle: list[int]
    predicted: list[int]
    pass_at_1: list[float]
    score: list[float]
    probe_generation_flops: list[float | None]
    probe_verifier_flops: list[float | None]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def difficulties(setting: Setting) -> Difficulty:
    """Of all questions. Equal shares of right samples fall into bins as they come, so bins are equal."""
    size = setting.size
    about = {"samples": size.difficulty_samples, "probes": size.probes}
    found = setting.each("difficulty", about, [setting.small, setting.verifier], _of_one)
    pass_at_1 = [each["right"] / size.difficulty_samples for each in found]
    scores = [each["score"] for each in found]
    return Difficulty(
        quantile_bins(pass_at_1),
        quantile_bins(scores),
        pass_at_1,
        scores,
        [each["generation"] for each in found],
        [each["verifier"] for each in found],
    )


def quantile_bins(easiness: Sequence[float], bins: int = BINS) -> list[int]:
    """For each question its bin of ``bins`` equally large ones; 0 has the largest values."""
    order = np.argsort(-np.asarray(easiness), kind="stable")
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.arange(len(order))
    return [int(rank) * bins // len(order) for rank in ranks]


def folds(questions: int) -> list[int]:
    """Fold 0 or 1 of each question: every other one."""
    return [at % 2 for at in range(questions)]


def _of_one(sitting: Sitting) -> dict[str, Any]:
    setting = sitting.setting
    judge = sitting.judge(setting.verifier)
    row, result = search(sitting, _PROBING, setting.size.probes, sitting.model(setting.small), judge)
    scores = [] if result is None else [one.score for one in result.candidates]
    return {
        "right": sum(draw(sitting, setting.small, setting.size.difficulty_samples, "difficulty").right),
        "score": sum(scores) / len(scores) if scores else 0.0,
        "generation": row.generation_flops,
        "verifier": row.verifier_flops,
    }
