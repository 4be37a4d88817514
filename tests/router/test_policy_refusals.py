"""What a search or a model cannot serve, and models that are asked for by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import load_config
from router.errors import CannotHonour, PromptTooLong, UnknownPolicy
from router.market import open_market
from router.policy import direct_plan, plan
from tests.router.examples import market, query
from tests.router.plans import planned


def test_a_feature_that_a_search_cannot_honour_goes_to_the_upstream_model(tmp_path: Path) -> None:
    decided = planned(tmp_path, needs=("tools", "response_format"))
    (branch,) = decided.branches
    assert (branch.chosen.model, branch.chosen.strategy.name) == ("big", "direct")
    assert (decided.probe_samples, branch.difficulty_bin) == (0, None)
    assert branch.reason == "tools, response_format: a search cannot honour that, so big answers"


def test_without_an_upstream_model_the_feature_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CannotHonour, match=r"^tools: a search cannot honour that") as caught:
        planned(tmp_path, "alone", needs=("tools",))
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
