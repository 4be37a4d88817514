"""URLs in a request that litellm would fetch, here in the gateway, where they are no client's business."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from router.config import LiteLLMModel

# Providers whose own API takes the URLs of images: litellm hands those on.
_TAKE_IMAGE_URLS: Final = frozenset({"openai", "azure"})
_SCHEMES: Final = ("http://", "https://", "www.", "//", "ftp://", "file:")


def media_url(body: Mapping[str, Any], model: LiteLLMModel) -> str | None:
    """Where the first such URL is (``messages[0].content[1]``); ``None``: there is none.

    Anthropic, Gemini, Bedrock, Ollama and others get images as data, and OpenAI gets files so: litellm
    downloads them. A URL in a text is a text.
    """
    providers = {place.model.partition("/")[0] if "/" in place.model else "" for place in model.deployed}
    passed_on = {"image_url"} if providers <= _TAKE_IMAGE_URLS else set()
    for turn, message in enumerate(body.get("messages") or ()):
        content = message.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if part.get("type") not in passed_on and _has_url(part):
                return f"messages[{turn}].content[{index}]"
    return None


def _has_url(part: Mapping[str, Any]) -> bool:
    given = (value for name, value in part.items() if name not in ("type", "text"))
    return any(text.strip().lower().startswith(_SCHEMES) for value in given for text in _texts(value))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
