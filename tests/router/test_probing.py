"""What a probe tells, stage by stage: distributions that add up, and steps that compose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.predicted import guide_stages
from router.probing import Probing, StageModel, log_odds
from router.prospects import LEVELS, Way, middles
from router.types import StrategySpec
from tests.router.guided import stage_model

WAYS = (
    Way("majority@4", "small", "tiny", StrategySpec("majority", 4)),
    Way("majority@8", "small", "tiny", StrategySpec("majority", 8)),
    Way("big", "large", "big", StrategySpec("direct")),
)
arrivals = st.tuples(st.floats(-3, 3), st.floats(-2, 2), st.floats(0, 3))


def _stage(arrive: tuple[float, float, float], samples: int = 4) -> StageModel:
    return stage_model(samples, len(WAYS), arrive=arrive)


@given(arrivals, st.lists(st.floats(-12, 12), min_size=1, max_size=5))
def test_every_query_arrives_somewhere(arrive: tuple[float, float, float], before: list[float]) -> None:
    found = _stage(arrive).arrivals(np.array(before), log_odds(LEVELS))
    assert found.shape == (len(before), len(LEVELS) + 1)
    assert found.min() >= -1e-12
    assert found.sum(axis=1) == pytest.approx(np.ones(len(before)))


def test_where_nothing_is_learned_the_level_stays_what_it_was() -> None:
    posterior = log_odds(middles(LEVELS))
    assert _stage((0.0, 1.0, 0.0)).arrivals(posterior, log_odds(LEVELS)) == pytest.approx(np.eye(12))


def test_two_stages_that_become_one_arrive_where_both_would() -> None:
    one, two = _stage((0.3, 0.8, 0.9)), _stage((-0.2, 1.1, 0.5), samples=8)
    (alone,) = guide_stages(WAYS, np.arange(3), np.ones(3, bool), Probing((one, two)), [8])
    random = np.random.default_rng(0)
    middle = 0.3 + 0.8 * 0.7 + 0.9 * random.standard_normal(200_000)
    end = -0.2 + 1.1 * middle + 0.5 * random.standard_normal(200_000)
    share = np.bincount(np.searchsorted(log_odds(LEVELS), end), minlength=12) / len(end)
    assert alone.model.arrivals(np.array([0.7]), log_odds(LEVELS))[0] == pytest.approx(share, abs=0.005)


def test_p_right_at_a_stage_is_what_the_last_stage_is_expected_to_say() -> None:
    stages = (_stage((0.1, 0.9, 1.0)), _stage((0.0, 1.0, 0.7), 8), _stage((0.0, 1.0, 0.4), 16))
    first, second, last = guide_stages(WAYS, np.arange(3), np.ones(3, bool), Probing(stages), [4, 8, 16])
    assert last.ahead == pytest.approx(np.eye(12))
    assert last.passage is not None
    assert second.passage is not None
    assert second.ahead == pytest.approx(last.passage)
    assert first.ahead == pytest.approx(second.passage @ last.passage)
    assert first.ahead.sum(axis=1) == pytest.approx(np.ones(12))


def test_of_votes_among_samples_that_are_there_only_the_largest_is_left() -> None:
    stages = (_stage((0, 1, 1)), _stage((0, 1, 1), 8))
    first, second = guide_stages(WAYS, np.arange(3), np.ones(3, bool), Probing(stages), [4, 8])
    assert first.offered.ravel().tolist() == [True, True, True]
    assert second.offered.ravel().tolist() == [False, True, True]


def test_posteriors_are_linear_in_what_was_seen() -> None:
    stage = stage_model(4, 1, intercept=0.5, prior_weight=2.0)
    features = np.random.default_rng(0).random((3, len(stage.weights)))
    prior = np.array([-1.0, 0.0, 1.0])
    assert stage.posterior(prior, features) == pytest.approx(0.5 + 2 * prior + features @ stage.weights)


def test_log_odds_stay_finite_at_the_ends() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
