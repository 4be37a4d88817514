"""How long a prompt is, as far as that can be told without the model's tokenizer.

Prices and caps rest on it; whether a prompt really fits a context is for the worker, which has the tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from router.types import Query

_BYTES_A_TOKEN: Final = 3
"""Of English with numbers; a little low, so that estimates are a little high."""
_MOST_BYTES_A_TOKEN: Final = 6
"""Of any usual text: what is too long even so is refused unread."""
_TYPICAL_MESSAGE_TOKENS: Final = 4
_NUMBER_BYTES: Final = 24
_TEMPLATE_TOKENS: Final = 256
"""What a chat template adds at most: a default system prompt (Mistral Small's has some 160 tokens), begin and
end of text, the assistant's turn."""
_TOOL_PROMPT_TOKENS: Final = 1024
"""What it adds at most to say how to call tools (Anthropic's has up to 530 tokens) or keep to a schema."""
_TOLD_HOW: Final = ("tools", "functions", "response_format", "text")
"""Fields for which that is said: of chats, and (``text``) of responses."""
_MESSAGE_TOKENS: Final = 16
"""What a chat template adds a message at most: role and separators."""


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt: at least, expected, and at most. Images and such have no bounds (0, ``None``)."""

    at_least: int
    expected: int
    at_most: int | None


def prompt_size(query: Query, known_tokens: int | None = None) -> PromptSize:
    """``known_tokens`` where the caller counted; else from UTF-8 bytes: a token is at least one byte.

    Messages count, and the tools and schemas beside them; at most every other field too: a template may show
    its model fields that nobody here knows (vLLM's ``documents``, ``chat_template_kwargs``).
    """
    if known_tokens is not None:
        return PromptSize(known_tokens, known_tokens, known_tokens)
    extra_bytes = _bytes(query.extra)
    text_bytes = _bytes(query.messages) + (extra_bytes if query.needs else 0)
    messages = len(query.messages)
    expected = text_bytes // _BYTES_A_TOKEN + _TYPICAL_MESSAGE_TOKENS * messages
    if any(map(_has_media, query.messages)):
        return PromptSize(0, expected, None)
    maybe_read_bytes = 0 if query.needs else extra_bytes
    at_most = text_bytes + maybe_read_bytes + _MESSAGE_TOKENS * messages + added_tokens(query.extra)
    return PromptSize(text_bytes // _MOST_BYTES_A_TOKEN, expected, at_most)


def added_tokens(fields: Mapping[str, Any]) -> int:
    """What a model reads at most that no request says, by what else the request has than messages."""
    return _TEMPLATE_TOKENS + (_TOOL_PROMPT_TOKENS if any(map(fields.get, _TOLD_HOW)) else 0)


def _bytes(value: Any) -> int:
    """Bytes of every text in a JSON value, keys included."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(_bytes(key) + _bytes(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_bytes, value))
    return _NUMBER_BYTES


def _has_media(message: Mapping[str, Any]) -> bool:
    parts = message.get("content")
    return isinstance(parts, list | tuple) and any(
        not (isinstance(part, Mapping) and part.get("type") == "text") for part in parts
    )
