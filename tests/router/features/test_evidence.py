from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.features.evidence import FEATURES, Prefixes, evidence_features, evidence_matrix
from router.types import Evidence, FinishReason

SEEN = Evidence(
    scores=(0.9, 0.5, 0.7, 0.1),
    answers=("4", "5", "4", None),
    step_scores=((0.8, 0.9), (), (0.6, 0.2, 0.7), (0.1,)),
    completion_tokens=(10, 20, 10, 40),
    finish_reasons=("stop", "stop", "stop", "length"),
)


def named(evidence: Evidence) -> dict[str, float]:
    return dict(zip(FEATURES, evidence_features(evidence).tolist(), strict=True))


def test_every_feature_is_what_its_name_says() -> None:
    log_odds = [math.log(score / (1 - score)) for score in SEEN.scores]
    logs = [math.log1p(tokens) for tokens in SEEN.completion_tokens]
    expected = {
        "score_mean": 0.55,
        "score_min": 0.1,
        "score_max": 0.9,
        "score_std": np.std(SEEN.scores),
        "score_log_odds": np.mean(log_odds),
        "last_step_mean": (0.9 + 0.5 + 0.7 + 0.1) / 4,
        "min_step_mean": (0.8 + 0.5 + 0.2 + 0.1) / 4,
        "min_step_max": 0.8,
        "mean_step_mean": (0.85 + 0.5 + 0.5 + 0.1) / 4,
        "agreement": 0.5,
        "weighted_agreement": 1.6 / 2.2,
        "margin": 0.25,
        "weighted_margin": (1.6 - 0.5) / 2.2,
        "best_agreement": 0.5,
        "leader_score": 0.8,
        "distinct": 0.5,
        "unanswered": 0.25,
        "unfinished": 0.25,
        "log_tokens_mean": np.mean(logs),
        "log_tokens_std": np.std(logs),
    }
    found = named(SEEN)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_is_unknown_is_neutral() -> None:
    bare = named(Evidence(scores=(math.nan, math.nan), answers=(None, None)))
    assert (bare["score_mean"], bare["score_log_odds"], bare["last_step_mean"]) == (0.5, 0.0, 0.5)
    assert (bare["agreement"], bare["unanswered"], bare["unfinished"], bare["log_tokens_mean"]) == (
        0,
        1,
        0,
        0,
    )


def test_of_answers_as_frequent_the_better_scored_leads() -> None:
    assert named(Evidence((0.2, 0.9), ("a", "b")))["leader_score"] == 0.9


def test_a_probe_without_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        evidence_features(Evidence((), ()))


scores = st.floats(0, 1)
samples = st.tuples(
    scores, st.sampled_from(["1", "2", None]), st.lists(scores, max_size=3).map(tuple), st.integers(0, 99)
)


@given(st.lists(st.lists(samples, min_size=1, max_size=5), min_size=1, max_size=6))
def test_features_of_a_batch_are_those_of_each(
    probes: list[list[tuple[float, str | None, tuple[float, ...], int]]],
) -> None:
    found = evidence_matrix([made(each) for each in probes])
    assert np.isfinite(found).all()
    for row, each in zip(found, probes, strict=True):
        np.testing.assert_allclose(row, evidence_features(made(each)), atol=1e-12)


def made(rows: Sequence[tuple[float, str | None, tuple[float, ...], int]]) -> Evidence:
    stop: FinishReason = "stop"
    columns = tuple(zip(*rows, strict=True))
    return Evidence(columns[0], columns[1], columns[2], columns[3], (stop,) * len(rows))


@given(st.lists(st.lists(samples, min_size=1, max_size=5), min_size=1, max_size=6), st.integers(1, 5))
def test_the_first_samples_of_probes_tell_what_they_would_tell_alone(
    probes: list[list[tuple[float, str | None, tuple[float, ...], int]]], first: int
) -> None:
    found = Prefixes([made(each) for each in probes]).features(first)
    for row, each in zip(found, probes, strict=True):
        alone = (
            evidence_features(made(each).first(first)) if len(each) >= first else np.full(len(row), np.nan)
        )
        np.testing.assert_allclose(row, alone, atol=1e-12)
