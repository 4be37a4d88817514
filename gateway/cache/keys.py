"""What a request's answer depends on, as one hash. Pure.

Everything that could change the answer is in it, fields that nobody here knows included; what is left out is
listed by name. The order of keys is left out only where it can mean nothing: in the body itself, in a message
and in a part of its content. In a schema it is the order in which models write, so it stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from pydantic_core import to_json

from gateway.accounts import Account
from router.config import Config, LiteLLMModel, OpenAIModel
from router.config.cache import Cache

_VERSION: Final = 1
"""Of what follows: raise it when the same key would mean something else."""

NEUTRAL: Final = frozenset(
    {
        "user",
        "metadata",
        "stream",
        "stream_options",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
"""Fields that say who asks, how to file it and how to send it, and change no answer of a worker."""

_OURS: Final = frozenset({"cache", "progress"})
"""Options of ``gradus`` that are about how the answer is had, and not about the answer."""


_READ_BY_SERVERS: Final = frozenset({"user", "metadata"})


def neutral_fields(config: Config, models: Iterable[str]) -> frozenset[str]:
    """Where a server of these models may answer, it reads ``user`` and ``metadata``, and may answer by them.

    ``user`` is none either where a rule decides by it.
    """
    if any(isinstance(config.models.get(name), OpenAIModel | LiteLLMModel) for name in models):
        return NEUTRAL - _READ_BY_SERVERS
    rules = (rule for policy in config.policies.values() for rule in policy.rules)
    return NEUTRAL - {"user"} if any(rule.when.users is not None for rule in rules) else NEUTRAL


def key_of(
    *,
    endpoint: str,
    body: Mapping[str, Any],
    options: Mapping[str, Any],
    policy: str | None,
    tenant: str,
    account: Account,
    fingerprint: str,
    neutral: frozenset[str] = NEUTRAL,
) -> str:
    """SHA-256, in hexadecimal digits, of a request.

    ``body`` is as it came, ``options`` its ``gradus`` object, ``policy`` the one that is followed, and
    ``fingerprint`` what the configuration decides by (:func:`router.fingerprint.fingerprint_of`). What the
    account's key may ask for counts too: a tenant's other keys may be allowed other models.
    """
    key = account.key
    decides = {
        "version": _VERSION,
        "endpoint": endpoint,
        "body": {
            name: _messages(body[name]) if name == "messages" else body[name]
            for name in sorted(body)
            if name not in neutral
        },
        "gradus": {name: options[name] for name in sorted(options) if name not in _OURS},
        "policy": policy,
        "tenant": tenant,
        "may": None if key is None else [key.models, key.policies],
        "fingerprint": fingerprint,
    }
    return sha256(to_json(decides)).hexdigest()


def tenant_of(account: Account, scope: str) -> str:
    """Who shares an answer, as ``scope`` of the configuration says: "all", "team:ID" or "key:ID"."""
    key = account.key
    if key is None or scope == "everybody":
        return "all"
    return f"team:{key.team.id}" if scope == "team" and key.team is not None else f"key:{key.id}"


def is_deterministic(body: Mapping[str, Any]) -> bool:
    """Whether the client wants the same answer again: the likeliest one, or that of a seed.

    A search samples all the same. A kept answer is then nearer to what was asked than a new one.
    """
    return body.get("temperature") == 0 or body.get("seed") is not None


def looks_outside(body: Mapping[str, Any]) -> bool:
    """Whether the answer depends on what others may change meanwhile: the web, a file behind a URL."""
    return body.get("web_search_options") is not None or any(map(_has_url, body.get("messages") or ()))


def _has_url(message: Any) -> bool:
    content = message.get("content") if isinstance(message, Mapping) else None
    parts = content if isinstance(content, list) else ()
    return any(_is_remote(part) for part in parts if isinstance(part, dict) and part.get("type") != "text")


def _is_remote(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower().startswith(("http:", "https:"))
    within = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(map(_is_remote, within))


def _messages(messages: Any) -> Any:
    if not isinstance(messages, list):
        return messages
    return [_sorted(message, parts="content") for message in messages]


def _sorted(value: Any, parts: str | None = None) -> Any:
    """An object by the order of its names; its list of ``parts`` likewise."""
    if not isinstance(value, dict):
        return value
    return {
        name: [_sorted(part) for part in value[name]]
        if name == parts and isinstance(value[name], list)
        else value[name]
        for name in sorted(value)
    }


def allows(cache: Cache, body: Mapping[str, Any], wanted: bool | None) -> bool:
    """Whether answers of such a request are kept; ``wanted`` is its ``gradus.cache``."""
    if cache.mode == "off" or wanted is False:
        return False
    if wanted:
        return True
    return (cache.mode == "all" or is_deterministic(body)) and not looks_outside(body)
