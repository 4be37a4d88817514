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
_TEMPLATE_TOKENS: Final = 64
"""What a chat template adds at most: a default system prompt, begin and end of text, the assistant's turn."""
_MESSAGE_TOKENS: Final = 16
"""What a chat template adds a message at most: role and separators."""


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt: as expected, and at most."""

    expected: int
    at_most: int


def prompt_size(query: Query, known_tokens: int | None = None) -> PromptSize:
    """``known_tokens`` where the caller counted; else from UTF-8 bytes: a token is at least one byte."""
    if known_tokens is not None:
        return PromptSize(known_tokens, known_tokens)
    text_bytes = sum(_bytes(message.get("content")) for message in query.messages)
    messages = len(query.messages)
    return PromptSize(
        text_bytes // _BYTES_A_TOKEN + 4 * messages + 4,
        text_bytes + _MESSAGE_TOKENS * messages + _TEMPLATE_TOKENS,
    )


def _bytes(content: Any) -> int:
    """Bytes of a message's content: text, or OpenAI's list of parts."""
    if isinstance(content, str):
        return len(content.encode("utf-8", "surrogatepass"))
    if isinstance(content, Mapping):
        return _bytes(content.get("text"))
    if isinstance(content, list | tuple):
        return sum(map(_bytes, content))
    return 0
