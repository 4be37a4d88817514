"""litellm's price list, as its package ships it: read from the file, so without its import or a network."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from router.config import Config, JudgeVerifier, LiteLLMModel

_FILE: Final = "model_prices_and_context_window_backup.json"


def listed_prices(config: Config) -> Mapping[str, Mapping[str, Any]]:
    """The list, read only if a model or judge of litellm is configured without a price."""
    asked = [*config.models.values(), *config.verifiers.values()]
    wanted = any(isinstance(each, LiteLLMModel | JudgeVerifier) and each.price is None for each in asked)
    return price_map() if wanted else {}


def price_map() -> Mapping[str, Mapping[str, Any]]:
    """The whole list; nothing where litellm is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    text = (Path(spec.origin).parent / _FILE).read_text("utf-8")
    return cast(Mapping[str, Mapping[str, Any]], json.loads(text))
