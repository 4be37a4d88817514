"""What a provider prices apart from tokens: its cost is unknown, never a guess."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router.errors import CapExceeded
from router.policy import direct_plan, plan
from tests.router.examples import market, query

CAP = {"GRADUS__POLICIES__DEFAULT__MAX_COST_USD": "1", "GRADUS__POLICIES__DEFAULT__PROBE_SAMPLES": "0"}
FEES: list[dict[str, Any]] = [
    {"service_tier": "priority"},
    {"service_tier": "flex"},
    {"web_search_options": {}},
    {"audio": {"voice": "alloy"}},
    {"n_predict": -1},
    {"num_predict": 9999},
    {"options": {"num_predict": 9999}},
    {"max_new_tokens": 9999},
    {"max_length": 9999},
    {"max_output_tokens": 9999},
    {"best_of": 20},
    {"use_beam_search": True},
    {"prediction": {"type": "content", "content": "x"}},
    {"prompt_embeds": "AAAA"},
    {"chat_template": "{{ 'x' * 9999 }}"},
    {"models": ["dear"]},
    {"route": "fallback"},
    {"provider": {"order": ["dear"]}},
    {"plugins": [{"id": "web"}]},
    {"preset": "dear"},
    {"search_parameters": {"mode": "auto"}},
    {"enable_search": True},
    {"inference_geo": "us"},
    {"speed": "fast"},
    {"cache_control": {"type": "ephemeral"}},
    {"modalities": ["image", "text"]},
    {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    {"tools": [{"type": "function", "function": {"name": "f"}}, {"googleSearch": {}}]},
    {"tools": [{"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]},
    {"tools": [{"type": "function", "function": {"name": "f", "cache_control": {"type": "ephemeral"}}}]},
]


@pytest.mark.parametrize("extra", FEES, ids=str)
def test_a_request_with_a_fee_costs_nobody_knows_what(tmp_path: Path, extra: dict[str, Any]) -> None:
    plain = direct_plan(query(), "big", market(tmp_path))
    dear = direct_plan(replace(query(), extra=extra), "big", market(tmp_path))

    assert plain.worst_case_cost_usd is not None
    assert (dear.expected_cost_usd, dear.worst_case_cost_usd) == (None, None)


def test_a_message_that_is_written_to_a_cache_has_a_fee_too(tmp_path: Path) -> None:
    part = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
    asked = replace(query(), messages=({"role": "user", "content": [part]},))

    assert direct_plan(asked, "big", market(tmp_path)).worst_case_cost_usd is None


def test_audio_that_is_heard_has_a_price_of_its_own(tmp_path: Path) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    asked = replace(query(), messages=({"role": "user", "content": [part]},))

    assert direct_plan(asked, "big", market(tmp_path)).expected_cost_usd is None


def test_tools_that_the_client_runs_have_no_price_of_their_own(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}]
    asked = replace(query(), extra={"tools": tools, "modalities": ["text"]}, needs=("tools",))

    assert direct_plan(asked, "big", market(tmp_path)).worst_case_cost_usd is not None


@pytest.mark.parametrize("tier", [None, "auto", "default"])
def test_the_usual_tier_has_the_listed_price(tmp_path: Path, tier: str | None) -> None:
    asked = replace(query(), extra={"service_tier": tier})

    assert direct_plan(asked, "big", market(tmp_path)).worst_case_cost_usd is not None


def test_a_cap_refuses_it(tmp_path: Path) -> None:
    asked = replace(query(), extra={"service_tier": "priority"}, needs=("logprobs",))
    with pytest.raises(CapExceeded, match="nobody knows what big may cost with service_tier: leave") as told:
        plan(asked, "default", market(tmp_path, CAP))
    assert told.value.fees == ("service_tier",)


def test_a_worker_knows_no_fees(tmp_path: Path) -> None:
    asked = replace(query(), extra={"service_tier": "priority"})

    assert direct_plan(asked, "tiny", market(tmp_path)).worst_case_cost_usd is not None
