"""A conversation as the text that says how hard it is: a "yes" after a hard question is as hard as that.

The last turn of the user is what has to be answered, but "why?", "go on" or "and for 12 of them?" mean
nothing without what they follow. Such turns bring the earlier ones along, back to one that stands by itself.
In any language they are told by being short, and shorter than what was answered before them; in English also
by their words. To bring along too much makes an easy turn look hard, which costs money; too little makes a
hard one look easy, which costs the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_CHARACTERS = 8000
"""Of a longer text the head and the tail are kept: what is asked stands in one of them."""

_SHORT_WORDS = 6
"""A turn of so few words is read with those before it, unless it has numbers to work with."""
_BRIEF_WORDS = 12
_BRIEF_SHARE = 0.5
"""So is one of up to so many words and this share of the turn before it, if that was answered in between."""
_FOLLOWING_WORDS = 25
"""So is, in English, one of up to so many words that begins as one goes on, or soon leans on "it"."""

_WORD = re.compile(r"[^\W\d_]+|\d+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese put no spaces between words: two characters are one."""
_READ = 400
"""Characters of a turn that are looked at: a longer one stands by itself."""
_LONG_WORD = 12
"""Characters; what has no space for longer is no single word."""
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
    turns: list[str] = []
    follows_answer: list[bool] = []
    answered = False
    for message in messages:
        answered |= message.get("role") == "assistant"
        turn = _content(message.get("content")) if message.get("role") == "user" else ""
        if turn:
            turns.append(turn)
            follows_answer.append(answered)
            answered = False
    if not turns:
        return ""
    first = len(turns) - 1
    while first > 0 and (
        _leans(turns[first]) or (follows_answer[first] and _is_brief(turns[first], turns[first - 1]))
    ):
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
    """Whether the turn by itself says that it means little without the one before it."""
    if _length(turn) <= _SHORT_WORDS:
        return not _has_numbers(turn)
    words: list[str] = [word.lower() for word in _WORD.findall(turn[:_READ])]
    if not words or len(words) > _FOLLOWING_WORDS:
        return False  # without words of letters or digits nothing says that it goes on
    # "that" only at the end: "prove that ..." leans on nothing.
    if _GOES_ON.fullmatch(words[0]) or words[-1] == "that":
        return True
    return any(_LEANS.fullmatch(word) for word in words[:6])


def _is_brief(turn: str, before: str) -> bool:
    most = min(_BRIEF_WORDS, _BRIEF_SHARE * _length(before))
    return _length(turn) <= most and not _has_numbers(turn)


def _has_numbers(turn: str) -> bool:
    """Two or more: something to work with."""
    words: list[str] = _WORD.findall(turn[:_READ])
    return sum(word.isdecimal() for word in words) >= 2


def _length(turn: str) -> float:
    """About how many words its beginning has, in any script."""
    beginning = turn[:_READ]
    unspaced = 0
    if not beginning.isascii():
        beginning, unspaced = _UNSPACED.subn(" ", beginning)
    words = [word for word in beginning.split() if word.isalnum() or any(map(str.isalnum, word))]
    return sum(1 + len(word) // _LONG_WORD for word in words) + unspaced / 2
