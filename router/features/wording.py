"""How a question is put, in numbers: what it counts, compares and asks for, and the options it offers.

:mod:`router.features.lexical` says what a text looks like by its bytes; this looks at words. The lists are
of words that state relations in word problems and examinations, not of topics: those are the n-grams'.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LISTS = {
    "more": "more most extra additional",
    "less": "less fewer least",
    "than": "than",
    "each": "each every per",
    "percent": "percent percentage",
    "part": "half third quarter fourth thirds fraction",
    "multiple": "times twice double triple",
    "total": "total altogether combined sum all",
    "rest": "left remaining remain rest remainder",
    "money": "dollars cents cost price pay paid",
    "time": "hour hours minute minutes day days week weeks month months year years",
    "condition": "if suppose assume let given",
    "sequence": "then after before first second last",
    "rate": "rate speed mph average",
    "age": "old older younger age",
    "negation": "not no except never false incorrect cannot",
    "asks": "how many much what which who why",
    "number": "one two three four five six seven eight nine ten eleven twelve dozen hundred thousand",
}
_GROUP = {word: at for at, words in enumerate(_LISTS.values(), start=1) for word in words.split()}
"""From 1, so that ``None`` of other words can be told from all of them by its truth."""

_MAGNITUDES = ("greatest", "least_number", "mean_number", "distinct_numbers", "round_numbers", "fractions")
_TEXT = ("distinct_words", "names", "dollars", "percents", "quotes", "last_words", "last_numbers")
_OPTIONS = (
    "option_count",
    "option_mean",
    "option_longest",
    "option_shortest",
    "option_spread",
    "option_overlap",
    "option_most_overlap",
    "option_numeric",
    "option_digits",
    "option_from_stem",
    "option_stem_spread",
    "option_all",
    "option_none",
    "option_both",
    "option_negation",
    "option_names",
    "option_marks",
    "stem_negation",
    "stem_blank",
    "stem_asks",
    "stem_colon",
    "stem_statements",
    "stem_years",
)
WORDING = (*_LISTS, *_MAGNITUDES, *_TEXT, *_OPTIONS)
"""What the columns are, in order; counts are log(1 + count), and without options all of theirs are 0."""
_NO_OPTIONS = [0.0] * len(_OPTIONS)

_LETTERS = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_BEGINNING = re.compile(r"[^\W_]")
_ONLY_LETTERS = bytes(byte if chr(byte) in string.ascii_letters else ord(" ") for byte in range(256))
"""For ``bytes.translate``."""
_OPTION = re.compile(r"^\(?([A-J])[.)] ?", re.MULTILINE)
_ANSWER = re.compile(r"\s*Answer:\s*$")
_SENTENCE = re.compile(r"[.!?]\s")
_NEGATION = re.compile(r"\b(?:not|except|never|false|incorrect|least|cannot|untrue)\b", re.IGNORECASE)
_NAME = re.compile(r"\b[A-Z][a-z]+")
_MARKS = re.compile(r"[=+*/^<>∈→∀∃⊃·∨≡~$\\]")
_YEAR = re.compile(r"\b(?:1\d{3}|20[0-2]\d)\b")
_WORD = re.compile(r"\w+")
_NUMERIC = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*[A-Za-z%°]{0,3}[^A-Za-z]*")


def wording_features(texts: Sequence[str]) -> Floats:
    """[N, W] of N texts, by :data:`WORDING`."""
    rows = [_features(text) for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(texts), len(WORDING))


def _features(text: str) -> list[float]:
    words, numbers = _words(text), _NUMBER.findall(text)
    lowered = "\n".join(words).lower().split()
    groups = [0] * (1 + len(_LISTS))
    for at in filter(None, map(_GROUP.get, lowered)):
        groups[at] += 1
    sizes = [math.log1p(float(number.replace(",", "")[:15])) for number in numbers]
    sentences = _SENTENCE.split(text.strip())
    last_words, last_numbers = words, numbers
    if len(sentences) > 1:
        last_words, last_numbers = _words(sentences[-1]), _NUMBER.findall(sentences[-1])
    distinct_numbers = len(set(numbers))
    counts = [
        distinct_numbers,
        sum(number[-1] == "0" for number in numbers),
        text.count("/"),
    ]
    beginning = _BEGINNING.search(text)
    after_number = beginning is not None and beginning[0].isdecimal()
    names = {word for word in words[0 if after_number else 1 :] if word[0].isupper()}
    return [
        *map(math.log1p, groups[1:]),
        max(sizes, default=0.0),
        min(sizes, default=0.0),
        sum(sizes) / max(1, len(sizes)),
        *map(math.log1p, counts),
        (len(set(lowered)) + distinct_numbers) / max(1, len(words) + len(numbers)),
        *map(
            math.log1p,
            (
                len(names),
                text.count("$"),
                text.count("%"),
                text.count('"') + text.count("“"),
                len(last_words),
                len(last_numbers),
            ),
        ),
        *(_options(text) if "\n" in text else _NO_OPTIONS),
    ]


def _words(text: str) -> list[str]:
    """Runs of letters."""
    if text.isascii():  # as most are; several times as fast as by a regular expression
        return text.encode().translate(_ONLY_LETTERS).decode().split()
    return _LETTERS.findall(text)


_MOST_OPTIONS: Final = 64
"""Each is compared with all others: a text of nothing but options would hold everybody up."""


def _options(text: str) -> list[float]:
    """Of lettered options, each on its own line."""
    found = list(islice(_OPTION.finditer(text), _MOST_OPTIONS))
    if len(found) < 2:
        return _NO_OPTIONS
    stem = text[: found[0].start()].strip()
    ends = [each.start() for each in found[1:]] + [len(text)]
    options = [_ANSWER.sub("", text[each.end() : end]).strip() for each, end in zip(found, ends, strict=True)]
    lengths = [len(option) for option in options]
    mean = sum(lengths) / len(lengths)
    spread = math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths))
    words = [set(_WORD.findall(option.lower())) for option in options]
    shared = [
        len(one & other) / max(1, len(one | other))
        for at, one in enumerate(words)
        for other in words[at + 1 :]
    ]
    of_stem = set(_WORD.findall(stem.lower()))
    from_stem = [len(of_stem & each) / max(1, len(each)) for each in words]
    together = " ".join(options)
    lower = together.lower()
    return [
        len(options),
        math.log1p(mean),
        math.log1p(max(lengths)),
        math.log1p(min(lengths)),
        spread / max(1.0, mean),
        sum(shared) / len(shared),
        max(shared),
        sum(_NUMERIC.fullmatch(option) is not None for option in options) / len(options),
        sum(any(map(str.isdecimal, option)) for option in options) / len(options),
        sum(from_stem) / len(from_stem),
        max(from_stem) - min(from_stem),
        "all of the" in lower,
        "none of" in lower or "neither" in lower,
        "both" in lower,
        *(
            math.log1p(len(each))
            for each in (_NEGATION.findall(together), _NAME.findall(together), _MARKS.findall(together))
        ),
        math.log1p(len(_NEGATION.findall(stem))),
        "___" in stem,
        stem.endswith("?"),
        stem.endswith(":"),
        "Statement 1" in stem,
        math.log1p(len(_YEAR.findall(stem))),
    ]
