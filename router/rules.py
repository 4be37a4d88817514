"""The rules of a policy: which one a query falls under, before anything is predicted.

Languages are told by py3langid: naive Bayes over byte n-grams, in pure Python and numpy; 140 languages,
0.04 ms for a question. lingua's and fastText's models are larger and compiled. Loading its model takes 0.8 s
and 100 MB, so only a rule that names languages does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from router.config import Condition, Policy, Rule
from router.limits import REQUIRED_TOOLS
from router.types import Query

_TOOLS: Final = frozenset(["tools", REQUIRED_TOOLS, "functions", "tool messages"])
_IMAGES: Final = frozenset(["image_url", "input_image", "image"])
_LANGUAGE_CHARACTERS: Final = 2000
"""So many of a message tell its language."""
_MORE_LIKELY_THAN_NOT: Final = 0.5
"""Short messages and formulas are in no language that could be told: they fall under no rule about one."""


def first_rule(query: Query, policy: Policy, prompt_tokens: int) -> Rule | None:
    """The first of the policy's rules whose conditions all hold. ``prompt_tokens`` is about what it has."""
    return next((rule for rule in policy.rules if _holds(rule.when, query, prompt_tokens)), None)


def covers(earlier: Condition, later: Condition) -> bool:
    """Whether whatever ``later`` holds for, ``earlier`` holds for too: then a rule after it never matches.

    Of patterns only equal ones are compared.
    """
    for name in ("tools", "images", "pattern"):
        wanted = getattr(earlier, name)
        if wanted is not None and getattr(later, name) != wanted:
            return False
    if earlier.min_prompt_tokens is not None and (later.min_prompt_tokens or 0) < earlier.min_prompt_tokens:
        return False
    if earlier.prefix is not None and not (later.prefix or "").startswith(earlier.prefix):
        return False
    return all(
        wide is None or (narrow is not None and set(narrow) <= set(wide))
        for wide, narrow in ((earlier.languages, later.languages), (earlier.users, later.users))
    )


def language_of(text: str) -> str | None:
    """Its two letters (ISO 639-1); ``None`` where no language is more likely than not."""
    language, _ = _identifier().classify(text[:_LANGUAGE_CHARACTERS])
    return None if language == "und" else str(language)


def warm_up(policies: Iterable[Policy]) -> None:
    """Load what their rules need, so that no request waits for it."""
    if any(rule.when.languages for policy in policies for rule in policy.rules):
        _identifier()


def unknown_languages(condition: Condition) -> list[str]:
    """Those that :func:`language_of` never says."""
    return sorted(set(condition.languages) - set(_identifier().labels)) if condition.languages else []


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

    return LanguageIdentifier.from_model_file(
        MODEL_FILE, norm_probs=True, min_confidence=_MORE_LIKELY_THAN_NOT
    )


def _holds(when: Condition, query: Query, prompt_tokens: int) -> bool:
    """What is cheap to tell comes first."""
    if when.tools is not None and when.tools == _TOOLS.isdisjoint(query.needs):
        return False
    if when.images is not None and when.images != any(map(_has_image, query.messages)):
        return False
    if when.min_prompt_tokens is not None and prompt_tokens < when.min_prompt_tokens:
        return False
    if when.users is not None and query.extra.get("user") not in when.users:
        return False
    asked = _last_of_user(query)
    if when.prefix is not None and not asked.startswith(when.prefix):
        return False
    if when.pattern is not None and not re.search(when.pattern, asked):
        return False
    return when.languages is None or language_of(asked) in when.languages


def _last_of_user(query: Query) -> str:
    """The text of the user's last message, without white space around it."""
    for message in reversed(query.messages):
        if message.get("role") == "user":
            content = message.get("content")
            return (content if isinstance(content, str) else "\n".join(_texts(content))).strip()
    return ""


def _texts(content: Any) -> Iterable[str]:
    return (part["text"] for part in _parts(content) if isinstance(part.get("text"), str))


def _has_image(message: Mapping[str, Any]) -> bool:
    return any(part.get("type") in _IMAGES for part in _parts(message.get("content")))


def _parts(content: Any) -> Iterable[Mapping[str, Any]]:
    return (part for part in content if isinstance(part, Mapping)) if isinstance(content, list) else ()
