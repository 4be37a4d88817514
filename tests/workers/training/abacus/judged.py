"""Samples that are made up, for the numbers of the report."""

from __future__ import annotations

from collections.abc import Sequence

from router.types import Task
from workers.answers import answers_for
from workers.protocols import Candidate
from workers.verifiers.quality import Judged

RIGHT = "1"


def judged(answers: Sequence[str], scores: Sequence[float] | Sequence[Sequence[float]]) -> Judged:
    """One question whose right answer is "1". A score may be a list of those of steps: the last counts."""
    candidates = []
    for answer, score in zip(answers, scores, strict=True):
        steps = tuple(score) if isinstance(score, Sequence) else (score,)
        text = f"The answer is {answer}."
        candidates.append(Candidate(text, "stop", answer, step_scores=steps, score=steps[-1]))
    return Judged(tuple(candidates), tuple(answer == RIGHT for answer in answers), answers_for(Task()))


def some_right(right: int, samples: int, score: float = 0.5) -> Judged:
    """So many right samples, then wrong ones that all differ."""
    return judged([RIGHT] * right + [str(n + 2) for n in range(samples - right)], [score] * samples)
