"""Plans by a predictor: every way through them is covered, bounded, allowed and explained."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.prices import add_usd
from router.errors import CapExceeded
from router.market import Market
from router.outcome_table import Action
from router.policy import plan
from router.replanning import replan
from router.types import Alternative, Evidence, Plan
from router.wish import Wish
from tests.router.examples import query
from tests.router.guided import ACTIONS, Oracle, evidence, guided, probing

HARD, EASY = (0.2, 0.25, 0.35, 0.8), (0.9, 0.93, 0.95, 0.97)
UNSURE = (0.45, 0.5, 0.55, 0.9)
SURE = (0.98, 0.98, 0.98, 0.5)
rights = st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4)
worths = st.sampled_from(["0.00001", "0.001", "0.01", "1"])


def _plan(right: Any = UNSURE, familiarity: float = 0.5, **policy: Any) -> Plan:
    return plan(query(), "default", guided(Oracle(right, familiarity=familiarity), **policy))


def _ways(decided: Plan) -> list[Alternative]:
    """All that may come of it."""
    return [
        way
        for stage in decided.stages
        for branch in stage.branches
        for way in ((branch.chosen, *branch.rejected) if branch.readings else (branch.chosen,))
    ]


# What is chosen


def test_what_is_easy_for_the_small_model_stays_there_and_what_is_hard_goes_to_the_large_one() -> None:
    easy, hard = _plan(EASY, probe="never"), _plan(HARD, probe="never")
    assert (easy.branches[0].chosen.route, hard.branches[0].chosen.route) == ("small", "large")
    assert easy.p_right == pytest.approx(0.9)
    assert hard.branches[0].chosen.accuracy == pytest.approx(0.8)
    assert hard.branches[0].chosen.accuracy_source == "predicted"


def test_a_probe_is_taken_where_it_may_change_something_and_not_where_nothing_can() -> None:
    assert _plan(UNSURE).probe_samples > 0
    assert _plan(SURE).probe_samples == 0


def test_always_and_never_probe_whatever_it_is_worth() -> None:
    for right in (UNSURE, SURE):
        assert _plan(right, probe="always").probe_samples > 0
        assert _plan(right, probe="never").probe_samples == 0


def test_a_reason_has_the_numbers_and_says_what_was_saved() -> None:
    reason = _plan(SURE).branches[0].reason
    assert reason.startswith("not probed, which saves $0.000")
    assert "right in 98% (predicted) for $0.00" in reason
    assert "rather than" in reason
    assert "a right answer is worth $0.01" in reason
    probed = _plan(UNSURE)
    assert all("P(right)" in branch.reason or branch.difficulty_bin for branch in probed.branches)


def test_the_best_of_many_large_models_is_taken() -> None:
    actions = (ACTIONS[0], *(Action(name, "large", name) for name in ("big", "other", "third")))
    market = guided(Oracle((0.1, 0.6, 0.9, 0.7), actions, probing=None), ("big", "other", "third"))
    decided = plan(query(), "default", market)
    assert decided.branches[0].chosen.model == "other"
    assert {way.model for way in decided.branches[0].rejected} == {"tiny", "big", "third"}


def test_only_what_the_policy_allows_is_done() -> None:
    large = _plan(EASY, allow=["large"])
    assert {way.model for way in _ways(large)} == {"big"}
    small = _plan(HARD, allow=["tiny"], probe="always")
    assert {way.model for way in _ways(small)} == {"tiny"}
    search = _plan(HARD, allow=["best_of_n_weighted@4"], probe="never")
    assert search.branches[0].chosen.strategy.samples == 4


def test_rules_come_before_what_is_predicted() -> None:
    rules = [{"when": {"pattern": "2 \\+ 2"}, "use": "large", "name": "sums"}]
    decided = _plan(EASY, rules=rules)
    assert decided.branches[0].chosen.model == "big"
    assert "rule 'sums' says so" in decided.branches[0].reason


def test_without_a_search_the_vote_of_the_probe_goes_by_what_one_answer_is_predicted() -> None:
    actions = (ACTIONS[0], ACTIONS[3])
    market = guided(Oracle((0.5, 0.9), actions, probing(actions)), probe="always")
    decided = plan(query(), "default", market)
    votes = {way.strategy.name for way in _ways(decided) if way.route == "small"}
    assert votes == {"best_of_n_weighted"}
    assert all(way.expected_cost_usd == 0 for way in _ways(decided) if way.route == "small")


# Unfamiliar prompts


@pytest.mark.parametrize(
    ("unseen", "models"), [("large", {"big"}), ("small", {"tiny"}), ("probe", {"tiny", "big"})]
)
def test_of_a_prompt_like_none_that_was_fitted_on_no_forecast_counts(unseen: str, models: set[str]) -> None:
    decided = _plan(EASY, familiarity=0.001, unseen=unseen)
    assert {way.model for way in _ways(decided)} <= models
    assert decided.familiarity == pytest.approx(0.001)
    assert all(way.accuracy_source != "predicted" for way in _ways(decided))
    assert (decided.probe_samples > 0) == (unseen != "large")


def test_a_prompt_is_unfamiliar_up_to_the_level_and_familiar_above_it() -> None:
    assert _ways(_plan(familiarity=0.01))[0].accuracy_source == "assumed"
    assert _ways(_plan(familiarity=0.011))[0].accuracy_source == "predicted"


def test_a_predictor_that_does_not_know_every_model_leaves_the_policy_to_its_tables() -> None:
    market = guided(Oracle(UNSURE), ("big", "other"))
    assert "default" not in market.guides
    decided = plan(query(), "default", market)
    assert decided.p_right is None
    assert all(way.accuracy_source == "assumed" for way in _ways(decided))


# What it covers and bounds


def _assert_covered(decided: Plan) -> None:
    branches = sorted(decided.stages[-1].branches, key=lambda branch: branch.above)
    assert (branches[0].above, branches[-1].up_to) == (0.0, 1.0)
    for one, next_one in pairwise(branches):
        assert one.up_to == next_one.above


def _assert_bounded(decided: Plan, market: Market) -> None:
    """No way costs more than the plan says, the probe of every stage up to it included."""
    assert decided.worst_case_cost_usd is not None
    worst = [way.worst_case_cost_usd for way in _ways(decided)]
    assert all(usd is not None and usd <= decided.worst_case_cost_usd for usd in worst)
    cap = market.config.policies["default"].max_cost_usd
    assert cap is None or decided.worst_case_cost_usd <= cap


@settings(max_examples=30, deadline=None)
@given(
    rights, worths, st.sampled_from([None, "0.001", "0.003", "0.006"]), st.sampled_from(["auto", "always"])
)
def test_every_posterior_has_a_branch_and_no_way_exceeds_the_worst_case_or_the_cap(
    right: list[float], worth: str, cap: str | None, probe: str
) -> None:
    market = guided(Oracle(right), usd_per_right_answer=worth, max_cost_usd=cap, probe=probe)
    try:
        decided = plan(query(), "default", market)
    except CapExceeded as refused:
        least = refused.worst_case_cost_usd
        assert cap is not None and least is not None and least > Decimal(cap)  # noqa: PT018
        return
    _assert_covered(decided)
    _assert_bounded(decided, market)
    for score in np.linspace(0, 1, 9):
        for index, stage in enumerate(decided.stages if decided.probe_samples else ()):
            decision = replan(decided, index, evidence(stage.samples, float(score)))
            assert decision is None or decision.branch.chosen in [
                replace(way, accuracy=decision.branch.chosen.accuracy) for way in _ways(decided)
            ]
            assert decision is not None or index < len(decided.stages) - 1


def test_the_expected_cost_is_that_of_the_probe_and_of_what_follows() -> None:
    decided = _plan(UNSURE, probe="always")
    assert decided.probe_cost_usd is not None
    assert decided.expected_cost_usd is not None
    assert 0 < decided.probe_cost_usd < decided.expected_cost_usd
    assert decided.worst_case_cost_usd is not None
    assert decided.expected_cost_usd <= decided.worst_case_cost_usd


def test_a_ceiling_on_latency_counts_the_probe() -> None:
    def planned(seconds: float) -> Plan:
        return plan(
            query(), "default", guided(Oracle(UNSURE), latency=True, probe="always", max_latency_s=seconds)
        )

    # One answer or stage takes .1 + 40 / 50 s: .9. Two stages and a search are 2.7.
    assert planned(0.95).probe_samples <= 4
    assert planned(30).probe_samples == 16
    for decided in (planned(0.95), planned(2.0)):
        stages_s = 0.9 * np.cumsum([stage.samples > 0 for stage in decided.stages])
        for stage, spent_s in zip(decided.stages, stages_s, strict=True):
            for branch in stage.branches:
                assert spent_s + (branch.chosen.expected_latency_s or 0) <= 2.0 + 1e-9


def test_what_is_worth_more_than_asked_is_not_paid_for() -> None:
    enough = _plan((0.7, 0.8, 0.85, 0.95), min_accuracy=0.75, usd_per_right_answer="1", probe="never")
    assert enough.branches[0].chosen.strategy.samples == 4
    assert "75% is enough" in enough.branches[0].reason


# What a request wants of it


def test_a_request_s_budget_leaves_out_larger_searches_and_later_stages() -> None:
    market = guided(Oracle(UNSURE), probe="always")
    decided = plan(query(), "default", market, wish=Wish(budget=8))
    assert decided.probe_samples == 8
    assert max(way.strategy.samples for way in _ways(decided)) <= 8
    assert all(way.accuracy_source == "predicted" for way in _ways(decided))


def test_a_policy_that_is_one_action_stays_it_whatever_is_asked() -> None:
    market = guided(Oracle(UNSURE, familiarity=0.001))
    guide = market.guides["default"]
    always = replace(market, guides={"default": guide.only(guide.ways[2])})
    for decided in (
        plan(query(), "default", always),
        plan(query(), "default", always, wish=Wish(max_drop=0.2)),
    ):
        assert decided.probe_samples == 0
        assert decided.branches[0].chosen.strategy.samples == 16
    smaller = plan(query(), "default", always, wish=Wish(budget=8)).branches[0].chosen
    assert (smaller.model, smaller.strategy.samples) == ("tiny", 4)


def test_a_predictor_that_was_refused_for_a_policy_is_not_used_for_what_a_request_makes_of_it() -> None:
    market = replace(guided(Oracle(UNSURE)), guides={})
    decided = plan(query(), "default", market, wish=Wish(budget=8))
    assert all(way.accuracy_source == "assumed" for way in _ways(decided))


def test_evidence_of_the_worst_kind_still_finds_a_branch() -> None:
    decided = _plan(UNSURE, probe="always")
    nothing = Evidence((0.0,) * decided.stages[0].samples, (None,) * decided.stages[0].samples)
    last = len(decided.stages) - 1
    assert replan(decided, last, nothing) is not None
    assert add_usd(decided.probe_cost_usd) is not None
