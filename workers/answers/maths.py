r"""Answers in mathematics: LaTeX or plain, equal when math-verify can show that they are.

"\frac{1}{2}", "1/2", "0.5" and "50\%" are one class; so are "1,2" and "\{2,1\}"; "(1,2)" and "(2,1)" are two.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from workers.answers.bounded import Refused, TooMuch, ask
from workers.answers.grouping import by_leader
from workers.answers.number import is_number, same_number
from workers.answers.short import last_line, normalise, stated_answer

_LONGEST_LAST_LINE = 200
_LONGEST_TIDIED = 2_000
_LONGEST_COMPARED = 300
"""Characters of an answer that algebra is tried on; longer ones are equal when they are spelled alike."""
COMPARISON_LIMIT_S = 2.0
_COMPARISONS_LIMIT_S = 10.0
"""For all comparisons of a call; what is left then is compared by spelling."""
_STRIKES = 2
"""So often may algebra with an answer come to no end before it is compared by spelling."""

_INLINE = re.compile(r"\$([^$\n]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]")
_WRAPPED = re.compile(r"\$+([^$]+)\$+|\\text\s*\{([^{}]*)\}|\\\((.+)\\\)|\\\[(.+)\\\]", re.DOTALL)
_SPELLINGS = (
    (re.compile(r"\\!\s*|(?<=\d)\\,(?=\d{3})"), ""),
    (re.compile(r"\\(?:mbox|mathrm|textrm|textbf)(?=\s*\{)"), r"\\text"),
    (re.compile(r"(\\text\s*\{[^{}]*\})\s*\^\s*\{?[23]\}?$"), r"\1"),
    (re.compile(r"\\(?:left|right)(?![a-zA-Z])|(?<!\\)\\[,!;: ]|~"), " "),
    (re.compile(r"\\[dt]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\{,\}"), ","),
    (re.compile("−"), "-"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![\\a-zA-Z])(sqrt|log|ln|sin|cos|tan|exp)(?=\s*\()"), r"\\\1"),
    (re.compile(r"\\sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\a-zA-Z])(pi|infinity|infty)(?![a-zA-Z])"), r"\\\1"),
    (re.compile("π"), r"\\pi "),
    (re.compile(r"∞|\\infinity"), r"\\infty "),
    (re.compile("√"), r"\\sqrt "),
)
_NO_PURE_NUMBER = re.compile(r"[^\W\d_]|[%=]")
_ORDERED = re.compile(r"[(\[][^()\[\]]*,[^()\[\]]*[)\]]")
_RELATION = re.compile(r"[<>≤≥]|\\[lg]eq?\b")
_NO_PROSE = re.compile(r"\\(?:text|begin|end)\s*\{[^{}]*\}")
_PROSE = re.compile(r"(?<![\\a-zA-Z])[^\W\d_]{3,}")


def extract_math(text: str) -> str | None:
    """The marked answer, else the last formula of the last line, else that line, tidied.

    A number is spelled as :func:`short.normalise` does, but "50%" stays what it is.
    """
    stated = stated_answer(text)
    if stated is None:
        line = last_line(text)
        if line is None or len(line) > _LONGEST_LAST_LINE:
            return None
        formulas = _INLINE.findall(line)
        stated = next(filter(None, formulas[-1])) if formulas else line
        if not formulas and "," not in line:  # "2 + 2 = 4", but not "x = 1, y = 2"
            stated = line.rpartition("=")[2]
    return tidy(stated)


def tidy(answer: str) -> str | None:
    """One spelling for LaTeX that reads the same: no spacing commands, no wrapping, one kind of fraction."""
    plain = " ".join(answer.split())
    before = None
    while plain != before and len(plain) <= _LONGEST_TIDIED:
        before = plain
        plain = plain.strip().rstrip(".,;:!?").strip("\"'“”‘’*`_ ")
        if wrapped := _WRAPPED.fullmatch(plain):
            plain = next(filter(None, wrapped.groups()), "")
        for spelling, ours in _SPELLINGS:
            plain = spelling.sub(ours, plain)
        plain = " ".join(plain.split())
    if not _NO_PURE_NUMBER.search(plain.replace(r"\frac", "")):
        number = normalise(plain)
        if number is not None and is_number(number):
            return number
    return plain or None


def math_classes(answers: Sequence[str]) -> Sequence[int]:
    """Classes of equivalent answers; equivalence is no transitive relation here, see :func:`by_leader`.

    Bounded: a comparison that comes to no end, or to none in time, finds two answers different.
    """
    ends_s = time.monotonic() + _COMPARISONS_LIMIT_S
    strikes: Counter[str] = Counter()

    def same(leader: str, answer: str) -> bool:
        if leader.casefold() == answer.casefold():
            return True
        if is_number(leader) and is_number(answer):
            return same_number(leader, answer)
        if not _are_comparable(leader, answer):
            return False
        if max(strikes[leader], strikes[answer]) >= _STRIKES or time.monotonic() > ends_s:
            return False
        try:
            return _is_equal(leader, answer)
        except TooMuch:
            strikes.update((leader, answer))
        except Refused:
            pass
        return False

    return by_leader(answers, same)


@lru_cache(maxsize=16_384)
def _is_equal(leader: str, answer: str) -> bool:
    """What algebra says. A vote asks again and again: after every sample that could decide it."""
    return bool(ask("same_math", leader, answer, limit_s=COMPARISON_LIMIT_S))


def _are_comparable(one: str, other: str) -> bool:
    """Whether algebra may be asked. Alone it would take "(1,2)" and "(2,1)" both for the set of 1 and 2."""
    if not (_is_algebra(one) and _is_algebra(other)):
        return False
    if _RELATION.search(one) or _RELATION.search(other):
        return True
    return (_ORDERED.search(one) is None) == (_ORDERED.search(other) is None)


def _is_algebra(answer: str) -> bool:
    """Words would be read as products of letters, and "listen" equals "silent" then."""
    return len(answer) <= _LONGEST_COMPARED and not _PROSE.search(_NO_PROSE.sub("", answer))
