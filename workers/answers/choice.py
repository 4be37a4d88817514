"""Answers that are a letter: which of the options A to J was chosen."""

from __future__ import annotations

import re

from workers.answers.short import last_line, stated_answer

_MARKUP = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{|[*_`\"'“”$}]")
_PREAMBLE = re.compile(
    r"\s*(?:(?:the\s+)?(?:correct\s+)?(?:option|choice|letter|answer)\s*(?:is\b)?\s*:?)?\s*", re.I
)
_ALONE = re.compile(r"[(\[]?\s*([A-J])\s*[)\]]?[.:,;!]?\s*", re.I)
_HEADING = re.compile(r"[(\[]\s*([A-J])\s*[)\]]|([A-J])[.):,](?=\s|$)", re.I)
_IN_PROSE = re.compile(r"([B-HJ])\b(?!')|([AI])\s*(?:[-–—]|\b(?:because|since|as)\b)")
"""A capital letter that prose goes on after. A and I are words too, so only before a reason."""
_BRACKETED = re.compile(r"[(\[]\s*([A-J])\s*[)\]]", re.I)
_MARKED = re.compile(
    r"\b(?:correct|right|best)\s+(?:option|choice|letter)\s*(?:is\b\s*:?|:|=)[ \t]*(?P<rest>\S.*)", re.I
)
_PRAISED = re.compile(
    r"\b(?:option|choice|letter)\s+[(\[*]*(?P<letter>[A-J])\b[)\]*]*\s+(?:is|seems)\s+(?:the\s+)?(?:correct|right|best|answer)",
    re.I,
)


def extract_choice(text: str) -> str | None:
    """The chosen letter, "A" to "J".

    Looked for in the marked answer ("(B)", "B.", "B because", "Paris (B)"), after "the correct option is",
    in "option B is correct", and at the start of the last line where it stands alone or with a mark ("B)"):
    never the article or the pronoun of a sentence.
    """
    stated = stated_answer(text)
    marked = [match["rest"] for match in _MARKED.finditer(text)]
    for said in [*([] if stated is None else [stated]), *marked[-1:]]:
        plain = _plain(said)
        brackets = _BRACKETED.findall(plain)
        letter = _first(_ALONE.fullmatch(plain), _HEADING.match(plain), _IN_PROSE.match(plain))
        if letter or brackets:
            return letter or brackets[-1].upper()
    praised = list(_PRAISED.finditer(_MARKUP.sub("", text)))
    if praised:
        return praised[-1]["letter"].upper()
    plain = _plain(last_line(text) or "")
    return _first(_ALONE.fullmatch(plain), _HEADING.match(plain))


def _plain(said: str) -> str:
    plain = _MARKUP.sub("", said)
    preamble = _PREAMBLE.match(plain)
    return plain[preamble.end() :] if preamble else plain


def _first(*matches: re.Match[str] | None) -> str | None:
    for match in matches:
        if match is not None:
            return next(letter for letter in match.groups() if letter).upper()
    return None
