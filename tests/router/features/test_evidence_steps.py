from __future__ import annotations

import math

import numpy as np
import pytest

from router.features.evidence import FEATURES, evidence_features
from router.types import Evidence


def named(evidence: Evidence) -> dict[str, float]:
    return dict(zip(FEATURES, evidence_features(evidence).tolist(), strict=True))


def log_odds(score: float) -> float:
    return math.log(score / (1 - score))


def test_how_the_steps_went_is_told_in_log_odds() -> None:
    found = named(
        Evidence((0.3, 0.9), ("4", "4"), step_scores=((0.8, 0.2, 0.3), (0.9,)), completion_tokens=(30, 9))
    )
    first = [log_odds(each) for each in (0.8, 0.2, 0.3)]
    assert found["first_step_log_odds"] == pytest.approx((first[0] + log_odds(0.9)) / 2)
    assert found["min_step_log_odds"] == pytest.approx((first[1] + log_odds(0.9)) / 2)
    assert found["mean_step_log_odds"] == pytest.approx((np.mean(first) + log_odds(0.9)) / 2)
    assert found["step_rise"] == pytest.approx((first[2] - first[0]) / 2)
    assert found["step_spread"] == pytest.approx(np.std(first) / 2)
    assert found["low_steps"] == pytest.approx(2 / 3 / 2)
    assert found["log_steps"] == pytest.approx(math.log1p(2))


def test_the_best_scored_sample_speaks_for_itself() -> None:
    found = named(Evidence((0.3, 0.9), ("4", None), ((0.3,), (0.7, 0.6, 0.9)), (30, 9)))
    assert found["best_log_odds"] == pytest.approx(log_odds(0.9))
    assert found["best_first_step"] == pytest.approx(log_odds(0.7))
    assert found["best_min_step"] == pytest.approx(log_odds(0.6))
    assert found["best_unanswered"] == 1
    assert found["best_log_tokens"] == pytest.approx(math.log1p(9))


def test_without_steps_the_score_stands_for_one() -> None:
    found = named(Evidence((0.2,), ("4",)))
    assert found["first_step_log_odds"] == found["mean_step_log_odds"] == pytest.approx(log_odds(0.2))
    assert (found["step_rise"], found["step_spread"], found["log_steps"], found["low_steps"]) == (0, 0, 0, 1)
