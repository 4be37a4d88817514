"""What is wrong with a configuration, in words that say what would be right."""

from __future__ import annotations

import difflib
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from router.config.fields import ENTRY_POINT, REDIS_URL, URL, ModelPrice, VerifierPrice
from router.config.models import LiteLLMModel, OpenAIModel, ThinkingMarks, TransformersModel
from router.config.policies import Policy, StoppingRule
from router.config.schema import Config, Server
from router.config.source import Document
from router.config.verifiers import (
    CheckVerifier,
    EnsembleVerifier,
    JudgeVerifier,
    MajorityVerifier,
    OrmVerifier,
    PrmVerifier,
    Quality,
    RemoteVerifier,
)
from router.errors import ConfigInvalid

_SECTIONS: Final[dict[str, type[BaseModel]]] = {"policies": Policy, "server": Server}
_KINDS: Final[dict[str, type[BaseModel]]] = {
    "transformers": TransformersModel,
    "openai": OpenAIModel,
    "litellm": LiteLLMModel,
    "prm": PrmVerifier,
    "orm": OrmVerifier,
    "remote": RemoteVerifier,
    "judge": JudgeVerifier,
    "check": CheckVerifier,
    "ensemble": EnsembleVerifier,
    "majority": MajorityVerifier,
}
_PATTERNS: Final[dict[str, str]] = {
    URL: "a URL that starts with http:// or https://",
    REDIS_URL: "a URL that starts with redis://, rediss:// or unix://",
    ENTRY_POINT: "a function, as 'module:function'",
}
_INNER: Final[dict[str, type[BaseModel]]] = {
    "thinking": ThinkingMarks,
    "quality": Quality,
    "stopping": StoppingRule,
}


def first_problem(document: Document, error: ValidationError) -> ConfigInvalid:
    """Of everything that pydantic found, what was written first, in our words."""
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the misspelling is what helps.
    told = [each for each in problems if each["type"] != "missing"] or problems
    found = [document.error(*_in_our_words(each)) for each in told]
    return min(found, key=lambda each: (each.line is not None, each.line or 0))


def _in_our_words(error: Any) -> tuple[tuple[str, ...], str]:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    path = tuple(str(part) for part in error["loc"])
    tag = None
    if len(path) > 2 and path[0] in ("models", "verifiers"):  # pydantic names the kind of model in the path
        tag, path = path[2], path[:2] + path[3:]
    match kind:
        case "extra_forbidden":
            return path, _unknown_key(path, tag)
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
        case "too_short" if context["actual_length"] == 0:
            return path, "is empty; give at least one"
        case "string_type":
            return path, f"must be text, not {_show(value)}"
        case "string_pattern_mismatch":
            return path, f"must be {_PATTERNS[context['pattern']]}, not {_show(value)}"
    message = error["msg"].removeprefix("Input should be ").removeprefix("Value should have ")
    return path, f"must be {message}, not {_show(value)}"


def _show(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) else str(value)


def _unknown_key(path: tuple[str, ...], tag: str | None) -> str:
    known = _keys(path, tag)
    close = difflib.get_close_matches(path[-1], known, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"
    return f"is not a known key; {advice}"


def _keys(path: tuple[str, ...], tag: str | None) -> list[str]:
    """The keys that the section around ``path`` has."""
    section: type[BaseModel] = _SECTIONS.get(path[0], Config) if len(path) > 1 else Config
    if tag is not None:
        section = _KINDS[tag]
        if path[-2] == "price":
            writes = path[0] == "models" or section is JudgeVerifier
            section = ModelPrice if writes else VerifierPrice
    return list(_INNER.get(path[-2], section).model_fields) if len(path) > 1 else list(section.model_fields)
