"""What each request may have of the cache. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._policies: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {}

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
        spaces, neutral = self._of_policy(policy) if policy else self._of_models([str(body.get("model"))])
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
                neutral=neutral,
            )
        candidates = self._cache.candidates and control.reads and control.keeps and wanted is not False
        return Ticket(key, (EVERYTHING, f"tenant:{tenant}", *spaces), control, candidates)

    def tenant_space(self, account: Account) -> str:
        """The namespace of those that share answers with this account."""
        return f"tenant:{tenant_of(account, self._cache.scope)}"

    def _of_policy(self, policy: str) -> tuple[tuple[str, ...], frozenset[str]]:
        """Namespaces of its models and verifiers, which all may have a part, and what is neutral to them."""
        known = self._policies.get(policy)
        if known is None:
            found = self._config.policies[policy]
            by_rule = [rule.use for rule in found.rules if rule.use in self._config.models]
            named = (found.small, *found.larges, *by_rule, found.verifier)
            members = self._config.members(found.verifier)
            known = self._of_models(sorted({name for name in (*named, *members) if name is not None}))
            self._policies[policy] = known
        return known

    def _of_models(self, names: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str]]:
        return tuple(map(model_space, names)), neutral_fields(self._config, names)


def model_space(name: str) -> str:
    """The namespace of all requests that a model or verifier may have a part in."""
    return f"model:{name}"
