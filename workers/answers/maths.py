r"""Answers in mathematics: LaTeX or plain, equal when math-verify can show that they are.

"\frac{1}{2}", "1/2", "0.5" and "50\%" are one class; so are "1,2" and "\{2,1\}"; "(1,2)" and "(2,1)" are two.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from workers.answers.allowance import Allowance
from workers.answers.bounded import Refused, TooMuch
from workers.answers.number import is_number, same_number
from workers.answers.short import last_line, normalise, stated_answer

_LONGEST_LAST_LINE = 200
_LONGEST_TIDIED = 2_000
_LONGEST_COMPARED = 300
"""Characters of an answer that algebra is tried on; longer ones are equal when they are spelled alike."""
COMPARISON_LIMIT_S = 2.0
_STRIKES = 2
"""So often may comparing an answer come to no end before it is compared by spelling."""

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


class Algebra:
    """Which answers of one query are equivalent: no transitive relation, so :class:`Leaders` groups them.

    Bounded: an answer that algebra comes to no end with is compared by spelling, and so is every answer when
    no time is left. An answer is computed once, where it has a value; only where two values are near are
    their formulas compared, and each pair once.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._formulas: dict[str, _Formula] = {}
        self._equal: dict[tuple[str, str], bool] = {}
        self._strikes: Counter[str] = Counter()

    def same(self, leader: str, answer: str) -> bool:
        if leader.casefold() == answer.casefold():
            return True
        one, other = self._formula(leader), self._formula(answer)
        if one.is_number and other.is_number:
            return same_number(leader, answer)
        if not _are_comparable(one, other) or max(self._strikes[leader], self._strikes[answer]) >= _STRIKES:
            return False
        values = self._value(leader), self._value(answer)
        if values[0] is not None and values[1] is not None and _differ(values[0], values[1]):
            return False
        if (leader, answer) not in self._equal:
            said = self._ask("same_math", leader, answer)
            self._equal[leader, answer] = bool(said)
        return self._equal[leader, answer]

    def _formula(self, answer: str) -> _Formula:
        if answer not in self._formulas:
            self._formulas[answer] = _Formula.of(answer)
        return self._formulas[answer]

    def _value(self, answer: str) -> complex | None:
        formula = self._formula(answer)
        if not formula.is_computed:
            formula.is_computed = True
            if "%" not in answer:  # "50%" is 0.5 to some, and 50 to others
                said = self._ask("math_value", answer)
                formula.value = None if said is None else complex(*said)
        return formula.value

    def _ask(self, question: str, *answers: str) -> Any:
        """``None`` where algebra has no answer."""
        try:
            return self._allowance.ask(question, *answers, limit_s=COMPARISON_LIMIT_S)
        except TooMuch:
            # Whoever cannot be computed alone is to blame; of two, who knows.
            self._strikes.update({answer: _STRIKES // len(answers) for answer in answers})
        except Refused:
            pass
        return None


@dataclass(slots=True)
class _Formula:
    """What there is to know about an answer alone; ``value`` as the helper computes it, when it was asked."""

    is_number: bool
    is_algebra: bool
    is_relation: bool
    is_ordered: bool
    is_computed: bool = False
    value: complex | None = None

    @classmethod
    def of(cls, answer: str) -> _Formula:
        return cls(
            is_number(answer),
            _is_algebra(answer),
            _RELATION.search(answer) is not None,
            _ORDERED.search(answer) is not None,
        )


def _are_comparable(one: _Formula, other: _Formula) -> bool:
    """Whether algebra may be asked. Alone it would take "(1,2)" and "(2,1)" both for the set of 1 and 2."""
    if not (one.is_algebra and other.is_algebra):
        return False
    return one.is_relation or other.is_relation or one.is_ordered == other.is_ordered


def _differ(one: complex, other: complex) -> bool:
    """Whether two values leave no doubt. Algebra itself rounds to 6 digits."""
    return abs(one - other) > 1e-4 + 1e-3 * max(abs(one), abs(other))


def _is_algebra(answer: str) -> bool:
    """Words would be read as products of letters, and "listen" equals "silent" then."""
    return len(answer) <= _LONGEST_COMPARED and not _PROSE.search(_NO_PROSE.sub("", answer))
