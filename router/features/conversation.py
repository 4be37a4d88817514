"""A conversation as the text that says how hard it is: a "yes" after a hard question is as hard as that.

The last turn of the user is what has to be answered, but "why?", "go on" or "and for 12 of them?" mean
nothing without what they follow. Such turns bring the earlier ones along, back to one that stands by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_CHARACTERS = 8000
"""Of a longer text the head and the tail are kept: what is asked stands in one of them."""

_SHORT_WORDS = 6
"""A turn of so few words is read with those before it, unless it has numbers to work with."""
_FOLLOWING_WORDS = 25
"""So is one of up to so many words that begins as one goes on, or soon leans on "it" or "that"."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]+|\d+")
"""Scripts without spaces count by character."""
_GOES_ON = re.compile(
    "and|but|or|so|then|also|now|again|yes|no|ok|okay|sure|right|why|instead|continue|go|please|thanks"
)
_LEANS = re.compile("it|its|this|these|those|them|above|previous|same")


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the user asks, of OpenAI chat messages: the last turn of the user, and those it leans on.

    Text parts of a content list are joined by line ends, images and the like are left out, and so is what
    others than the user said: system prompts say the same of every query, answers are not questions. Empty
    without a turn of the user. At most :data:`MAX_CHARACTERS` long.
    """
    turns = [_content(message.get("content")) for message in messages if message.get("role") == "user"]
    turns = [turn for turn in turns if turn]
    if not turns:
        return ""
    first = len(turns) - 1
    while first > 0 and _leans(turns[first]):
        first -= 1
    return bounded("\n\n".join(turns[first:]))


def bounded(text: str) -> str:
    """Its head and its tail, of :data:`MAX_CHARACTERS` together."""
    if len(text) <= MAX_CHARACTERS:
        return text
    half = MAX_CHARACTERS // 2
    return f"{text[: half - 2]}\n\n{text[len(text) - half :]}"


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, Sequence):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def _leans(turn: str) -> bool:
    """Whether the turn means little without the one before it."""
    words: list[str] = [word.lower() for word in _WORD.findall(turn[:400])]
    if len(words) <= _SHORT_WORDS:
        return sum(word.isdecimal() for word in words) < 2
    if len(words) > _FOLLOWING_WORDS:
        return False
    # "that" only at the end: "prove that ..." leans on nothing.
    # "that" only at the end: "prove that ..." leans on nothing.
    # "that" only at the end: "prove that ..." leans on nothing.
    if _GOES_ON.fullmatch(words[0]) or words[-1] == "that":
        return True
    return any(_LEANS.fullmatch(word) for word in words[:6])
