"""The final answer of a solution, in a form in which equal answers are equal strings."""

from __future__ import annotations

import re
from fractions import Fraction

_LONGEST_BARE_ANSWER = 60
"""Characters that the last line of a text without any marker may have to count as an answer."""
LONGEST_NUMBER = 1000
"""Characters of a number; more are left as they are (and Python refuses to read 4300 digits)."""
_LONGEST_WRAPPED = 2_000
"""Characters of an answer whose quotes, markup and LaTeX are taken away, a layer at a time."""

_BRACE = re.compile(r"(?P<box>\\f?boxed\s*\{)|\\[\\{}]|\{|\}")
_EMPTY = re.compile(r"\s*\}")
_MARKED = re.compile(
    r"(?:\banswer\s*(?:is\b\s*:?|:|=)|^[ \t]*####)[ \t]*(?P<answer>\S.*)", re.IGNORECASE | re.MULTILINE
)
_SENTENCE_END = re.compile(r"[.;!?](?:\s|$)")
_WRAPPED = re.compile(r"\$([^$]+)\$|\\\((.+)\\\)")
_EQUATION = re.compile(r"[^=]*=\s*(?P<value>[^=]+)")

_LATEX_NOISE = (
    (re.compile(r"\\(?:text|mathrm|mbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[,!;: ]|\^\s*\{?\\circ\}?|\\left|\\right"), ""),
    (re.compile(r"\{,\}"), ","),
    (re.compile("−"), "-"),
    (re.compile(r"\\([$%])"), r"\1"),
)
_LATEX_FRACTION = re.compile(
    r"(?P<sign>-?)\s*\\[dt]?frac\s*\{\s*(?P<top>[0-9]+)\s*\}\s*\{\s*(?P<bottom>[0-9]+)\s*\}"
)
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*[$€£¥]?\s*"
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)(?P<decimals>\.[0-9]*)?(?:\s*/\s*(?P<bottom>[0-9]+))?"
    r"(?P<unit>\s*[$€£¥%°]|\s*[^\W\d_]+(?:[²³]|[/^][^\W_]+)*(?: [^\W\d_]+){0,2})?"
)
_UNITS_OF_ONE_LETTER = frozenset("cfghjklmnstvw")
_NO_UNITS = frozenset(
    ["and", "or", "to", "half", "hundred", "thousand", "million", "billion", "trillion", "dozen", "e", "pi"]
)


def extract_answer(text: str) -> str | None:
    r"""The normalised final answer, or ``None`` where there is none.

    The last ``\boxed{...}``; else what follows the last "answer is", "answer:" or "####"; else the last line
    (of an equation, its right side), if it is short.
    """
    stated = stated_answer(text)
    if stated is None:
        stated = last_line(text)
        if stated is None or len(stated) > _LONGEST_BARE_ANSWER:
            return None
    return normalise(stated)


def stated_answer(text: str) -> str | None:
    r"""The answer as it is written, where the text marks it: in a box, or after "answer is" and the like."""
    boxed = _last_boxed(text)
    if boxed is not None:
        return boxed
    marked = list(_MARKED.finditer(text))
    return _SENTENCE_END.split(marked[-1]["answer"], maxsplit=1)[0] if marked else None


def last_line(text: str) -> str | None:
    """The last line that is not blank, without the space around it."""
    lines = text.rstrip().splitlines()
    return lines[-1].strip() if lines else None


def states_answer(text: str) -> bool:
    """Whether the last line says that it is the answer: the solution has come to its end."""
    lines = text.rstrip().splitlines()
    return bool(lines) and (_MARKED.search(lines[-1]) is not None or _last_boxed(lines[-1]) is not None)


def normalise(answer: str) -> str | None:
    """One spelling for answers that mean the same: "$1,000.00" is "1000", "2/4" is "0.5", "-0" is "0".

    Numbers lose currency, unit, separators and zeros; words lose case, spaces and a final period.
    Idempotent. ``None`` if nothing is left.
    """
    before = None
    plain = " ".join(answer.casefold().split())
    while plain != before and len(plain) <= _LONGEST_WRAPPED:
        before = plain
        plain = " ".join(_unwrap(plain).casefold().split())
    number = _number(plain)
    if number is None and (equation := _EQUATION.fullmatch(plain)):
        number = _number(equation["value"].strip())
    if number is not None:
        return spell_number(number)
    return plain or None


def _last_boxed(text: str) -> str | None:
    """What the last box that closes holds, of those that are not empty if there are any.

    One pass: a model may open a thousand boxes and close none.
    """
    opened: list[int | None] = []  # where the content of each open box starts; None for other braces
    last: tuple[bool, int, int] | None = None
    for brace in _BRACE.finditer(text):
        if brace["box"]:
            opened.append(brace.end())
        elif brace[0] == "{":
            opened.append(None)
        elif brace[0] == "}" and opened:
            start = opened.pop()
            if start is not None:
                is_filled = _EMPTY.match(text, start) is None
                last = max(last or (False, -1, -1), (is_filled, start, brace.start()))
    return None if last is None else text[last[1] : last[2]]


def _unwrap(answer: str) -> str:
    """Take one layer of punctuation, quotes, markup and LaTeX away."""
    plain = answer.strip().rstrip(".,;:!?").strip("\"'“”‘’*`_ ")
    if wrapped := _WRAPPED.fullmatch(plain):
        plain = next(inner for inner in wrapped.groups() if inner is not None)
    for noise, replacement in _LATEX_NOISE:
        plain = noise.sub(replacement, plain)
    return plain


def _number(plain: str) -> Fraction | None:
    if len(plain) > LONGEST_NUMBER:
        return None
    if match := _LATEX_FRACTION.fullmatch(plain):
        top, bottom = int(match["top"]), int(match["bottom"])
        return None if bottom == 0 else Fraction(-top if match["sign"] else top, bottom)
    match = _NUMBER.fullmatch(plain)
    if match is None:
        return None
    digits = match["whole"].replace(",", "") + (match["decimals"] or "")
    bottom = int(match["bottom"] or 1)
    if not digits.strip(".") or bottom == 0 or not _is_unit(match["unit"] or ""):
        return None
    value = Fraction(f"0{digits}0" if "." in digits else digits) / bottom
    return -value if match["sign"] == "-" else value


def _is_unit(text: str) -> bool:
    words = text.split()
    if len(words) == 1 and len(words[0]) == 1 and words[0].isalpha():
        return words[0] in _UNITS_OF_ONE_LETTER
    return not _NO_UNITS.intersection(words)


def spell_number(value: Fraction) -> str:
    """A decimal where it ends, else a fraction in lowest terms."""
    rest = value.denominator
    places = 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest //= 10 if rest % 10 == 0 else 5 if rest % 5 == 0 else 2
        places += 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    if places == 0:
        return str(value.numerator)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"
