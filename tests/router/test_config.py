"""What a right configuration says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cost_model.prices import UNKNOWN, Price
from router.config import LiteLLMModel, OpenAIModel, TransformersModel, load_config, preset_names
from tests.router.examples import YAML, config, write


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_has_these_policies(name: str) -> None:
    assert list(load_config(name, {}).policies)[:3] == ["default", "cheap", "accurate"]


def test_without_a_source_the_environment_names_the_file_and_else_it_is_abacus(tmp_path: Path) -> None:
    assert "abacus-small" in load_config(None, {}).models
    assert "tiny" in load_config(None, {"GRADUS_CONFIG": str(write(tmp_path))}).models
    assert "smollm2-135m" in load_config(None, {"GRADUS_CONFIG": "smollm2"}).models


def test_money_is_the_text_of_the_file_and_never_a_float(tmp_path: Path) -> None:
    text = YAML.replace("usd_per_right_answer: 0.05", "usd_per_right_answer: 0.1000000000000000055511151")
    worth = load_config(write(tmp_path, text), {}).policies["default"].usd_per_right_answer
    assert str(worth) == "0.1000000000000000055511151"


@pytest.mark.parametrize(("text", "usd"), [("1e-6", "0.000001"), ("1_000", "1000"), ("1_0.5", "10.5")])
def test_money_may_be_written_as_people_write_numbers(tmp_path: Path, text: str, usd: str) -> None:
    yaml = YAML.replace("usd_per_right_answer: 0.05", f"usd_per_right_answer: {text}")
    assert load_config(write(tmp_path, yaml), {}).policies["default"].usd_per_right_answer == Decimal(usd)


def test_a_machine_hour_or_a_million_tokens_prices_a_model(tmp_path: Path) -> None:
    assert config(tmp_path).models["tiny"].token_price() == Price(Decimal("0.000001"), Decimal("0.00001"))
    small = load_config("abacus", {}).models["abacus-small"]
    hour = Decimal(small.price.usd_per_hour or 0) if small.price else Decimal(0)
    price = small.token_price().usd_per_completion_token
    assert hour > 0
    assert price is not None
    assert price > 0


def test_a_model_without_a_price_has_an_unknown_one(tmp_path: Path) -> None:
    assert config(tmp_path).models["unpriced"].token_price() == UNKNOWN


def test_anchors_and_merge_keys_share_settings_and_let_them_be_overridden(tmp_path: Path) -> None:
    policies = config(tmp_path).policies
    assert policies["voting"].large == "big"
    assert policies["voting"].verifier == "votes"
    assert policies["alone"].large is None


def test_of_several_merged_mappings_the_first_wins(tmp_path: Path) -> None:
    text = (
        YAML
        + "  fast: &fast {<<: *default, probe_samples: 4}\n  both: {<<: [*fast, *default], deadline_s: 9}\n"
    )
    both = load_config(write(tmp_path, text), {}).policies["both"]
    assert (both.probe_samples, both.search_samples, both.deadline_s) == (4, 16, 9.0)


def test_a_variable_overrides_the_file_whatever_its_case_and_dashes(tmp_path: Path) -> None:
    file = write(tmp_path, YAML.replace("  voting:", "  Vot-ing:"))
    env = {"GRADUS__POLICIES__VOT_ING__PROBE_SAMPLES": "8", "GRADUS__SERVER__PORT": "9000"}
    loaded = load_config(file, env)
    assert loaded.policies["Vot-ing"].probe_samples == 8
    assert loaded.policies["default"].probe_samples == 16
    assert loaded.server.port == 9000


def test_a_variable_can_set_money_and_nothing(tmp_path: Path) -> None:
    env = {"GRADUS__POLICIES__DEFAULT__MAX_COST_USD": "0.1", "GRADUS__POLICIES__DEFAULT__LARGE": "null"}
    policy = config(tmp_path, env).policies["default"]
    assert policy.max_cost_usd == Decimal("0.1")
    assert policy.large is None


def test_a_variable_can_add_a_whole_model(tmp_path: Path) -> None:
    env = {
        "GRADUS__MODELS__EXTRA__ENGINE": "litellm",
        "GRADUS__MODELS__EXTRA__LITELLM_MODEL": "openai/gpt-4o-mini",
    }
    extra = config(tmp_path, env).models["extra"]
    assert isinstance(extra, LiteLLMModel)
    assert extra.litellm_model == "openai/gpt-4o-mini"


def test_redis_is_where_its_variable_says_unless_a_closer_one_says_otherwise(tmp_path: Path) -> None:
    socket = {"GRADUS_REDIS_URL": "unix:///run/redis.sock"}
    assert config(tmp_path).server.redis_url == "redis://127.0.0.1:6379/0"
    assert config(tmp_path, socket).server.redis_url == "unix:///run/redis.sock"
    closer = {**socket, "GRADUS__SERVER__REDIS_URL": "redis://queue:6379/1"}
    assert config(tmp_path, closer).server.redis_url == "redis://queue:6379/1"


def test_a_large_model_from_the_environment_goes_to_the_policies_that_have_none(tmp_path: Path) -> None:
    loaded = config(tmp_path, {"GRADUS_LARGE_MODEL": "openai/gpt-4o-mini"})
    assert loaded.policies["alone"].large == "large"
    assert loaded.policies["default"].large == "big"
    large = loaded.models["large"]
    assert isinstance(large, LiteLLMModel)
    assert (large.litellm_model, large.api_key_env) == ("openai/gpt-4o-mini", None)


def test_a_large_model_with_a_url_is_an_openai_compatible_server(tmp_path: Path) -> None:
    env = {
        "GRADUS_LARGE_MODEL": "qwen",
        "GRADUS_LARGE_BASE_URL": "http://gpu:8000/v1",
        "GRADUS_LARGE_API_KEY": "secret",
    }
    large = config(tmp_path, env).models["large"]
    assert isinstance(large, OpenAIModel)
    assert (large.upstream_model, large.base_url) == ("qwen", "http://gpu:8000/v1")
    assert large.api_key_env == "GRADUS_LARGE_API_KEY"
    assert "secret" not in repr(large)


def test_a_completion_is_as_long_as_asked_but_never_longer_than_the_context(tmp_path: Path) -> None:
    loaded = config(tmp_path)
    tiny, unpriced = loaded.models["tiny"], loaded.models["unpriced"]
    assert isinstance(tiny, TransformersModel)
    assert [tiny.completion_limit(asked) for asked in (None, 7, 300, 9999)] == [100, 7, 300, 512]
    assert [unpriced.completion_limit(asked) for asked in (None, 7, 9999)] == [100, 7, 9999]


def test_an_upstream_model_without_any_limit_has_no_bound(tmp_path: Path) -> None:
    large = config(tmp_path, {"GRADUS_LARGE_MODEL": "x"}).models["large"]
    assert large.completion_limit(None) is None
    assert large.completion_limit(5) == 5
