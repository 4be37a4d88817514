"""Which fields of a request make its cost unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from router.types import Query

_UNBOUNDED: Final = (
    # Priced apart from tokens.
    "web_search_options",
    "audio",
    "plugins",
    # How much is written, whatever max_tokens says: to llama.cpp, Ollama, Text Generation Inference, vLLM.
    "n_predict",
    "num_predict",
    "options",
    "max_new_tokens",
    "max_length",
    "max_output_tokens",
    "best_of",
    "use_beam_search",
    "prediction",
    # How much is read, whatever the bytes of the request say.
    "prompt_embeds",
    "chat_template",
    # Who answers, at whose prices: OpenRouter's.
    "models",
    "route",
    "provider",
)


def fees_of(query: Query) -> tuple[str, ...]:
    """Fields of the request that have no price here, or make others than those that were priced.

    A provider prices them apart from tokens, or at other prices; or its server reads or writes more for them
    than the request's length and ``max_tokens`` say. What it then costs nobody here knows: the cost is
    ``None``, and a cap refuses.
    """
    tier = query.extra.get("service_tier")
    asked = {name: bool(query.extra.get(name)) for name in _UNBOUNDED}
    asked["service_tier"] = tier not in (None, "auto", "default")
    asked["web_search_options"] = query.extra.get("web_search_options") is not None
    asked["input_audio"] = any("audio" in str(part.get("type")) for part in _parts(query))
    asked["cache_control"] = any("cache_control" in part for part in _parts(query))
    return tuple(name for name, is_asked in asked.items() if is_asked)


def _parts(query: Query) -> Iterator[Mapping[str, Any]]:
    """Messages, and the parts of their contents."""
    for message in query.messages:
        yield message
        content = message.get("content")
        if isinstance(content, list | tuple):
            yield from (part for part in content if isinstance(part, Mapping))
