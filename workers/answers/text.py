"""Answers in free text: equal but for case, punctuation and articles, or when they mean nearly the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from workers.answers.grouping import by_leader
from workers.answers.short import stated_answer

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""A vector of length 1 a text; texts that mean the same have vectors that point the same way."""

SAME_MEANING = 0.85
"""The cosine from which two answers count as one.

Encoders see topics better than truth: with all-MiniLM-L6-v2, "united states" and "usa" have 0.89, "paris"
and "london" 0.58, but a sentence and its negation up to 0.9. They hardly see numbers at all ("1066" and
"1067" have 0.91), so answers with different numbers are different, whatever their vectors say.
"""

_KEPT = r"(?<=\d)[.,:/](?=\d)|(?<!\w)-(?=\d)"
_PUNCTUATION = re.compile(rf"({_KEPT})|[.,;:!?\"'“”‘’()\[\]{{}}*_`…/]|[-–—]")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_ARTICLES = frozenset(["a", "an", "the"])


def extract_text(text: str) -> str | None:
    """The marked answer, or else the whole turn, normalised."""
    stated = stated_answer(text)
    return normalise_text(text if stated is None else stated)


def normalise_text(answer: str) -> str | None:
    """Without case, articles, and punctuation that is not part of a number; ``None`` if nothing is left."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", answer).casefold())
    words = _PUNCTUATION.sub(_without, plain).split()
    return " ".join([word for word in words if word not in _ARTICLES] or words) or None


def _without(mark: re.Match[str]) -> str:
    if mark[1]:
        return mark[1]
    return " " if mark[0] in "-–—/" else ""


def meaning_classes(embed: Embed) -> Callable[[Sequence[str]], Sequence[int]]:
    """Classes of answers whose vector is near that of the class's first member (leader clustering)."""

    def classes(answers: Sequence[str]) -> Sequence[int]:
        distinct = tuple(dict.fromkeys(answers))
        vectors = dict(zip(distinct, embed(distinct), strict=True)) if distinct else {}

        def same(leader: str, answer: str) -> bool:
            if _numbers(leader) != _numbers(answer):
                return False
            pairs = zip(vectors[leader], vectors[answer], strict=True)
            return sum(a * b for a, b in pairs) >= SAME_MEANING

        return by_leader(answers, same)

    return classes


def _numbers(answer: str) -> list[str]:
    return sorted(_NUMBER.findall(answer))
