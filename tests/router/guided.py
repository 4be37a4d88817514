"""A predictor with exact numbers, and a market that it guides: for tests of what is decided by forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from router.config import Config
from router.features.evidence import FEATURES
from router.forecast import Forecast
from router.market import Market, open_market
from router.outcome_table import Action
from router.predictor.predictor import CalibrationSplit
from router.probing import Probing, StageModel
from router.types import Evidence

ACTIONS = (
    Action("small", "small", "tiny"),
    Action("best_of_n_weighted@4", "small", "tiny", "best_of_n_weighted", 4),
    Action("best_of_n_weighted@16", "small", "tiny", "best_of_n_weighted", 16),
    Action("big", "large", "big"),
)
SCORE = FEATURES.index("score_log_odds")


def stage_model(
    samples: int,
    actions: int,
    *,
    arrive: tuple[float, float, float] = (0.0, 1.0, 1.0),
    intercept: float = 0.0,
    prior_weight: float = 0.3,
    small: int | None = None,
) -> StageModel:
    """The verifier's scores are believed; actions from ``small`` on (the large ones) are right regardless."""
    weights = np.zeros(len(FEATURES))
    weights[SCORE] = 1.0
    of_small = np.arange(actions) < (actions if small is None else small)
    seen = np.zeros((actions, 2 + len(FEATURES)))
    seen[:, 1] = np.where(of_small, 0.2, 1.0)
    seen[:, 2 + SCORE] = np.where(of_small, 1.0, 0.05)
    right = np.column_stack([np.zeros(actions), seen[:, 1], np.where(of_small, 1.0, 0.05)])
    return StageModel(samples, intercept, prior_weight, weights, np.array(arrive), right, seen)


def probing(actions: Sequence[Action] = ACTIONS, sizes: Sequence[int] = (4, 8, 16)) -> Probing:
    small = sum(action.route == "small" for action in actions)
    return Probing(
        tuple(
            stage_model(size, len(actions), arrive=(0.0, 1.0, 1.5 if size == sizes[0] else 0.7), small=small)
            for size in sizes
        )
    )


@dataclass
class Oracle:
    """Forecasts what it is told: of every prompt the same, or of some their own."""

    right: Sequence[float]
    actions: tuple[Action, ...] = ACTIONS
    probing: Probing | None = field(default_factory=probing)
    calibration: CalibrationSplit | None = None
    familiarity: float = 0.5
    tokens: float = 40.0
    by_text: dict[str, Sequence[float]] = field(default_factory=dict)

    def forecast(self, texts: Sequence[str]) -> Forecast:
        right = np.array([self.by_text.get(text, self.right) for text in texts], dtype=np.float64)
        return Forecast(
            self.actions, right, np.full(right.shape, self.tokens), np.full(len(texts), self.familiarity)
        )


_MODEL: dict[str, Any] = {"context_tokens": 512, "max_tokens": 100, "parameters": 1_000_000}


def price(prompt: float, completion: float) -> dict[str, float]:
    return {"usd_per_million_prompt_tokens": prompt, "usd_per_million_completion_tokens": completion}


def config(larges: Sequence[str] = ("big",), latency: bool = False, **policy: Any) -> Config:
    """A small model, large ones (ten times as dear), and one policy that is ``default``."""
    speed = {"latency": {"first_token_s": 0.1, "completion_tokens_per_second": 50}} if latency else {}
    small = {"engine": "transformers", "path": "x", **_MODEL, **speed, "price": price(0.1, 0.2)}
    large = {
        "engine": "openai",
        "base_url": "http://x/v1",
        "upstream_model": "x",
        **_MODEL,
        "price": price(2, 20),
    }
    return Config.model_validate(
        {
            "models": {
                "tiny": small,
                **{name: {**large, **speed, "context_tokens": 4096} for name in larges},
            },
            "verifiers": {
                "prm": {
                    "kind": "prm",
                    "path": "x",
                    "context_tokens": 512,
                    "price": {"usd_per_million_tokens": 0.05},
                }
            },
            "policies": {
                "default": {
                    "small": "tiny",
                    "verifier": "prm",
                    "large": list(larges),
                    "usd_per_right_answer": 0.01,
                    **policy,
                }
            },
        }
    )


def guided(predictor: Any, larges: Sequence[str] = ("big",), latency: bool = False, **policy: Any) -> Market:
    return open_market(config(larges, latency, **policy), predictor=predictor)


def evidence(samples: int, score: float = 0.5, seed: int | None = None) -> Evidence:
    """Samples that are scored alike, or at random."""
    if seed is None:
        return Evidence((score,) * samples, ("7",) * samples)
    random = np.random.default_rng(seed)
    answers = tuple(str(each) for each in random.integers(0, 3, samples))
    return Evidence(tuple(np.clip(random.normal(score, 0.2, samples), 0, 1).tolist()), answers)
