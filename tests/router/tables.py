"""Outcomes to learn from: the words say how hard a question is, and the probe says it better."""

from __future__ import annotations

import numpy as np

from router.outcome_table import Action, OutcomeTable
from router.types import Evidence

ACTIONS = (
    Action("small", "small", "mini"),
    Action("majority@8", "small", "mini", "majority", 8),
    Action("grand", "large", "grand"),
)

_EASY, _HARD = ("add", "two", "apples"), ("prove", "integral", "converges")


def table(questions: int = 240, seed: int = 0, probe_samples: int = 8) -> OutcomeTable:
    """Even questions are easy (small right 80% of the time), odd ones hard (20%); grand is right 90%."""
    random = np.random.default_rng(seed)
    easy = np.arange(questions) % 2 == 0
    p_small = np.where(easy, random.uniform(0.6, 1.0, questions), random.uniform(0.0, 0.4, questions))
    samples = random.random((questions, probe_samples)) < p_small[:, None]
    majority = samples.mean(axis=1) > 0.5
    right = np.column_stack([samples.mean(axis=1), majority, random.random(questions) < 0.9]).astype(float)
    tokens = np.column_stack(
        [np.where(easy, 20.0, 60.0), np.where(easy, 160.0, 480.0), np.full(questions, 40.0)]
    )
    prompts = []
    for number in range(questions):
        words = random.choice(_EASY if easy[number] else _HARD, 6)
        prompts.append(f"{' '.join(words)} number {number}")
    cost = np.tile([1e-6, 8e-6, 1e-4], (questions, 1))
    return OutcomeTable(
        ids=tuple(map(str, range(questions))),
        prompts=tuple(prompts),
        groups=tuple(map(str, range(questions))),
        segments=("",) * questions,
        actions=ACTIONS,
        right=right,
        cost_usd=cost,
        after_probe_usd=np.tile([0.0, 0.0, 1e-4], (questions, 1)),
        completion_tokens=tokens,
        seconds=np.full((questions, 3), np.nan),
        prompt_tokens=np.full(questions, 10.0),
        probe_usd=np.full(questions, 8e-6),
        evidence=tuple(_evidence(row, random) for row in samples),
    )


def _evidence(samples: np.ndarray, random: np.random.Generator) -> Evidence:
    return Evidence(
        scores=tuple(np.clip(0.2 + 0.6 * samples + random.normal(0, 0.15, len(samples)), 0, 1).tolist()),
        answers=tuple("right" if each else f"wrong {random.integers(3)}" for each in samples),
    )
