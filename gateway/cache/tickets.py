"""What each request may have of the cache. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.accounts import Account
from gateway.cache.control import Control
from gateway.cache.keys import allows, key_of, neutral_fields, tenant_of
from gateway.errors import BadRequest
from router.config import Config
from router.fingerprint import fingerprint_of

EVERYTHING: Final = "everything"
"""The namespace of all requests."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """``key`` is empty where no answer may be looked up or kept; ``spaces`` are the namespaces of the
    request, :data:`EVERYTHING` first. ``candidates``: samples of its searches may be used again."""

    key: str
    spaces: tuple[str, ...]
    control: Control
    candidates: bool


class Tickets:
    """For one configuration: reads the files that it names, once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._cache = config.cache
        self._fingerprint = fingerprint_of(config)

    def of(
        self,
        *,
        endpoint: str,
        body: Mapping[str, Any],
        options: Mapping[str, Any],
        policy: str | None,
        account: Account,
        control: Control,
    ) -> Ticket:
        """``body`` is as it came but for its ``gradus`` object, ``options``; ``policy`` is what is followed.

        Raises :class:`gateway.errors.BadRequest` for a request that wants the cache where there is none.
        """
        wanted = options.get("cache")
        if wanted and self._cache.mode == "off":
            raise BadRequest(
                "There is no cache here: leave 'gradus.cache' out, or configure cache.mode.",
                code="unsupported_feature",
                param="gradus.cache",
            )
        tenant = tenant_of(account, self._cache.scope)
        models = self._models(policy, body.get("model"))
        key = ""
        if control.keeps and allows(self._cache, body, wanted):
            key = key_of(
                endpoint=endpoint,
                body=body,
                options=options,
                policy=policy,
                tenant=tenant,
                account=account,
                fingerprint=self._fingerprint,
                neutral=neutral_fields(self._config, models),
            )
        candidates = self._cache.candidates and control.reads and control.keeps and wanted is not False
        spaces = (EVERYTHING, f"tenant:{tenant}", *map(model_space, models))
        return Ticket(key, spaces, control, candidates)

    def tenant_space(self, account: Account) -> str:
        """The namespace of those that share answers with this account."""
        return f"tenant:{tenant_of(account, self._cache.scope)}"

    def _models(self, policy: str | None, asked: object) -> list[str]:
        """Models and verifiers that may have a part in an answer."""
        if policy is None:
            return [str(asked)]
        found = self._config.policies[policy]
        by_rule = [rule.use for rule in found.rules if rule.use in self._config.models]
        names = (found.small, *found.larges, *by_rule, found.verifier, *self._config.members(found.verifier))
        return sorted({name for name in names if name is not None})


def model_space(name: str) -> str:
    """The namespace of all requests that a model or verifier may have a part in."""
    return f"model:{name}"
