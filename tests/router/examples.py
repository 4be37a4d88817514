"""A small configuration and the values around it, for every test of the router."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from router.artifacts import Calibration
from router.config import Config, load_config
from router.errors import ConfigInvalid
from router.market import Market, open_market
from router.types import Query, Sampling

YAML = """\
models:
  tiny:
    engine: transformers
    path: /models/tiny
    context_tokens: 512
    parameters: 1_000_000
    max_tokens: 100
    price:
      usd_per_million_prompt_tokens: 1
      usd_per_million_completion_tokens: 10
  big:
    engine: openai
    base_url: http://big.example/v1
    upstream_model: big-model
    context_tokens: 4096
    parameters: 14_000_000
    max_tokens: 100
    price:
      usd_per_million_prompt_tokens: 10
      usd_per_million_completion_tokens: 100
  unpriced:
    engine: litellm
    litellm_model: openai/somebody
    max_tokens: 100
verifiers:
  prm:
    kind: prm
    path: /models/prm
    context_tokens: 512
    parameters: 1_000_000
    price: {usd_per_million_tokens: 1}
  votes:
    kind: majority
policies:
  default: &default
    small: tiny
    verifier: prm
    large: big
    probe_samples: 16
    search_samples: 16
    usd_per_right_answer: 0.05
  alone: {<<: *default, large: null}
  voting: {<<: *default, verifier: votes}
  hasty: {<<: *default, probe_samples: 0}
  unknown: {<<: *default, large: unpriced}
"""


def write(folder: Path, text: str = YAML, name: str = "gradus.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def config_error(folder: Path, text: str, env: Mapping[str, str] | None = None) -> str:
    """What is wrong with ``text``, where it stands in "FILE"."""
    file = write(folder, text)
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file, env or {})
    return str(caught.value).replace(str(file), "FILE")


def config(folder: Path, env: Mapping[str, str] | None = None) -> Config:
    return load_config(write(folder), env or {})


def market(
    folder: Path, env: Mapping[str, str] | None = None, *, calibration: Calibration | None = None
) -> Market:
    return open_market(config(folder, env), calibration=calibration)


def query(text: str = "What is 2 + 2?", **rest: Any) -> Query:
    return Query(({"role": "user", "content": text},), **rest)


def short(max_tokens: int) -> Sampling:
    return Sampling(max_tokens=max_tokens)


CALIBRATION: dict[str, Any] = {
    "version": 1,
    "small": "tiny",
    "verifier": "prm",
    "large": "big",
    "temperature": 0.8,
    "probe_samples": 16,
    "search_samples": 16,
    "questions": 1000,
    "bins": {
        "easy": {
            "questions": 500,
            "small_right": 0.97,
            "large_right": 0.98,
            "small_completion_tokens": 40.5,
            "large_completion_tokens": 41,
        },
        "medium": {
            "questions": 250,
            "small_right": 0.7,
            "large_right": 0.9,
            "small_completion_tokens": 50,
            "large_completion_tokens": 52,
        },
        "hard": {
            "questions": 150,
            "small_right": 0.4,
            "large_right": 0.8,
            "small_completion_tokens": 60,
            "large_completion_tokens": 62,
        },
        "very_hard": {
            "questions": 100,
            "small_right": 0.05,
            "large_right": 0.6,
            "small_completion_tokens": 70,
            "large_completion_tokens": 72,
        },
    },
}


def calibration(**changes: Any) -> Calibration:
    return Calibration.model_validate({**CALIBRATION, **changes})
