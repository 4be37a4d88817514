"""JSON that a model wrote: found in its text, and spelled one way."""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEEPEST = 64
"""Levels of nesting that are read; deeper JSON is none."""

_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)


class NotJson(ValueError):
    """The text is not JSON, or too deep."""


def read_json(text: str) -> Any:
    """The value of a JSON text, numbers in one spelling: 1.0 is 1, as JSON Schema has it.

    Raises :class:`NotJson`, also for what Python alone reads (``NaN``) and what it cannot hold (``1e999``).
    """
    try:
        return _plain(json.loads(text, parse_constant=_refuse), DEEPEST)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def find_json(text: str) -> Any:
    """The value of the whole text, else of its last fenced block, else of its outermost braces or brackets.

    Raises :class:`NotJson` where none of them is JSON.
    """
    places = [text, *_FENCED.findall(text)[-1:]]
    for opening, closing in sorted((("{", "}"), ("[", "]")), key=lambda pair: _first_at(text, pair[0])):
        places.append(text[text.find(opening) : text.rfind(closing) + 1])
    for place in places:
        try:
            return read_json(place)
        except NotJson:
            pass
    raise NotJson("there is no JSON in the text")


def spell_json(value: Any) -> str:
    """Canonical JSON of a value that :func:`read_json` gave: keys sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def last_fenced(text: str) -> str | None:
    """The last fenced block of a Markdown text."""
    blocks = _FENCED.findall(text)
    return blocks[-1] if blocks else None


def _first_at(text: str, opening: str) -> int:
    at = text.find(opening)
    return len(text) if at < 0 else at


def _refuse(constant: str) -> None:
    raise NotJson(f"{constant} is no JSON")


def _plain(value: Any, levels: int) -> Any:
    if levels == 0:
        raise NotJson(f"nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return {key: _plain(one, levels - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, levels - 1) for one in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson("a number is too large")
        return int(value) if value.is_integer() else value
    return value
