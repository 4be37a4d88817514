"""What plans choose in each bin, and why."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.market import open_market
from router.policy import plan
from router.replanning import replan
from router.types import Bin, Evidence
from tests.router.examples import calibration, query
from tests.router.plans import WORTH, example_market, example_with, planned, routes_of


def test_a_plan_has_a_branch_for_every_bin_and_follows_algorithm_6_where_it_searches(tmp_path: Path) -> None:
    decided = planned(tmp_path, "alone")
    assert [branch.difficulty_bin for branch in decided.branches] == list(Bin)
    assert [branch.chosen.strategy.name for branch in decided.branches] == [
        "best_of_n_weighted",
        *["beam"] * 3,
    ]
    assert (decided.small, decided.verifier, decided.probe_samples) == ("tiny", "prm", 16)


@pytest.mark.parametrize(
    ("worth", "routes"),
    [
        ("0.001", ["small", "large", "large", "large"]),
        ("0.02", ["small", "large", "large", "large"]),
        ("10", ["large"]),  # nothing to decide, so nothing to probe
    ],
)
def test_the_more_a_right_answer_is_worth_the_more_bins_go_to_the_large_model(
    tmp_path: Path, worth: str, routes: list[str]
) -> None:
    # On the easy bin search is free beyond the probe; the large model gains a point and costs about $0.0042.
    assert routes_of(planned(tmp_path, env={WORTH: worth})) == routes


def test_where_a_right_answer_is_worth_nothing_only_money_counts(tmp_path: Path) -> None:
    for branch in planned(tmp_path, env={WORTH: "0"}).branches:
        assert branch.chosen.expected_cost_usd is not None
        for other in branch.rejected:
            assert other.expected_cost_usd is not None
            assert branch.chosen.expected_cost_usd <= other.expected_cost_usd


@given(st.decimals(min_value=0, max_value=1, places=6))
def test_no_rejected_alternative_is_worth_more_than_the_chosen_one(worth: Decimal) -> None:
    changed = example_with(usd_per_right_answer=worth)
    decided = plan(query(), "default", open_market(changed, calibration=calibration()))
    for branch in decided.branches if decided.probe_samples else ():
        values = [
            worth * Decimal(way.accuracy) - (way.expected_cost_usd or 0)
            for way in (branch.chosen, *branch.rejected)
        ]
        assert values[0] == max(values)


@given(st.floats(0, 1), st.decimals(min_value=0, max_value=1, places=6))
def test_the_cheapest_way_that_is_right_often_enough_is_taken(min_accuracy: float, worth: Decimal) -> None:
    changed = example_with(min_accuracy=min_accuracy, usd_per_right_answer=worth)
    without = example_with(usd_per_right_answer=worth)
    decided = plan(query(), "default", open_market(changed, calibration=calibration()))
    traded = plan(query(), "default", open_market(without, calibration=calibration()))
    if not decided.probe_samples or not traded.probe_samples:
        return
    for branch, trade in zip(decided.branches, traded.branches, strict=True):
        enough = [way for way in (branch.chosen, *branch.rejected) if way.accuracy >= min_accuracy]
        if enough:
            assert branch.chosen in enough
            assert branch.chosen.expected_cost_usd == min(way.expected_cost_usd or 0 for way in enough)
        else:
            assert branch.chosen == trade.chosen


def test_nothing_is_probed_where_the_large_model_wins_every_bin(tmp_path: Path) -> None:
    probed = planned(tmp_path)
    decided = planned(tmp_path, env={WORTH: "10"})
    assert decided.probe_samples == 0
    assert decided.probe_cost_usd == 0
    assert [branch.chosen.model for branch in decided.branches] == ["big"]
    assert decided.expected_cost_usd is not None
    assert probed.expected_cost_usd is not None
    assert decided.expected_cost_usd < probed.expected_cost_usd
    assert decided.branches[0].reason.startswith(
        "not probed, which saves $0.0088: big is better in every bin"
    )


def test_a_majority_verifier_votes_everywhere_and_costs_nothing(tmp_path: Path) -> None:
    decided = planned(tmp_path, "voting", env={"GRADUS__POLICIES__VOTING__LARGE": "null"})
    assert {branch.chosen.strategy.name for branch in decided.branches} == {"majority"}
    assert {branch.chosen.expected_cost_usd for branch in decided.branches} == {Decimal(0)}


def test_without_a_large_model_hard_queries_are_searched_and_told_so(tmp_path: Path) -> None:
    decided = planned(tmp_path, "alone")
    assert routes_of(decided) == ["small"] * 4
    notices = [branch.notice for branch in decided.branches]
    assert notices[:2] == [None, None]
    assert notices[2] == (
        "this query looks hard for tiny, and had nowhere to go: policy 'alone' has no large model "
        "(GRADUS_LARGE_MODEL names one)"
    )


def test_a_large_model_of_unknown_price_answers_only_what_looks_hard(tmp_path: Path) -> None:
    decided = planned(tmp_path, "unknown")
    assert routes_of(decided) == ["small", "small", "large", "large"]
    assert decided.expected_cost_usd is None
    assert decided.worst_case_cost_usd is None


def test_a_policy_that_does_not_probe_has_one_branch_by_the_average(tmp_path: Path) -> None:
    decided = planned(tmp_path, "hasty")
    assert decided.probe_samples == 0
    assert decided.probe_cost_usd == 0
    assert [branch.difficulty_bin for branch in decided.branches] == [None]
    assert {way.route for way in (decided.branches[0].chosen, *decided.branches[0].rejected)} == {
        "small",
        "large",
    }


def test_a_reason_has_both_ways_their_accuracy_cost_and_the_worth(tmp_path: Path) -> None:
    reason = planned(tmp_path).branches[3].reason
    assert reason.startswith("very hard: big (one answer), right in 60% (measured) for $0.0073; rather than ")
    assert "tiny (beam of 16), right in 5% (measured) for $0.0" in reason
    assert reason.endswith("a right answer is worth $0.05")


# After the probe


@given(st.lists(st.floats(0, 1), min_size=1, max_size=16))
def test_replanning_follows_the_branch_of_the_bin_and_changes_nothing(scores: list[float]) -> None:
    decided = plan(query(), "default", example_market())
    decision = replan(decided, 0, Evidence(tuple(scores), ("4",) * len(scores)))
    assert decision is not None
    assert decision.difficulty is not None
    assert decision.branch.difficulty_bin == decision.difficulty.bin
    assert decision.branch in decided.branches
