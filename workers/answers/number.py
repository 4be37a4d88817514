"""Answers that are numbers: exact where they are integers, else equal to a part in a million."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import inf

from workers.answers.short import LONGEST_NUMBER, normalise, spell_number, stated_answer

RELATIVE_TOLERANCE = Fraction(1, 10**6)
_CLEARLY = 1e-5
"""A relative difference of floats that leaves no doubt."""

_SPELLED = re.compile(r"-?[0-9]+(?:\.[0-9]+|/[1-9][0-9]*)?")
_NUMBER = re.compile(
    r"(?P<number>(?:(?<![\w.)])[-+−]\s?)?[$€£¥]?"
    r"(?:\\[dt]?frac\s*\{\s*[0-9]+\s*\}\s*\{\s*[0-9]+\s*\}"
    r"|(?:[0-9]{1,3}(?:(?:,|\{,\})[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:\s?/\s?[0-9]+)?|\.[0-9]+))"
    r"(?:[eE](?P<e>[+-]?[0-9]{1,3})\b|\s*(?:×|\\times|\*)\s*10\s*(?:\^|\*\*)\s*\{?(?P<power>[+-]?[0-9]{1,3})\b)?"
)


def extract_number(text: str) -> str | None:
    """The last number of the answer, or of a text that marks no answer, as :func:`short.normalise` spells it.

    Units, currencies and separators are dropped: "50%" is 50.
    """
    stated = stated_answer(text)
    numbers = list(_NUMBER.finditer(text if stated is None else stated))
    if not numbers:
        return None
    last = numbers[-1]
    spelled = normalise(last["number"])
    if spelled is None or not is_number(spelled):
        return None
    power = last["e"] or last["power"]
    return spell_number(Fraction(spelled) * Fraction(10) ** int(power)) if power else spelled


def is_number(answer: str) -> bool:
    """Whether an answer is a number as :func:`short.normalise` spells it."""
    return len(answer) <= LONGEST_NUMBER and _SPELLED.fullmatch(answer) is not None


def same_number(one: str, other: str) -> bool:
    """Whether two spelled numbers are equal: exactly if both are integers, else nearly."""
    (a, near_a), (b, near_b) = _value(one), _value(other)
    if a.denominator == b.denominator == 1:
        return a == b
    if abs(near_a - near_b) > _CLEARLY * max(abs(near_a), abs(near_b)):  # not for what is inf or nan
        return False
    return abs(a - b) <= RELATIVE_TOLERANCE * max(abs(a), abs(b))


@lru_cache(maxsize=4096)
def _value(spelled: str) -> tuple[Fraction, float]:
    """Exactly, and nearly; infinite where no float is so large."""
    exact = Fraction(spelled)
    try:
        return exact, float(exact)
    except OverflowError:
        return exact, inf
