"""A mistake in the environment is named by its variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.router.examples import YAML, config_error

OVERRIDES = {
    "wrong value": (
        {"GRADUS__SERVER__PORT": "http"},
        "$GRADUS__SERVER__PORT: server.port: must be a whole number, not 'http'",
    ),
    "unknown key": (
        {"GRADUS__POLICIES__DEFAULT__COLOUR": "8"},
        "$GRADUS__POLICIES__DEFAULT__COLOUR: policies.default.colour: is not a known key; "
        "known here are small, verifier, large, allow, rules, strategy, task, probe, probe_samples, "
        "probe_stages, unseen, unseen_below, search_samples, beam_width, max_rounds, lookahead_steps, "
        "chain_length, max_drop, stopping, usd_per_right_answer, min_accuracy, min_share_of_large, "
        "confidence, max_mean_cost_usd, max_usd_per_day, expected_queries_per_day, max_cost_usd, "
        "max_latency_s, overflow, deadline_s",
    ),
    "key below a value": (
        {"GRADUS__MODELS__TINY__PATH__X": "8"},
        "$GRADUS__MODELS__TINY__PATH__X: models.tiny.path: is a single value; it has no keys",
    ),
    "no key at all": ({"GRADUS__": "8"}, "$GRADUS__: names no key; write it as GRADUS__SERVER__PORT"),
    "not YAML": (
        {"GRADUS__SERVER__HOST": "[1"},
        "$GRADUS__SERVER__HOST:1: is not YAML: expected ',' or ']', but got '<stream end>'",
    ),
    "inconsistent with the file": (
        {"GRADUS__POLICIES__ALONE__SMALL": "giant"},
        "$GRADUS__POLICIES__ALONE__SMALL: policies.alone.small: names 'giant', which is not in models; "
        "there are tiny, big, unpriced",
    ),
    "wrong Redis": (
        {"GRADUS_REDIS_URL": "localhost:6379"},
        "$GRADUS_REDIS_URL: server.redis_url: must be a URL that starts with redis://, rediss:// or unix://",
    ),
    "wrong URL of the large model": (
        {"GRADUS_LARGE_MODEL": "x", "GRADUS_LARGE_BASE_URL": "big.example"},
        "$GRADUS_LARGE_BASE_URL: models.large.base_url: must be a URL that starts with http:// or https://, "
        "not 'big.example'",
    ),
}


@pytest.mark.parametrize(("env", "message"), OVERRIDES.values(), ids=list(OVERRIDES))
def test_a_mistake_in_the_environment_is_named_with_its_variable(
    tmp_path: Path, env: dict[str, str], message: str
) -> None:
    assert config_error(tmp_path, YAML, env) == message


def test_a_large_model_from_the_environment_does_not_overwrite_one_of_the_file(tmp_path: Path) -> None:
    text = YAML.replace("  big:\n", "  large:\n").replace("large: big", "large: large")
    assert config_error(tmp_path, text, {"GRADUS_LARGE_MODEL": "x"}) == (
        "$GRADUS_LARGE_MODEL: adds a model named 'large', but the file has one already; rename that, or "
        "unset the variable"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRADUS_REDIS_URL", "http://:hunter2@queue:6379/0"),
        ("GRADUS_REDIS_URL", "redis://:hunter2/more@queue:6379/0"),
        ("GRADUS_REDIS_URL", "redis://:secret@queue:hunter2/0"),
        ("GRADUS_DATABASE_URL", "mysql://gradus:hunter2@db/gradus"),
        ("GRADUS__MODELS__BIG__API_KEY_ENV", "sk-hunter2"),
    ],
)
def test_what_may_hold_a_secret_is_not_shown_where_it_is_wrong(
    tmp_path: Path, variable: str, value: str
) -> None:
    said = config_error(tmp_path, YAML, {variable: value})

    assert said.startswith(f"${variable}: ")
    assert "must be" in said
    assert "hunter2" not in said
