"""Answers in free text: equal but for case, punctuation and articles, or when they mean nearly the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping, Sequence

from workers.answers.allowance import Allowance
from workers.answers.grouping import Keys, Leaders
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


def meaning_keys(embed: Embed, allowance: Allowance) -> Keys:
    """Classes of answers whose vector is near that of the class's first member (leader clustering).

    Each answer is embedded once; those for which no time is left are equal only when they are spelled alike.
    """
    vectors: dict[str, Sequence[float]] = {}

    def same(leader: str, answer: str) -> bool:
        if leader not in vectors or answer not in vectors or _numbers(leader) != _numbers(answer):
            return False
        return sum(a * b for a, b in zip(vectors[leader], vectors[answer], strict=True)) >= SAME_MEANING

    leaders = Leaders(same)

    def keys(answers: Sequence[str]) -> Mapping[str, Hashable]:
        new = [answer for answer in answers if answer not in vectors]
        if new and allowance.left_s > 0:
            with allowance.spending():
                vectors.update(zip(new, embed(new), strict=True))
        return leaders(answers)

    return keys


def _numbers(answer: str) -> list[str]:
    return sorted(_NUMBER.findall(answer))
