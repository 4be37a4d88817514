"""What a text looks like, in numbers: length, numbers, mathematics, code, options. Counted on its bytes.

A million texts take seconds: bytes of many texts are classified together, and counted by numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

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

_CHUNK = 1024
_LONG = 8

# What a byte is: one class each.
_UPPER, _LOWER, _BEYOND, _DIGIT, _SPACE, _LINE, _STOP, _QUESTION, _COMMA, _OPERATOR, _BRACKET, _FORMULA = (
    range(12)
)
_CODE, _OTHER = 12, 13
_MEMBERS = {
    _UPPER: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    _LOWER: "abcdefghijklmnopqrstuvwxyz",
    _DIGIT: "0123456789",
    _SPACE: " \t\r",
    _LINE: "\n",
    _STOP: ".!",
    _QUESTION: "?",
    _COMMA: ",",
    _OPERATOR: "+-*/^=<>%",
    _BRACKET: "()[]",
    _FORMULA: "\\$",
    _CODE: "{};_`#",
}
_CLASS = np.full(256, _OTHER, dtype=np.uint8)
_CLASS[128:] = _BEYOND
for _class, _characters in _MEMBERS.items():
    _CLASS[list(_characters.encode())] = _class
_AFTER_OPTION = np.isin(np.arange(256), list(b").:"))


def lexical_features(texts: Sequence[str]) -> Floats:
    """[N, L] of N texts, by :data:`LEXICAL`; an empty text has zeros."""
    chunks = [_features(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.empty((0, len(LEXICAL)), dtype=np.float32)


def _features(texts: Sequence[str]) -> Floats:
    # A space behind every text: no run of letters or digits crosses from one to the next.
    encoded = [text.encode("utf-8", "replace") + b" " for text in texts]
    sizes = np.array([len(each) for each in encoded])
    starts = sizes.cumsum() - sizes
    characters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    kinds = _CLASS[characters]
    letter, digit = kinds <= _BEYOND, kinds == _DIGIT
    words, numbers = letter.copy(), digit.copy()  # where they begin
    words[1:] &= ~letter[:-1]
    numbers[1:] &= ~digit[:-1]
    marks = np.zeros((6, len(kinds)), dtype=np.int32)
    marks[0], marks[1] = words, numbers
    marks[2, 1:-1] = (characters[1:-1] == ord(".")) & digit[:-2] & digit[2:]  # decimals
    marks[3, _long_words(words, letter)] = 1
    ends = (kinds == _STOP) | (kinds == _QUESTION)
    marks[4, :-1] = ends[:-1] & ((kinds[1:] == _SPACE) | (kinds[1:] == _LINE))  # sentences
    marks[5, :-1] = words[:-1] & (kinds[:-1] == _UPPER) & _AFTER_OPTION[characters[1:]]  # options
    word, number, decimal, long_word, sentence, option = np.add.reduceat(marks, starts, axis=1)
    text = np.repeat(np.arange(len(texts)), sizes)
    by_kind = np.bincount(text * (_OTHER + 1) + kinds, minlength=len(texts) * (_OTHER + 1))
    kind = by_kind.reshape(len(texts), -1).T
    counts = (
        sizes - 1,
        word,
        number,
        decimal,
        _longest(numbers, digit, starts),
        long_word,
        kind[_LINE],
        sentence,
        *kind[_QUESTION:_OTHER],
        option,
    )
    size = np.maximum(sizes - 1, 1)
    shares = (
        kind[: _BEYOND + 1].sum(axis=0) / np.maximum(word, 1),
        *(kind[[_UPPER, _DIGIT, _BEYOND]] / size),
    )
    return np.concatenate([np.log1p(np.stack(counts)), np.stack(shares)]).T.astype(np.float32)


def _lengths(starts: Bools, marks: Bools) -> tuple[Ints, Ints]:
    """Where runs of marks begin, and how long they are."""
    begins = np.flatnonzero(starts)
    ends = np.flatnonzero(marks[:-1] & ~marks[1:]) + 1  # a space is last, so no run is open there
    return begins, ends - begins


def _long_words(words: Bools, letter: Bools) -> Ints:
    """Where they begin."""
    begins, lengths = _lengths(words, letter)
    return begins[lengths >= _LONG]


def _longest(numbers: Bools, digit: Bools, starts: Ints) -> Ints:
    """The longest run of digits of each text, 0 without one."""
    begins, lengths = _lengths(numbers, digit)
    at = np.zeros(len(digit), dtype=np.intp)
    at[begins] = lengths
    longest: Ints = np.maximum.reduceat(at, starts)
    return longest
