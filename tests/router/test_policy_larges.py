"""Where the first large model cannot serve, the next that the policy allows does."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from router.config import load_config
from router.errors import CannotHonour, CapExceeded, PromptTooLong
from router.market import Market, open_market
from router.policy import plan
from router.types import Alternative, Query
from tests.router.examples import YAML, query, write

MORE = """\
  local:
    engine: transformers
    path: /models/local
    context_tokens: 2048
    max_tokens: 100
    price: {usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 1}
  huge:
    engine: openai
    base_url: http://huge.example/v1
    upstream_model: huge-model
    context_tokens: 32768
    max_tokens: 100
    price: {usd_per_million_prompt_tokens: 20, usd_per_million_completion_tokens: 1}
verifiers:
"""
TOOLS = query(needs=("tools",))
RULE = {"when": {"prefix": "What"}, "use": "large"}


def market_of(folder: Path, larges: Sequence[str], **policy: Any) -> Market:
    names = f"[{', '.join(larges)}]"
    text = YAML.replace("verifiers:\n", MORE, 1).replace("large: big", f"large: {names}", 1)
    config = load_config(write(folder, text), {})
    changed = config.policies["default"].model_validate(
        config.policies["default"].model_dump(by_alias=True) | policy
    )
    return open_market(config.model_copy(update={"policies": {"default": changed}}))


def answer(market: Market, asked: Query, prompt_tokens: int | None = None) -> tuple[Alternative, str]:
    (branch,) = plan(asked, "default", market, prompt_tokens=prompt_tokens).branches
    return branch.chosen, branch.reason


def test_what_a_model_in_a_worker_cannot_honour_the_next_upstream_model_gets(tmp_path: Path) -> None:
    chosen, reason = answer(market_of(tmp_path, ["local", "big"]), TOOLS)
    assert chosen.model == "big"
    assert chosen.accuracy_source == "assumed"
    assert reason == (
        "tools: a search cannot honour that, so big answers, in place of local, which cannot serve this"
    )
    with pytest.raises(CannotHonour, match="tools: a search cannot honour that, and policy 'default' has no"):
        answer(market_of(tmp_path, ["local"]), TOOLS)


def test_a_prompt_that_is_too_long_for_the_first_goes_to_one_that_reads_it(tmp_path: Path) -> None:
    market = market_of(tmp_path, ["big", "huge"])
    assert answer(market, query(), 600)[0].model == "big"
    assert answer(market, query(), 6000)[0].model == "huge"
    with pytest.raises(PromptTooLong, match="longest context is that of huge, 32768 tokens"):
        answer(market, query(), 40_000)


def test_one_that_costs_more_than_the_cap_gives_way_to_one_that_does_not(tmp_path: Path) -> None:
    larges = ["big", "huge"]  # of 600 tokens: $0.016 and $0.0121 at most
    assert answer(market_of(tmp_path, larges, max_cost_usd=Decimal("0.013")), query(), 600)[0].model == "huge"
    with pytest.raises(CapExceeded, match=r"the cheapest way to answer may cost \$0.012"):
        answer(market_of(tmp_path, larges, max_cost_usd=Decimal("0.001")), query(), 600)


def test_only_those_that_the_policy_allows_are_taken(tmp_path: Path) -> None:
    market = market_of(tmp_path, ["big", "huge"], allow=["small", "big"])
    with pytest.raises(PromptTooLong, match="longest context is that of big"):
        answer(market, query(), 6000)
    none = market_of(tmp_path, ["big", "huge"], allow=["small"])
    with pytest.raises(CannotHonour, match="policy 'default' allows no upstream model that could"):
        answer(none, TOOLS)


def test_a_rule_that_says_large_means_the_next_too_and_one_that_names_a_model_only_that(
    tmp_path: Path,
) -> None:
    chosen, reason = answer(market_of(tmp_path, ["big", "huge"], rules=[RULE]), query(), 6000)
    assert chosen.model == "huge"
    assert "in place of big, which cannot serve this" in reason
    named = market_of(tmp_path, ["big", "huge"], rules=[{**RULE, "use": "big"}])
    with pytest.raises(PromptTooLong, match="longest context is that of big"):
        answer(named, query(), 6000)
