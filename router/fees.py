"""Which fields of a request make its cost unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from router.types import Query

_UNBOUNDED: Final = (
    # Priced apart from tokens, or at other prices: searches (xAI, Qwen), regions and speeds (Anthropic).
    "audio",
    "plugins",
    "search_parameters",
    "enable_search",
    "inference_geo",
    "speed",
    "cache_control",
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
    "preset",
)
_ANY_UNBOUNDED: Final = frozenset(_UNBOUNDED)
_OWN_TOOLS: Final = ("function", "custom")  # no set: what a client sends may have no hash
"""Tools that the client runs. What a provider runs (a search, code) it prices apart, and its model reads."""


def fees_of(query: Query) -> tuple[str, ...]:
    """Fields of the request that have no price here, or make others than those that were priced.

    A provider prices them apart from tokens, or at other prices; or its server reads or writes more for them
    than the request's length and ``max_tokens`` say. What it then costs nobody here knows: the cost is
    ``None``, and a cap refuses.
    """
    extra = query.extra
    asked = ["web_search_options"] if extra.get("web_search_options") is not None else []
    if not _ANY_UNBOUNDED.isdisjoint(extra):
        asked += filter(extra.get, _UNBOUNDED)
    if extra.get("service_tier") not in (None, "auto", "default"):
        asked.append("service_tier")
    if extra.get("modalities") not in (None, [], ["text"]):
        asked.append("modalities")
    tools = [each for each in extra.get("tools") or () if isinstance(each, Mapping)]
    has_audio = is_cached = False
    for part in _parts(query.messages, tools):
        has_audio = has_audio or "audio" in str(part.get("type"))
        is_cached = is_cached or "cache_control" in part
    if any(tool.get("type") not in _OWN_TOOLS for tool in tools):
        asked.append("tools")
    asked += ["input_audio"] * has_audio + ["cache_control"] * is_cached
    return tuple(dict.fromkeys(asked)) if asked else ()


def _parts(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Messages, and the parts of their contents; tools, and their functions."""
    for message in messages:
        yield message
        content = message.get("content")
        if isinstance(content, list | tuple):
            yield from (part for part in content if isinstance(part, Mapping))
    for tool in tools:
        yield tool
        if isinstance(function := tool.get("function"), Mapping):
            yield function
