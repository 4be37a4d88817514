"""Plans: what is chosen in each bin and why, what it costs, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import Config, load_config
from router.errors import CannotHonour, CapExceeded, PromptTooLong, UnknownPolicy
from router.market import Market, open_market
from router.policy import direct_plan, plan
from router.replanning import replan
from router.types import Bin, Evidence, Plan, Sampling
from tests.router.examples import calibration, config, market, query, short

WORTH = "GRADUS__POLICIES__DEFAULT__USD_PER_RIGHT_ANSWER"
CAP = "GRADUS__POLICIES__DEFAULT__MAX_COST_USD"


@cache
def _example() -> Config:
    """The example configuration, for tests that make hundreds of plans."""
    with TemporaryDirectory() as folder:
        return config(Path(folder))


@cache
def _market() -> Market:
    return open_market(_example())


def _config(**changes: Any) -> Config:
    policies = _example().policies
    default = policies["default"].model_copy(update=changes)
    return _example().model_copy(update={"policies": {**policies, "default": default}})


def _routes(decided: Plan) -> list[str]:
    return [branch.chosen.route for branch in decided.branches]


def _plan(folder: Path, policy: str = "default", env: dict[str, str] | None = None, **asked: Any) -> Plan:
    return plan(query(**asked), policy, market(folder, env, calibration=calibration()))


# What is chosen


def test_a_plan_has_a_branch_for_every_bin_and_follows_algorithm_6_where_it_searches(tmp_path: Path) -> None:
    decided = _plan(tmp_path, "alone")
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
    assert _routes(_plan(tmp_path, env={WORTH: worth})) == routes


def test_where_a_right_answer_is_worth_nothing_only_money_counts(tmp_path: Path) -> None:
    for branch in _plan(tmp_path, env={WORTH: "0"}).branches:
        assert branch.chosen.expected_cost_usd is not None
        for other in branch.rejected:
            assert other.expected_cost_usd is not None
            assert branch.chosen.expected_cost_usd <= other.expected_cost_usd


@given(st.decimals(min_value=0, max_value=1, places=6))
def test_no_rejected_alternative_is_worth_more_than_the_chosen_one(worth: Decimal) -> None:
    changed = _config(usd_per_right_answer=worth)
    decided = plan(query(), "default", open_market(changed, calibration=calibration()))
    for branch in decided.branches if decided.probe_samples else ():
        values = [
            worth * Decimal(way.accuracy) - (way.expected_cost_usd or 0)
            for way in (branch.chosen, *branch.rejected)
        ]
        assert values[0] == max(values)


@given(st.floats(0, 1), st.decimals(min_value=0, max_value=1, places=6))
def test_the_cheapest_way_that_is_right_often_enough_is_taken(min_accuracy: float, worth: Decimal) -> None:
    changed = _config(min_accuracy=min_accuracy, usd_per_right_answer=worth)
    without = _config(usd_per_right_answer=worth)
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
    probed = _plan(tmp_path)
    decided = _plan(tmp_path, env={WORTH: "10"})
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
    decided = _plan(tmp_path, "voting", env={"GRADUS__POLICIES__VOTING__LARGE": "null"})
    assert {branch.chosen.strategy.name for branch in decided.branches} == {"majority"}
    assert {branch.chosen.expected_cost_usd for branch in decided.branches} == {Decimal(0)}


def test_without_a_large_model_hard_queries_are_searched_and_told_so(tmp_path: Path) -> None:
    decided = _plan(tmp_path, "alone")
    assert _routes(decided) == ["small"] * 4
    notices = [branch.notice for branch in decided.branches]
    assert notices[:2] == [None, None]
    assert notices[2] == (
        "this query looks hard for tiny, and had nowhere to go: policy 'alone' has no large model "
        "(GRADUS_LARGE_MODEL names one)"
    )


def test_a_large_model_of_unknown_price_answers_only_what_looks_hard(tmp_path: Path) -> None:
    decided = _plan(tmp_path, "unknown")
    assert _routes(decided) == ["small", "small", "large", "large"]
    assert decided.expected_cost_usd is None
    assert decided.worst_case_cost_usd is None


def test_a_policy_that_does_not_probe_has_one_branch_by_the_average(tmp_path: Path) -> None:
    decided = _plan(tmp_path, "hasty")
    assert decided.probe_samples == 0
    assert decided.probe_cost_usd == 0
    assert [branch.difficulty_bin for branch in decided.branches] == [None]
    assert {way.route for way in (decided.branches[0].chosen, *decided.branches[0].rejected)} == {
        "small",
        "large",
    }


def test_a_reason_has_both_ways_their_accuracy_cost_and_the_worth(tmp_path: Path) -> None:
    reason = _plan(tmp_path).branches[3].reason
    assert reason.startswith("very hard: big (one answer), right in 60% (measured) for $0.0073; rather than ")
    assert "tiny (beam of 16), right in 5% (measured) for $0.0" in reason
    assert reason.endswith("a right answer is worth $0.05")


# What it costs


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
    decided = _plan(tmp_path)
    assert decided.probe_cost_usd is not None
    expected = decided.probe_cost_usd + sum(
        Decimal(share) * (branch.chosen.expected_cost_usd or 0)
        for share, branch in zip(("0.5", "0.25", "0.15", "0.1"), decided.branches, strict=True)
    )
    assert decided.expected_cost_usd == pytest.approx(expected)


def test_the_token_cap_of_a_search_is_n_answers_and_of_an_upstream_model_nobody_s(tmp_path: Path) -> None:
    decided = _plan(tmp_path, sampling=short(30))
    ways = {way.route: way for way in (decided.branches[1].chosen, *decided.branches[1].rejected)}
    assert ways["small"].token_cap == 16 * 30
    assert ways["large"].token_cap is None
    assert decided.branches[0].chosen.token_cap == 0  # the probe's 16 samples are the search


def test_several_answers_of_an_upstream_model_cost_several_times(tmp_path: Path) -> None:
    once, thrice = (
        _plan(tmp_path, needs=("n",), extra={"n": n}).worst_case_cost_usd or Decimal(0) for n in (1, 3)
    )
    assert thrice > 2 * once


lengths = st.integers(1, 400)


@given(st.text(max_size=400), st.none() | lengths, st.sampled_from(["default", "alone", "voting", "hasty"]))
def test_a_cost_is_never_negative_and_the_worst_case_never_below_the_expected(
    text: str, max_tokens: int | None, policy: str
) -> None:
    decided = plan(query(text, sampling=Sampling(max_tokens=max_tokens)), policy, _market())
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
            query(text, sampling=short(max_tokens)), "default", open_market(_config(max_cost_usd=cap))
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
    assert _routes(_plan(tmp_path, "unknown", env)) == ["small"] * 4
    with pytest.raises(CapExceeded, match="nobody knows what unpriced may cost: give a price and max_tokens"):
        _plan(tmp_path, "unknown", env, needs=("tools",))


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


# What a search cannot serve


def test_a_feature_that_a_search_cannot_honour_goes_to_the_upstream_model(tmp_path: Path) -> None:
    decided = _plan(tmp_path, needs=("tools", "response_format"))
    (branch,) = decided.branches
    assert (branch.chosen.model, branch.chosen.strategy.name) == ("big", "direct")
    assert (decided.probe_samples, branch.difficulty_bin) == (0, None)
    assert branch.reason == "tools, response_format: a search cannot honour that, so big answers"


def test_without_an_upstream_model_the_feature_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CannotHonour, match=r"^tools: a search cannot honour that") as caught:
        _plan(tmp_path, "alone", needs=("tools",))
    assert caught.value.needs == ("tools",)


def test_a_large_model_in_a_worker_cannot_honour_it_either() -> None:
    embedded = open_market(load_config("abacus", {}))
    with pytest.raises(CannotHonour, match="has no upstream model"):
        plan(query(needs=("tools",)), "default", embedded)
    with pytest.raises(CannotHonour, match="abacus-large runs in a worker"):
        direct_plan(query(needs=("tools",)), "abacus-large", embedded)


def test_a_prompt_that_is_too_long_for_the_small_model_goes_to_the_large_one(tmp_path: Path) -> None:
    decided = plan(query(), "default", market(tmp_path), prompt_tokens=600)
    assert [branch.chosen.model for branch in decided.branches] == ["big"]
    assert decided.branches[0].reason == "the prompt of about 600 tokens is longer than tiny reads"


@pytest.mark.parametrize(("policy", "tokens", "context"), [("default", 4096, 4096), ("alone", 512, 512)])
def test_a_prompt_that_is_too_long_for_every_model_is_refused(
    tmp_path: Path, policy: str, tokens: int, context: int
) -> None:
    with pytest.raises(PromptTooLong) as caught:
        plan(query(), policy, market(tmp_path), prompt_tokens=tokens)
    assert (caught.value.prompt_tokens, caught.value.context_tokens) == (tokens, context)
    assert caught.value.code == "context_length_exceeded"


def test_a_prompt_that_only_seems_too_long_is_left_to_the_model_that_may_read_it(tmp_path: Path) -> None:
    seems_long = "word " * 500  # 834 tokens at three bytes each, 416 at six
    alone = plan(query(seems_long), "alone", market(tmp_path))
    assert {branch.chosen.model for branch in alone.branches} == {"tiny"}
    with_large = plan(query(seems_long), "default", market(tmp_path))
    assert [branch.chosen.model for branch in with_large.branches] == ["big"]
    by_name = direct_plan(query(seems_long), "tiny", market(tmp_path))
    assert by_name.branches[0].chosen.model == "tiny"
    with pytest.raises(PromptTooLong, match=r"the prompt has \d+ tokens or more"):
        plan(query("word " * 700), "alone", market(tmp_path))


# By name


def test_a_model_asked_for_by_name_answers_directly(tmp_path: Path) -> None:
    for name, route in (("tiny", "small"), ("big", "large"), ("unpriced", "large")):
        decided = direct_plan(query(), name, market(tmp_path))
        (branch,) = decided.branches
        assert (branch.chosen.model, branch.chosen.route, branch.chosen.strategy.name) == (
            name,
            route,
            "direct",
        )
        assert decided.probe_samples == 0
        assert branch.reason == f"{name} was asked for by its name"


def test_names_that_are_not_configured_are_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownPolicy, match="no model 'gpt'; there are tiny, big, unpriced"):
        direct_plan(query(), "gpt", market(tmp_path))
    with pytest.raises(UnknownPolicy, match="no policy 'fast'; there are default, alone"):
        plan(query(), "fast", market(tmp_path))


def test_a_prompt_too_long_for_the_named_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptTooLong, match="longest context is that of tiny, 512 tokens"):
        direct_plan(query(), "tiny", market(tmp_path), prompt_tokens=512)


# After the probe


@given(st.lists(st.floats(0, 1), min_size=1, max_size=16))
def test_replanning_follows_the_branch_of_the_bin_and_changes_nothing(scores: list[float]) -> None:
    decided = plan(query(), "default", _market())
    decision = replan(decided, 0, Evidence(tuple(scores), ("4",) * len(scores)))
    assert decision is not None
    assert decision.difficulty is not None
    assert decision.branch.difficulty_bin == decision.difficulty.bin
    assert decision.branch in decided.branches
