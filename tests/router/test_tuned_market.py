"""Policies are tuned by what they would really have done with questions that were held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from router.market import Market
from router.predictor.predictor import CalibrationSplit
from router.trials import Trial
from router.tuned_market import recorded_split, tune_policy
from router.tuning import Tuned
from tests.router.guided import ACTIONS, Oracle, guided

COUNT, STAGES = 200, 3


def _split(*, unfamiliar: int = 0, **changes: Any) -> CalibrationSplit:
    """Even questions are easy, odd ones hard for the small model; the large one is always right."""
    easy = np.arange(COUNT) % 2 == 0
    small = np.where(easy, 0.95, 0.05)
    forecast = np.column_stack([small, small, small, np.full(COUNT, 0.97)])
    right = np.column_stack([easy, easy, easy, np.ones(COUNT)]).astype(np.float64)
    familiarity = np.full(COUNT, 0.5)
    familiarity[:unfamiliar] = 0.001
    split = CalibrationSplit(
        forecast_right=forecast,
        forecast_tokens=np.full(forecast.shape, 40.0),
        familiarity=familiarity,
        right=right,
        cost_usd=np.tile([1e-5, 4e-5, 16e-5, 1e-3], (COUNT, 1)),
        after_probe_usd=np.tile([0.0, 0.0, 0.0, 1e-3], (COUNT, 1)),
        completion_tokens=np.full(forecast.shape, 40.0),
        prompt_tokens=np.full(COUNT, 25.0),
        probe_usd=np.full(COUNT, 16e-5),
        posterior=np.tile(np.where(easy, 3.0, -3.0)[:, None], (1, STAGES)),
        mean_score=np.tile(np.where(easy, 0.9, 0.1)[:, None], (1, STAGES)),
        seen_right=np.tile(forecast[:, None], (1, STAGES, 1)),
        groups=np.arange(COUNT),
    )
    return replace(split, **changes)


def _market(**policy: Any) -> Market:
    wanted = {"usd_per_right_answer": None, "max_mean_cost_usd": "0.0006", **policy}
    return guided(Oracle([0.5] * 4), **wanted)


def _tuned(split: CalibrationSplit, **policy: Any) -> Tuned:
    market = _market(**policy)
    return tune_policy(market, "default", market.guides["default"], split)


def _trial(found: Tuned, worth: float) -> Trial:
    routed = [each for each in found.trials if each.usd_per_right_answer is not None]
    return min(routed, key=lambda each: abs(np.log((each.usd_per_right_answer or 1) / worth)))


def test_routing_is_chosen_where_it_gives_the_accuracy_of_the_large_model_for_half_the_cost() -> None:
    found = _tuned(_split(), probe="never")
    assert found.chosen.always is None
    assert found.chosen.accuracy == pytest.approx(1.0)
    assert found.chosen.cost_usd < 0.00062


def test_every_action_of_the_policy_is_tried_alone() -> None:
    found = _tuned(_split(), probe="never", allow=["tiny"])
    alone = {each.always for each in found.trials if each.always is not None}
    assert alone == {"small", "best_of_n_weighted@4", "best_of_n_weighted@16"}


def test_what_is_unfamiliar_is_played_as_it_is_answered_online() -> None:
    """With ``unseen: large`` these go there, though the forecast says that half of them are easy."""
    known, strange = (_tuned(_split(unfamiliar=each), probe="never", unseen="large") for each in (0, 40))
    more_usd = _trial(strange, 0.01).cost_usd - _trial(known, 0.01).cost_usd
    assert more_usd == pytest.approx(20 / COUNT * (1e-3 - 1e-5), rel=0.2)
    assert _trial(strange, 1e-6).accuracy == pytest.approx(
        _trial(known, 1e-6).accuracy + 20 / COUNT, abs=0.01
    )


def test_unfamiliar_prompts_are_probed_by_the_mean_score_alone() -> None:
    """The posterior of the predictor, which says the opposite here, counts for nothing."""
    wrong = _split(unfamiliar=COUNT)
    wrong = replace(wrong, posterior=-wrong.posterior)
    found = _tuned(wrong, strategy="best_of_n_weighted")
    trial = _trial(found, 0.005)
    assert trial.accuracy == pytest.approx(1.0)
    assert trial.cost_usd == pytest.approx((16e-5 + (16e-5 + 1e-3)) / 2)


def test_a_recorded_probe_is_as_long_as_the_predictor_s_though_the_policy_s_is_shorter() -> None:
    market = _market(probe_samples=8)
    recorded = recorded_split(market.guides["default"], _split())
    assert recorded.probe_usd == pytest.approx(np.full(COUNT, 16e-5))
    assert set(recorded.probe_samples.tolist()) == {16}
    assert recorded.p_right.shape == (COUNT, 2)
    assert recorded.right.shape == (COUNT, len(ACTIONS))


CAP = {"max_cost_usd": "0.0015", "probe": "never"}
"""Below the worst case of the large model (100 tokens for $20 a million), above that of the small one."""
SHARE = {"max_mean_cost_usd": None, "min_share_of_large": 0.5, "confidence": 0.9}


def test_what_a_cap_forbids_is_not_played_alone() -> None:
    alone = {each.always for each in _tuned(_split(), **CAP).trials if each.always is not None}
    assert "small" in alone
    assert "big" not in alone


def test_no_share_of_a_large_model_is_certified_that_the_cap_forbids() -> None:
    found = _tuned(_split(), **CAP, **SHARE)
    assert not any(each.certified for each in found.trials)
    assert found.chosen.always != "big"
    assert found.notice is not None
    assert "is not certified: max_cost_usd forbids big" in found.notice
    assert _tuned(_split(), probe="never", **SHARE).chosen.certified


def test_ways_that_the_policy_has_not_leave_no_question_out() -> None:
    split = _split()
    split.right[:, 2] = np.nan  # best_of_n_weighted@16
    found = _tuned(split, probe="never", allow=["small", "big"])
    assert found.units == COUNT
    assert found.notice is None or "left out" not in found.notice


@pytest.mark.parametrize(("missing", "certified"), [(2, True), (3, False)])
def test_questions_without_all_outcomes_are_counted_and_if_many_nothing_is_certified(
    missing: int, certified: bool
) -> None:
    split = _split()
    split.right[:missing, 3] = np.nan
    found = _tuned(split, probe="never", **SHARE)
    assert any(each.certified for each in found.trials) is certified
    assert found.notice is not None
    assert f"{missing} of 200 questions are left out" in found.notice
    assert (f"outcomes of {missing} of 200 questions are missing" in found.notice) is not certified


def test_unfamiliar_prompts_are_never_left_out() -> None:
    """A search that was not recorded, to which a table sends them, counts as wrong."""
    found = _tuned(_split(unfamiliar=40), strategy="majority", probe="always", allow=["tiny", "big"])
    assert found.units == COUNT
    assert _trial(found, 1e-6).accuracy <= 0.5
