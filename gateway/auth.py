"""Who asks, and may they: virtual keys, held in memory and compared in constant time; the admin's apart."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Final, Literal

from starlette.requests import Request

from gateway.accounts import Account, Limits
from gateway.errors import KeyRefused, KeysUnavailable, NotAllowed
from gateway.planning import DEFAULT_POLICY, GRADUS
from gateway.store.database import Database
from gateway.store.errors import DatabaseUnavailable
from gateway.store.keys import hint_of, keys_version, load_keys, sha256_of
from router.config import Config
from router.errors import ConfigInvalid

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""How often a gateway asks whether keys were changed by somebody else."""
ADMIN_KEY: Final = "GRADUS_ADMIN_KEY"
_ADMIN_KEY_FORM: Final = re.compile(r"[!-~]{16,}")
_LOOKUP_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class _Known:
    """Who is who, by the first digits of a key's hash: looking them up says nothing of the rest, which is
    compared. An account is the same object until something about it changes."""

    version: int
    accounts: Mapping[str, tuple[str, Account]]


class Auth:
    """Knows whose a request is.

    ``mode`` none: everybody's; no key is asked for. Raises :class:`router.errors.ConfigInvalid` for an admin
    key that is too short.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], database: Database) -> None:
        self._anybody = Account(None, limits_of_everybody(config))
        self._mode: Literal["none", "keys"] = config.server.auth
        self._database = database
        self._admin = _admin_sha256(environ)
        self._known: _Known | None = None
        self._looking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the keys, and watch for changes. Without a database: keep trying.

        Raises :class:`gateway.store.errors.DatabaseInvalid`.
        """
        if self._mode == "none":
            return
        try:
            await self.refresh()
        except DatabaseUnavailable as error:
            log.warning("the keys cannot be looked up: %s", error)
        self._watching = asyncio.create_task(self._watch(), name="gradus-keys")

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def refresh(self) -> None:
        """Know now of what this process changed. Raises :class:`gateway.store.errors.StoreError`."""
        if self._mode == "none":
            return
        async with self._looking:
            newer = await asyncio.to_thread(self._newer)
            self._known = newer or self._known

    async def limit_everybody(self, limits: Limits) -> None:
        """Hold everybody together to these from now on; requests that are under way end as they began."""
        async with self._looking:  # keys that are being read know of the limits from before
            if limits == self._anybody.everybody:
                return
            self._anybody = Account(None, limits)
            if self._known is not None:
                accounts = {
                    digits: (sha256, replace(account, everybody=limits))
                    for digits, (sha256, account) in self._known.accounts.items()
                }
                self._known = _Known(self._known.version, accounts)

    def account(self, request: Request) -> Account:
        """Who the request is billed to. Raises :class:`KeyRefused` or :class:`KeysUnavailable`."""
        if self._mode == "none":
            return self._anybody
        secret = _bearer(request)
        if secret is None:
            raise KeyRefused(
                "There is no API key: send one in the header 'Authorization: Bearer gk-...'. "
                "`gradus keys create` makes keys."
            )
        return self._account(secret)

    def check_admin(self, request: Request) -> None:
        """Raises :class:`KeyRefused` or :class:`NotAllowed` unless it is the admin who asks."""
        if self._admin is None:
            raise NotAllowed(
                f"The admin interface is off: start the gateway with the admin's key in ${ADMIN_KEY} "
                "(at least 16 characters).",
                code="admin_disabled",
            )
        secret = _bearer(request)
        if secret is None:
            raise KeyRefused("There is no key: send the admin's in the header 'Authorization: Bearer ...'.")
        if self.is_admin(request):
            return
        if self._mode == "keys":
            self._account(secret)
            raise NotAllowed("This key is not the admin's.", code="admin_only")
        raise _unknown(secret)

    def is_admin(self, request: Request) -> bool:
        secret = _bearer(request)
        return (
            secret is not None
            and self._admin is not None
            and hmac.compare_digest(sha256_of(secret), self._admin)
        )

    def _account(self, secret: str) -> Account:
        if self._known is None:
            raise KeysUnavailable("The keys cannot be looked up yet; ask again in a moment.")
        sha256 = sha256_of(secret)
        kept, account = self._known.accounts.get(sha256[:_LOOKUP_DIGITS], ("", self._anybody))
        key = account.key
        if key is None or not hmac.compare_digest(kept, sha256):
            raise _unknown(secret)
        if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
            raise KeyRefused(f"The API key {key.hint} expired on {key.expires_at:%Y-%m-%d %H:%M} UTC.")
        return account

    async def _watch(self) -> None:
        """Who is known stays known while the database is away."""
        said = ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.refresh()
                said = ""
            except Exception as error:  # whatever it is: keys that are revoked later must be heard of
                if str(error) != said:
                    log.warning("the keys cannot be looked up: %s", error)
                said = str(error)

    def _newer(self) -> _Known | None:
        """What is in the database, unless that is what is known."""
        if self._known is not None and keys_version(self._database) == self._known.version:
            return None
        found = load_keys(self._database)
        everybody = self._anybody.everybody
        return _Known(
            found.version,
            {
                sha256[:_LOOKUP_DIGITS]: (sha256, Account(key, everybody))
                for sha256, key in found.keys.items()
            },
        )


def account_of(request: Request) -> Account:
    """Who a request is billed to. Raises :class:`KeyRefused` or :class:`KeysUnavailable`."""
    return auth_of(request).account(request)


def auth_of(request: Request) -> Auth:
    auth: Auth = request.app.state.auth
    return auth


def may_ask(account: Account, name: str) -> bool:
    """Whether ``name`` (a request's ``model``: "gradus", "gradus/<policy>" or a model) is allowed."""
    policy = policy_named(name)
    if account.key is None:
        return True
    allowed = account.key.models if policy is None else account.key.policies
    return allowed is None or (policy or name) in allowed


def check_may_ask(account: Account, name: str) -> None:
    """Raises :class:`NotAllowed`."""
    if account.key is None or may_ask(account, name):
        return
    policy = policy_named(name)
    kind, allowed = ("model", account.key.models) if policy is None else ("policy", account.key.policies)
    raise NotAllowed(
        f"The API key {account.key.hint} may not ask for the {kind} '{policy or name}'; "
        f"it may for {', '.join(allowed or ()) or 'none'}.",
        code=f"{kind}_not_allowed",
        param="model",
    )


def policy_named(name: str) -> str | None:
    """The policy that a request's ``model`` means; ``None`` for a model's own name."""
    if name == GRADUS:
        return DEFAULT_POLICY
    prefix, slash, policy = name.partition("/")
    return policy if prefix == GRADUS and slash else None


def limits_of_everybody(config: Config) -> Limits:
    return Limits(**{each.name: getattr(config.limits, each.name) for each in fields(Limits)})


def _admin_sha256(environ: Mapping[str, str]) -> str | None:
    secret = environ.get(ADMIN_KEY)
    if not secret:
        return None
    if not _ADMIN_KEY_FORM.fullmatch(secret):
        raise ConfigInvalid(
            "must have at least 16 characters, without spaces (openssl rand -hex 32 makes one)",
            source=f"${ADMIN_KEY}",
        )
    return sha256_of(secret)


def _bearer(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def _unknown(secret: str) -> KeyRefused:
    return KeyRefused(f"The API key {hint_of(secret)} is unknown or was revoked.")
