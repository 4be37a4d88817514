"""How many tokens a prompt has, where nobody counts them."""

from __future__ import annotations

from workers.engines.chat import flatten
from workers.protocols import Prompt

_CHARACTERS_PER_TOKEN = 3
"""Numbers and code are denser than prose."""
_TOKENS_PER_MESSAGE = 4


def estimated_tokens(prompt: Prompt) -> int:
    """A third of the characters, and a few tokens a message."""
    messages = [str(flatten(message)["content"]) for message in prompt.messages]
    characters = sum(map(len, messages)) + len(prompt.prefix)
    return -(-characters // _CHARACTERS_PER_TOKEN) + _TOKENS_PER_MESSAGE * (len(messages) + 1)
