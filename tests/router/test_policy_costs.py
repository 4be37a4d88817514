"""What plans cost, and what a cap does to them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import CapExceeded
from router.market import open_market
from router.policy import direct_plan, plan
from router.types import Sampling
from tests.router.examples import market, query, short
from tests.router.plans import CAP, example_market, example_with, planned, routes_of


def test_the_cost_of_the_probe_is_always_counted(tmp_path: Path) -> None:
    decided = plan(query(), "default", market(tmp_path), prompt_tokens=100)
    # One prompt of 100 read; 16 x 50 (half of max_tokens) written; 16 x 150 judged.
    assert decided.probe_cost_usd == Decimal("0.000001") * 100 + Decimal("0.00001") * 800 + Decimal(
        "0.000001"
    ) * (16 * 150)
    assert decided.expected_cost_usd is not None
    assert decided.expected_cost_usd >= decided.probe_cost_usd


def test_the_worst_case_is_the_probe_s_and_the_most_expensive_branch_s(tmp_path: Path) -> None:
    decided = plan(query(), "alone", market(tmp_path), prompt_tokens=100)
    # 100 read, 16 x 100 written, 16 x 512 judged.
    probe = Decimal("0.0001") + Decimal("0.016") + Decimal("0.008192")
    branch = max(branch.chosen.worst_case_cost_usd or 0 for branch in decided.branches)
    assert decided.worst_case_cost_usd == probe + branch


def test_expected_cost_weighs_branches_by_how_often_they_come(tmp_path: Path) -> None:
    decided = planned(tmp_path)
    assert decided.probe_cost_usd is not None
    expected = decided.probe_cost_usd + sum(
        Decimal(share) * (branch.chosen.expected_cost_usd or 0)
        for share, branch in zip(("0.5", "0.25", "0.15", "0.1"), decided.branches, strict=True)
    )
    assert decided.expected_cost_usd == pytest.approx(expected)


def test_the_token_cap_of_a_search_is_n_answers_and_of_an_upstream_model_nobody_s(tmp_path: Path) -> None:
    decided = planned(tmp_path, sampling=short(30))
    ways = {way.route: way for way in (decided.branches[1].chosen, *decided.branches[1].rejected)}
    assert ways["small"].token_cap == 16 * 30
    assert ways["large"].token_cap is None
    assert decided.branches[0].chosen.token_cap == 0  # the probe's 16 samples are the search


def test_several_answers_of_an_upstream_model_cost_several_times(tmp_path: Path) -> None:
    once, thrice = (
        planned(tmp_path, needs=("n",), extra={"n": n}).worst_case_cost_usd or Decimal(0) for n in (1, 3)
    )
    assert thrice > 2 * once


lengths = st.integers(1, 400)


@given(st.text(max_size=400), st.none() | lengths, st.sampled_from(["default", "alone", "voting", "hasty"]))
def test_a_cost_is_never_negative_and_the_worst_case_never_below_the_expected(
    text: str, max_tokens: int | None, policy: str
) -> None:
    decided = plan(query(text, sampling=Sampling(max_tokens=max_tokens)), policy, example_market())
    assert decided.expected_cost_usd is not None
    assert decided.worst_case_cost_usd is not None
    assert 0 <= decided.expected_cost_usd <= decided.worst_case_cost_usd
    for branch in decided.branches:
        for way in (branch.chosen, *branch.rejected):
            assert way.expected_cost_usd is not None
            assert way.worst_case_cost_usd is not None
            assert 0 <= way.expected_cost_usd <= way.worst_case_cost_usd


# The cap


@given(st.decimals(min_value=0, max_value="0.2", places=5), st.text(max_size=200), lengths)
def test_a_plan_never_costs_more_than_its_cap_or_it_is_refused(
    cap: Decimal, text: str, max_tokens: int
) -> None:
    refused, worst_case = False, None
    try:
        decided = plan(
            query(text, sampling=short(max_tokens)), "default", open_market(example_with(max_cost_usd=cap))
        )
        worst_case = decided.worst_case_cost_usd
    except CapExceeded as error:
        refused, worst_case = True, error.worst_case_cost_usd
    assert worst_case is not None
    assert (worst_case > cap) == refused


def test_a_shrinking_cap_first_ends_searches_then_the_probe_then_the_large_model(tmp_path: Path) -> None:
    def shape(cap: str) -> tuple[int, set[str]]:
        decided = plan(query(), "default", market(tmp_path, {CAP: cap}), prompt_tokens=100)
        return decided.probe_samples, {branch.chosen.model for branch in decided.branches}

    assert shape("1") == (16, {"tiny", "big"})
    assert shape("0.03") == (16, {"tiny"})  # the probe's samples vote
    assert shape("0.02") == (0, {"big"})  # 100 x $0.00001 + 100 x $0.0001 = $0.011
    assert shape("0.002") == (0, {"tiny"})  # 100 x $0.000001 + 100 x $0.00001 = $0.0011


def test_a_cap_below_everything_refuses_with_the_cheapest_way(tmp_path: Path) -> None:
    with pytest.raises(CapExceeded) as caught:
        plan(query(), "default", market(tmp_path, {CAP: "0.001"}), prompt_tokens=100)
    assert str(caught.value) == (
        "policy 'default' allows $0.001 a request, but the cheapest way to answer may cost $0.0011: shorten "
        "the prompt or max_tokens, or raise max_cost_usd"
    )
    assert caught.value.worst_case_cost_usd == Decimal("0.0011")
    assert caught.value.max_cost_usd == Decimal("0.001")


def test_a_cap_just_below_the_cheapest_way_is_told_with_as_many_digits_as_differ(tmp_path: Path) -> None:
    with pytest.raises(CapExceeded, match=r"allows \$0\.001099 a request, .* may cost \$0\.001100:"):
        plan(query(), "default", market(tmp_path, {CAP: "0.001099"}), prompt_tokens=100)


def test_a_cap_never_allows_what_nobody_knows_the_price_of(tmp_path: Path) -> None:
    env = {"GRADUS__POLICIES__UNKNOWN__MAX_COST_USD": "100"}
    assert routes_of(planned(tmp_path, "unknown", env)) == ["small"] * 4
    with pytest.raises(CapExceeded, match="nobody knows what unpriced may cost: give a price and max_tokens"):
        planned(tmp_path, "unknown", env, needs=("tools",))


def test_an_upstream_model_without_any_limit_has_no_worst_case(tmp_path: Path) -> None:
    env = {
        "GRADUS_LARGE_MODEL": "x",
        "GRADUS__MODELS__LARGE__PRICE__USD_PER_MILLION_PROMPT_TOKENS": "1",
        "GRADUS__MODELS__LARGE__PRICE__USD_PER_MILLION_COMPLETION_TOKENS": "1",
    }
    answer = direct_plan(query(), "large", market(tmp_path, env))
    assert answer.expected_cost_usd is not None
    assert answer.worst_case_cost_usd is None
    bounded = direct_plan(query(sampling=short(10)), "large", market(tmp_path, env))
    assert bounded.worst_case_cost_usd is not None
