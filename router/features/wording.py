"""How a question is put, in numbers: what it counts, compares and asks for, and the options it offers.

:mod:`router.features.lexical` says what a text looks like by its bytes; this looks at words. The lists are
of words that state relations in word problems and examinations, not of topics: those are the n-grams'.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

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

_TOKEN = re.compile(r"[^\W\d_]+|\d[\d,]*(?:\.\d+)?")
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
    tokens = _TOKEN.findall(text)
    lowered = "\n".join(tokens).lower().split()
    groups = [0] * (1 + len(_LISTS))
    for at in filter(None, map(_GROUP.get, lowered)):
        groups[at] += 1
    numbers = [token for token in tokens if token[0].isdecimal()]
    sizes = [math.log1p(float(token.replace(",", "")[:15])) for token in numbers]
    sentences = _SENTENCE.split(text.strip())
    last = len(tokens) if len(sentences) == 1 else len(_TOKEN.findall(sentences[-1]))
    last_numbers = sum(token[0].isdecimal() for token in tokens[len(tokens) - last :])
    counts = [
        len(set(numbers)),
        sum(token[-1] == "0" for token in numbers),
        text.count("/"),
    ]
    names = {token for token in tokens[1:] if token[0].isupper()}
    return [
        *map(math.log1p, groups[1:]),
        max(sizes, default=0.0),
        min(sizes, default=0.0),
        sum(sizes) / max(1, len(sizes)),
        *map(math.log1p, counts),
        len(set(lowered)) / max(1, len(lowered)),
        *map(
            math.log1p,
            (
                len(names),
                text.count("$"),
                text.count("%"),
                text.count('"') + text.count("“"),
                last - last_numbers,
                last_numbers,
            ),
        ),
        *(_options(text) if "\n" in text else _NO_OPTIONS),
    ]


def _options(text: str) -> list[float]:
    """Of lettered options, each on its own line."""
    found = list(_OPTION.finditer(text))
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
