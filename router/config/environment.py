"""Environment variables over a configuration file.

``GRADUS__POLICIES__DEFAULT__PROBE_SAMPLES=8`` sets ``policies.default.probe_samples``: double underscores
between keys; case, and dashes against underscores, do not matter where the file already has the key. The
shortcuts GRADUS_REDIS_URL, GRADUS_DATABASE_URL and GRADUS_LARGE_MODEL come first, so that the long form can
refine them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.config.source import Document, Place, read_scalar
from router.errors import ConfigInvalid

PREFIX = "GRADUS__"


def override(document: Document, env: Mapping[str, str]) -> None:
    """Write what the environment says into ``document``. Raises :class:`ConfigInvalid`."""
    if env.get("GRADUS_LARGE_MODEL"):
        _add_large_model(document, env)
    if "GRADUS_REDIS_URL" in env:
        write(document, ["server", "redis_url"], env["GRADUS_REDIS_URL"], "$GRADUS_REDIS_URL")
    if "GRADUS_DATABASE_URL" in env:
        write(document, ["database"], env["GRADUS_DATABASE_URL"], "$GRADUS_DATABASE_URL")
    for variable in sorted(name for name in env if name.upper().startswith(PREFIX)):
        source = f"${variable}"
        words = variable[len(PREFIX) :].split("__")
        if not all(words):
            raise ConfigInvalid("names no key; write it as GRADUS__SERVER__PORT", source=source)
        write(document, words, read_scalar(env[variable], source), source)


def write(document: Document, words: list[str], value: Any, source: str) -> None:
    """Set the key that ``words`` lead to. Raises :class:`ConfigInvalid` where there can be no such key."""
    section: dict[str, Any] = document.values
    path: tuple[str, ...] = ()
    for word in words[:-1]:
        key = _spelling(section, word)
        path = (*path, key)
        if section.get(key) is None:
            section[key] = {}
            document.places[path] = Place(source)
        if not isinstance(section[key], dict):
            raise ConfigInvalid("is a single value; it has no keys", source=source, path=".".join(path))
        section = section[key]
    key = _spelling(section, words[-1])
    section[key] = value
    document.places[(*path, key)] = Place(source)


def _spelling(section: Mapping[str, Any], word: str) -> str:
    """The key of ``section`` that ``word`` means; its own lower case if there is none."""
    for key in section:
        if _fold(key) == _fold(word):
            return key
    return word.lower()


def _fold(key: str) -> str:
    return key.lower().replace("-", "_")


def _add_large_model(document: Document, env: Mapping[str, str]) -> None:
    """Give every policy that has no large model the one that ``GRADUS_LARGE_MODEL`` names."""
    source = "$GRADUS_LARGE_MODEL"
    models, policies = document.values.get("models"), document.values.get("policies")
    if not isinstance(models, dict) or not isinstance(policies, dict):
        return  # the file is wrong; validation says how
    if "large" in models:
        raise ConfigInvalid(
            "adds a model named 'large', but the file has one already; rename that, or unset the variable",
            source=source,
        )
    name, base_url = env["GRADUS_LARGE_MODEL"], env.get("GRADUS_LARGE_BASE_URL")
    large: dict[str, Any] = {"engine": "litellm", "litellm_model": name}
    if base_url:
        large = {"engine": "openai", "base_url": base_url, "upstream_model": name}
    if env.get("GRADUS_LARGE_API_KEY"):
        large["api_key_env"] = "GRADUS_LARGE_API_KEY"
    models["large"] = large
    document.places[("models", "large")] = Place(source)
    if base_url:
        document.places[("models", "large", "base_url")] = Place("$GRADUS_LARGE_BASE_URL")
    for key, policy in policies.items():
        if isinstance(policy, dict) and policy.get("large") is None:
            policy["large"] = "large"
            document.places[("policies", key, "large")] = Place(source)
