"""Models in several places: what the configuration says of them, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from router.config import Config, Deployed, LiteLLMModel, OpenAIModel, load_config
from router.errors import ConfigInvalid
from router.market import open_market
from router.policy import direct_plan
from router.types import Query, Sampling

BASE: dict[str, Any] = {
    "models": {
        "small": {"engine": "transformers", "path": "x", "context_tokens": 512, "max_tokens": 64},
        "big": {
            "engine": "openai",
            "upstream_model": "q",
            "max_tokens": 100,
            "deployments": [
                {"base_url": "http://a/v1", "weight": 3, "api_key_env": "A"},
                {"base_url": "http://b/v1", "upstream_model": "q8", "max_concurrent_requests": 4},
            ],
        },
        "other": {"engine": "litellm", "litellm_model": "openai/x", "max_tokens": 100},
    },
    "verifiers": {"v": {"kind": "majority"}},
    "policies": {"default": {"small": "small", "verifier": "v", "large": "big", "usd_per_right_answer": 1}},
}


def load(tmp_path: Path, **models: dict[str, Any]) -> Config:
    """The base configuration, with keys of its models set; ``None`` takes one away."""
    content = yaml.safe_load(yaml.safe_dump(BASE))
    for name, keys in models.items():
        content["models"][name] = {
            key: value
            for key, value in {**content["models"].get(name, {}), **keys}.items()
            if value is not None
        }
    file = tmp_path / "gradus.yaml"
    file.write_text(yaml.safe_dump(content), "utf-8")
    return load_config(file, {})


def test_a_deployment_has_its_own_key_and_the_models_name_unless_it_says_otherwise(tmp_path: Path) -> None:
    model = load(tmp_path).models["big"]
    assert isinstance(model, OpenAIModel)
    assert model.deployed == (
        Deployed("q", "http://a/v1", "A", weight=3),
        Deployed("q8", "http://b/v1", None, max_concurrent_requests=4),
    )


def test_a_model_without_a_list_is_one_deployment(tmp_path: Path) -> None:
    model = load(tmp_path, other={"api_key_env": "K"}).models["other"]
    assert isinstance(model, LiteLLMModel)
    assert model.deployed == (Deployed("openai/x", None, "K"),)


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("big", {"base_url": "http://c/v1"}, "models.big: must give either base_url, or deployments"),
        ("big", {"deployments": None}, "models.big: must give either base_url, or deployments"),
        ("big", {"upstream_model": None}, "models.big: must give upstream_model"),
        ("big", {"api_key_env": "K"}, "models.big: must give api_key_env with each of its deployments"),
        ("big", {"deployments": [{"base_url": "b"}]}, "deployments.0.base_url: must be a URL"),
        ("big", {"deployments": [{"base_url": "http://b", "wait": 1}]}, "deployments.0.wait: is not a known"),
        ("big", {"fallbacks": ["othr"]}, "models.big.fallbacks: names 'othr', which is not in models; did"),
        ("big", {"fallbacks": ["big"]}, "models.big.fallbacks: names the model itself"),
        ("big", {"fallbacks": ["small"]}, "models.big.fallbacks: names 'small', which runs in workers"),
        (
            "big",
            {"fallbacks": ["other"], "endpoints": ["chat", "responses"]},
            "models.big.fallbacks: names 'other', whose endpoints lack responses",
        ),
        (
            "big",
            {"endpoints": ["embeddings"]},
            "policies.default.large: names 'big', whose endpoints have no",
        ),
        ("other", {"litellm_model": None}, "models.other: must give either litellm_model, or deployments"),
        ("other", {"endpoints": ["chat", "responses"]}, "models.other: cannot have responses, which engine"),
        ("other", {"max_retries": -1}, "models.other.max_retries: must be greater than or equal to 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, **{name: keys})
    assert message in str(caught.value)


PRICES = {
    "openai/x": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "openai"},
    "azure/x": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "azure"},
    "azure/y": {"input_cost_per_token": 3e-6, "output_cost_per_token": 2e-6, "litellm_provider": "azure"},
}


@pytest.mark.parametrize(
    ("second", "known"), [("azure/x", True), ("azure/y", False), ("azure/unheard-of", False)]
)
def test_deployments_have_a_listed_price_only_if_it_is_the_same(
    tmp_path: Path, second: str, known: bool
) -> None:
    places = [{"litellm_model": "openai/x"}, {"litellm_model": second}]
    config = load(tmp_path, other={"litellm_model": None, "deployments": places})
    price = open_market(config, price_map=PRICES).model_prices["other"]
    assert (price.usd_per_prompt_token is not None) == known


def price_of(usd: float) -> dict[str, float]:
    return {"usd_per_million_prompt_tokens": 0, "usd_per_million_completion_tokens": usd}


def test_the_worst_case_of_a_model_is_that_of_its_dearest_fallback(tmp_path: Path) -> None:
    query = replace(Query(messages=({"role": "user", "content": "hi"},)), sampling=Sampling(max_tokens=10))

    def worst_usd(**other: Any) -> Decimal | None:
        big = {"price": price_of(5), "fallbacks": ["other"]}
        market = open_market(load(tmp_path, big=big, other=other))
        return direct_plan(query, "big", market).worst_case_cost_usd

    assert worst_usd(price=price_of(1)) == Decimal("0.00005")
    assert worst_usd(price=price_of(7)) == Decimal("0.00007")
    assert worst_usd() is None
