"""How hard each question is: five bins by pass@1 (oracle), and by the verifier's mean score (predicted).

Oracle bins rest on samples that no search sees. Predicted ones rest on 16 probes, which are the first
samples of a parallel search: what they cost is told beside them (Snell et al. 2024, section 3.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.paper.rows import Way, search
from benchmarks.paper.setting import Setting, Sitting
from workers.protocols import Prompt, SamplingParams

BINS = 5
"""Of equally many questions each; bin 0 is the easiest (the paper's level 1)."""
_PROBING = Way("probe", "best_of_n")


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What was found out of each question, one number a question.

    ``oracle`` and ``predicted`` are bins. ``pass_at_1`` is the share of right samples that no search sees,
    ``score`` the verifier's mean score of the probes, and ``probe_flops`` what these cost, judging included
    (``None`` where a size is unknown).
    """

    oracle: list[int]
    predicted: list[int]
    pass_at_1: list[float]
    score: list[float]
    probe_flops: list[float | None]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def difficulties(setting: Setting) -> Difficulty:
    """Of all questions. Equal shares of right samples fall into bins as they come, so bins are equal."""
    size = setting.size
    about = {"samples": size.difficulty_samples, "probes": size.probes}
    found = setting.each("difficulty", about, [setting.small, setting.verifier], _of_one)
    pass_at_1 = [each["right"] / size.difficulty_samples for each in found]
    scores = [each["score"] for each in found]
    flops = [each["flops"] for each in found]
    return Difficulty(quantile_bins(pass_at_1), quantile_bins(scores), pass_at_1, scores, flops)


def quantile_bins(easiness: Sequence[float], bins: int = BINS) -> list[int]:
    """For each question its bin of ``bins`` equally large ones; 0 has the largest values."""
    order = np.argsort(-np.asarray(easiness), kind="stable")
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.arange(len(order))
    return [int(rank) * bins // len(order) for rank in ranks]


def folds(questions: int) -> list[int]:
    """Fold 0 or 1 of each question: every other one."""
    return [at % 2 for at in range(questions)]


def right_samples(sitting: Sitting, count: int, purpose: str) -> int:
    """How many of ``count`` whole turns of the small model are right."""
    model = sitting.model(sitting.setting.small, purpose)
    limit = model.config.completion_limit(None)
    assert limit is not None, "a searched model has max_tokens"
    params = SamplingParams(limit, model.config.temperature)
    done = model.engine.generate([Prompt(sitting.messages)] * count, params)
    said = [model.steps.answer(one.text) for one in done.completions if one.ended == "stop"]
    answers = Counter(sitting.answers.extract(text) if text else None for text in said)
    return sum(times for answer, times in answers.items() if sitting.is_right(answer))


def _of_one(sitting: Sitting) -> dict[str, Any]:
    setting = sitting.setting
    judge = sitting.judge(setting.verifier)
    row, result = search(sitting, _PROBING, setting.size.probes, sitting.model(setting.small), judge)
    scores = [] if result is None else [one.score for one in result.candidates]
    return {
        "right": right_samples(sitting, setting.size.difficulty_samples, "difficulty"),
        "score": sum(scores) / len(scores) if scores else 0.0,
        "flops": row.flops,
    }
