"""What a text looks like, in numbers: length, numbers, mathematics, code, options. Counted on its bytes.

Bytes are mapped to what they are (a letter, a digit, ...), and runs of them counted by what they begin with:
some 10 microseconds for a short text, 20 a kilobyte.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEXICAL = (
    "log_bytes",
    "log_words",
    "log_numbers",  # runs of digits
    "log_decimals",
    "log_longest_number",  # in digits
    "log_long_words",  # of eight letters or more
    "log_lines",
    "log_sentences",  # ends of them, by . ? or ! before a space
    "log_questions",
    "log_commas",
    "log_operators",  # + - * / ^ = < > %
    "log_brackets",
    "log_formula_marks",  # \ and $, as LaTeX has them
    "log_code_marks",  # { } ; _ ` #
    "log_options",  # "A)", "(B)", "C."
    "bytes_a_word",
    "capitals",  # these three in shares of the bytes
    "digits",
    "beyond_ascii",
)
"""What the columns are, in order; "log" is log(1 + count)."""

_SHARES = 4
"""So many of the last columns are no counts."""


def _table(kinds: Mapping[str, Iterable[int]], other: str = " ") -> bytes:
    """For ``bytes.translate``: each byte to the name of its kind."""
    names = {byte: ord(kind) for kind, members in kinds.items() for byte in members}
    return bytes(names.get(byte, ord(other)) for byte in range(256))


_UPPER, _LOWER, _DIGITS = (
    each.encode() for each in (string.ascii_uppercase, string.ascii_lowercase, string.digits)
)
_BEYOND = range(128, 256)

_KINDS = _table(
    {"A": _UPPER, "a": _LOWER, "z": _BEYOND, "0": _DIGITS, "\n": b"\n", "?": b"?", ",": b","}
    | {"+": b"+-*/^=<>%", "(": b"()[]", "$": b"\\$", ";": b"{};_`#"}
)
_LETTERS = _table({"a": (*_UPPER, *_LOWER, *_BEYOND)})
_NUMBERS = _table({"0": _DIGITS, ".": b"."})
_ENDS = _table({".": b".!?", " ": b" \t\r\n"}, other="x")
_OPTIONS = _table({"A": _UPPER, "a": (*_LOWER, *_BEYOND), ")": b").:"})


def lexical_features(texts: Sequence[str]) -> Floats:
    """[N, L] of N texts, by :data:`LEXICAL`; an empty text has zeros."""
    features = np.array([_features(text) for text in texts], dtype=np.float64).reshape(-1, len(LEXICAL))
    features[:, :-_SHARES] = np.log1p(features[:, :-_SHARES])
    return features.astype(np.float32)


def _features(text: str) -> tuple[float, ...]:
    # A space on either side: every run of letters or digits has a beginning and an end.
    text_bytes = b" " + text.encode("utf-8", "replace") + b" "
    kind = text_bytes.translate(_KINDS).count
    letters, numbers, options = map(text_bytes.translate, (_LETTERS, _NUMBERS, _OPTIONS))
    runs = numbers.replace(b".", b" ").split()
    capitals, beyond, digits = kind(b"A"), kind(b"z"), kind(b"0")
    words, size = letters.count(b" a"), len(text_bytes) - 2
    return (
        size,
        words,
        len(runs),
        numbers.count(b"0.") - numbers.count(b"0. ") - numbers.count(b"0.."),
        max(map(len, runs), default=0),
        letters.count(b" aaaaaaaa"),
        kind(b"\n"),
        text_bytes.translate(_ENDS).count(b". "),
        kind(b"?"),
        kind(b","),
        kind(b"+"),
        kind(b"("),
        kind(b"$"),
        kind(b";"),
        options.count(b"A)") - options.count(b"AA)") - options.count(b"aA)"),  # where a word begins
        (capitals + kind(b"a") + beyond) / max(words, 1),
        capitals / max(size, 1),
        digits / max(size, 1),
        beyond / max(size, 1),
    )
