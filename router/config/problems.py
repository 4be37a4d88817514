"""What is wrong with a file that pydantic reads, in words that say what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from router.config.fields import ENTRY_POINT, URL
from router.config.rules import LANGUAGE
from router.config.source import Document
from router.errors import ConfigInvalid

_PATTERNS: Final[dict[str, str]] = {
    URL: "a URL that starts with http:// or https://",
    ENTRY_POINT: "a function, as 'module:function'",
    LANGUAGE: "a language by its two letters (ISO 639-1), as en or de",
}


def first_problem(document: Document, error: ValidationError, schema: type[BaseModel]) -> ConfigInvalid:
    """Of all that pydantic found in what ``schema`` describes: what was written first, in our words."""
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the misspelling is what helps.
    told = [each for each in problems if each["type"] != "missing"] or problems
    found = [document.error(*_in_our_words(each, schema)) for each in told]
    return min(found, key=lambda each: (each.line is not None, each.line or 0))


def _in_our_words(error: Any, schema: type[BaseModel]) -> tuple[tuple[str, ...], str]:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    path, section = _find(schema, [str(part) for part in error["loc"]])
    match kind:
        case "extra_forbidden":
            return path, _unknown_key(path[-1], section)
        case "missing":
            return path, "is missing"
        case "union_tag_not_found":
            key = context["discriminator"].strip("'")
            return (*path, key), "is missing"
        case "union_tag_invalid":
            key = context["discriminator"].strip("'")
            return (*path, key), f"must be one of {context['expected_tags']}, not {context['tag']!r}"
        case "model_attributes_type" | "model_type" | "dict_type":
            return path, f"must be a mapping of keys to values, not {_show(value)}"
        case "value_error":
            return path, str(context["error"])
        case "int_type":
            return path, f"must be a whole number, not {_show(value)}"
        case "decimal_parsing" | "decimal_type" | "float_parsing" | "float_type":
            return path, f"must be a number, not {_show(value)}"
        case "tuple_type":
            return path, f"must be a list, not {_show(value)}"
        case "too_short" if context["actual_length"] == 0:
            return path, "is empty; give at least one"
        case "string_too_short":
            return path, "must not be empty"
        case "string_type":
            return path, f"must be text, not {_show(value)}"
        case "string_pattern_mismatch":
            return path, f"must be {_PATTERNS[context['pattern']]}, not {_show(value)}"
    message = error["msg"].removeprefix("Input should be ").removeprefix("Value should have ")
    message = message.removeprefix("String should ")
    return path, f"must be {message}, not {_show(value)}"


def _show(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) else str(value)


def _unknown_key(key: str, section: type[BaseModel]) -> str:
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(key, known, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"
    return f"is not a known key; {advice}"


def _find(schema: type[BaseModel], places: Sequence[str]) -> tuple[tuple[str, ...], type[BaseModel]]:
    """The path as it is written, and the section that its last key belongs to.

    pydantic also names the kind of a model or verifier, as if it were a key of it.
    """
    path: tuple[str, ...] = ()
    here: Any = schema
    section = schema
    for place in places:
        sections = [each for each in _options(here) if isinstance(each, type) and issubclass(each, BaseModel)]
        if len(sections) > 1:
            here = next((each for each in sections if place in _tags(each)), None)
            continue
        path = (*path, place)
        if sections:
            section = sections[0]
            field = section.model_fields.get(place)
            here = None if field is None else field.annotation
        else:
            inner = get_args(here) if get_origin(here) in (Mapping, tuple) else ()
            here = inner[-1 if get_origin(here) is Mapping else 0] if inner else None
    return path, section


def _options(annotation: Any) -> list[Any]:
    """The types that a value may have."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for each in get_args(annotation) for option in _options(each)]
    return [annotation]


def _tags(section: type[BaseModel]) -> set[Any]:
    literals = [field.annotation for field in section.model_fields.values()]
    return {tag for each in literals if get_origin(each) is Literal for tag in get_args(each)}
