"""What a request says of its search goes over its policy, within the policy's cap."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from router.config import load_config
from router.errors import CannotHonour, CannotSearch, CapExceeded, PromptTooLong, UnknownPolicy
from router.market import Market, open_market
from router.policy import plan, search_plan
from router.types import Stopping, StrategyName, StrategySpec
from router.wish import Wish
from tests.router.examples import YAML, calibration, market, query, write

STRATEGIES: list[StrategyName] = [
    "majority",
    "best_of_n",
    "best_of_n_weighted",
    "beam",
    "lookahead",
    "dvts",
    "particle",
    "backtrack",
    "revisions",
    "reflect",
]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_named_search_is_done_on_the_small_model_without_a_probe(
    tmp_path: Path, name: StrategyName
) -> None:
    decided = search_plan(query(), "default", market(tmp_path), Wish(name, 8))
    (branch,) = decided.branches
    assert (branch.chosen.route, branch.chosen.model, decided.probe_samples) == ("small", "tiny", 0)
    assert (branch.chosen.strategy.name, branch.chosen.strategy.samples) == (name, 8)
    assert (decided.small, decided.verifier) == ("tiny", "prm")
    assert decided.worst_case_cost_usd is not None
    assert branch.reason.startswith(f"asked for: tiny ({name} of 8)")


def test_one_direct_answer_may_be_asked_for(tmp_path: Path) -> None:
    (branch,) = search_plan(query(), "default", market(tmp_path), Wish("direct")).branches
    assert (branch.chosen.model, branch.chosen.strategy) == ("tiny", StrategySpec("direct"))
    assert branch.reason.startswith("asked for: tiny (one answer)")


def test_every_parameter_of_the_request_reaches_the_search(tmp_path: Path) -> None:
    wish = Wish("lookahead", 8, 2, 3, 8, 0.5, Stopping("window", window=4), 60)
    (branch,) = search_plan(query(), "default", market(tmp_path), wish).branches
    assert branch.chosen.strategy == StrategySpec(
        "lookahead", 8, 2, 60, 3, 8, 0.5, Stopping("window", window=4)
    )


def test_what_a_request_does_not_say_is_its_policy_s(tmp_path: Path) -> None:
    text = YAML.replace(
        "search_samples: 16", "search_samples: 16\n    lookahead_steps: 2\n    beam_width: sqrt"
    )
    config = load_config(write(tmp_path, text), {})
    (branch,) = search_plan(query(), "default", open_market(config), Wish("lookahead", 4)).branches
    assert (branch.chosen.strategy.lookahead_steps, branch.chosen.strategy.beam_width) == (2, 2)


def test_without_a_name_it_is_the_policy_s_search_for_any_difficulty(tmp_path: Path) -> None:
    (branch,) = search_plan(query(), "default", market(tmp_path), Wish(budget=64)).branches
    assert (branch.chosen.strategy.name, branch.chosen.strategy.samples) == ("best_of_n_weighted", 64)


def test_a_budget_alone_changes_what_the_policy_searches_with(tmp_path: Path) -> None:
    decided = plan(query(), "alone", market(tmp_path), wish=Wish(budget=64))
    assert decided.probe_samples == 16
    assert [branch.chosen.strategy.samples for branch in decided.branches] == [64] * 4
    assert decided.branches[1].chosen.strategy.name == "beam"


def test_a_probe_takes_no_more_than_the_budget(tmp_path: Path) -> None:
    assert plan(query(), "alone", market(tmp_path), wish=Wish(budget=4)).probe_samples == 4


def test_a_policy_of_direct_answers_does_not_probe_for_one(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, YAML.replace("search_samples: 16", "strategy: direct", 1)), {})
    decided = plan(query(), "default", open_market(config))
    assert config.policies["default"].probe_samples > 0
    assert (decided.probe_samples, len(decided.branches)) == (0, 1)
    assert {way.strategy.name for way in (decided.branches[0].chosen, *decided.branches[0].rejected)} == {
        "direct"
    }


def test_one_request_changes_nothing_for_the_next(tmp_path: Path) -> None:
    shared = market(tmp_path)
    before = plan(query(), "default", shared)
    plan(query(), "default", shared, wish=Wish(budget=64))
    assert plan(query(), "default", shared) == before


@pytest.mark.parametrize(
    ("wish", "parameter"),
    [
        (Wish("beam", 6), "budget"),
        (Wish("beam", 6, beam_width=4), "beam_width"),
        (Wish("revisions", 16, chain_length=3), "chain_length"),
        (Wish("reflect", 6), "budget"),
    ],
)
def test_a_search_that_cannot_be_done_so_is_refused_by_its_parameter(
    tmp_path: Path, wish: Wish, parameter: str
) -> None:
    with pytest.raises(CannotSearch, match="must be a multiple of") as caught:
        search_plan(query(), "default", market(tmp_path), wish)
    assert caught.value.parameter == parameter


def test_a_search_by_steps_needs_a_verifier_of_steps(tmp_path: Path) -> None:
    with pytest.raises(CannotSearch, match="dvts judges unfinished answers") as caught:
        search_plan(query(), "voting", market(tmp_path), Wish("dvts", 8))
    assert caught.value.parameter == "strategy"


def _capped(tmp_path: Path, usd: str) -> Market:
    text = YAML.replace("  alone: {<<: *default,", f"  alone: {{<<: *default, max_cost_usd: {usd},")
    return open_market(load_config(write(tmp_path, text), {}))


def test_the_policy_s_cap_holds_for_a_named_search(tmp_path: Path) -> None:
    with pytest.raises(CapExceeded, match="may cost"):
        search_plan(query(), "alone", _capped(tmp_path, "0.002"), Wish("lookahead", 64))
    decided = search_plan(query(), "alone", _capped(tmp_path, "0.002"), Wish("direct"))
    assert decided.worst_case_cost_usd is not None
    assert decided.worst_case_cost_usd <= Decimal("0.002")


def test_what_the_small_model_cannot_do_is_refused_rather_than_given_to_the_large(tmp_path: Path) -> None:
    with pytest.raises(CannotHonour, match="tiny cannot be searched for that"):
        search_plan(query(needs=("n",)), "default", market(tmp_path), Wish("majority", 4))
    with pytest.raises(PromptTooLong):
        search_plan(query("why " * 4000), "default", market(tmp_path), Wish("majority", 4))
    with pytest.raises(UnknownPolicy):
        search_plan(query(), "fast", market(tmp_path), Wish("majority", 4))


def test_an_accuracy_is_measured_only_where_the_search_was(tmp_path: Path) -> None:
    measured = market(tmp_path, calibration=calibration())
    (vote,) = search_plan(query(), "default", measured, Wish("majority")).branches
    assert vote.chosen.accuracy_source == "assumed"
    auto = plan(query(), "alone", measured)
    assert {branch.chosen.accuracy_source for branch in auto.branches} == {"measured"}


HONOURS = YAML.replace("    max_tokens: 100\n", "    max_tokens: 100\n    honours: [json, tools]\n", 1)


@pytest.mark.parametrize("need", ["response_format", "required tools"])
def test_a_small_model_that_honours_a_need_is_searched_for_it(tmp_path: Path, need: str) -> None:
    honouring = open_market(load_config(write(tmp_path, HONOURS), {}))
    asked = query(needs=(need,))
    assert plan(asked, "alone", honouring).probe_samples == 16
    assert search_plan(asked, "alone", honouring, Wish("majority")).branches[0].chosen.model == "tiny"
    (large,) = plan(asked, "default", market(tmp_path)).branches
    assert large.chosen.model == "big"


def test_a_need_beside_it_still_goes_to_the_large_model(tmp_path: Path) -> None:
    honouring = open_market(load_config(write(tmp_path, HONOURS), {}))
    (branch,) = plan(query(needs=("response_format", "n")), "default", honouring).branches
    assert branch.chosen.model == "big"
    assert branch.reason.startswith("n: a search cannot honour that")
