"""Virtual keys. A secret is shown when it is made, and then only its SHA-256 is known."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal, TypedDict

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from gateway.accounts import Key
from gateway.store.database import Database
from gateway.store.errors import KeyNotFound, Revoked
from gateway.store.models import KeyRow, TeamRow, VersionRow
from gateway.store.teams import LimitChanges, changed_limits, count_change, find_team, limits_of, team_of

PREFIX: Final = "gk-"
_SECRET_BYTES: Final = 32  # 43 characters
_SHOWN: Final = (7, 4)
_SHORTEST: Final = 40  # of which so many characters may be shown


class KeyFields(TypedDict, total=False):
    """``team`` is an id or a name."""

    name: str
    team: str | None
    limits: LimitChanges
    models: tuple[str, ...] | None
    policies: tuple[str, ...] | None
    tags: Mapping[str, str]
    expires_at: datetime | None
    without_redis: Literal["refuse", "lease"]
    lease_usd: Decimal


@dataclass(frozen=True, slots=True)
class StoredKey:
    key: Key
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every key that was not revoked, by the SHA-256 of its secret, as of a ``version``."""

    version: int
    keys: Mapping[str, Key]


def create_key(database: Database, given: KeyFields) -> tuple[StoredKey, str]:
    """The key and its secret. ``given`` has a name at least.

    Raises :class:`TeamNotFound`, or :class:`Revoked` for a team that was.
    """
    secret = _new_secret()
    row = KeyRow(
        id=f"key_{secrets.token_hex(8)}",
        hint=hint_of(secret),
        sha256=sha256_of(secret),
        team=None,
        limits={},
        models=None,
        policies=None,
        tags={},
        expires_at=None,
        without_redis="refuse",
        lease_usd=Decimal(0),
        created_at=datetime.now(UTC),
        revoked_at=None,
    )
    with database.write() as session:
        _change(session, row, given)
        session.add(row)
        count_change(session)
        return _stored(row), secret


def list_keys(database: Database, team: str | None = None) -> list[StoredKey]:
    """All, or a team's; the oldest first, revoked ones too. Raises :class:`TeamNotFound`."""
    with database.read() as session:
        asked = select(KeyRow).order_by(KeyRow.created_at)
        if team is not None:
            asked = asked.where(KeyRow.team_id == find_team(session, team).id)
        return [_stored(row) for row in session.scalars(asked)]


def get_key(database: Database, key: str) -> StoredKey:
    """By its id, or by a name that no other has. Raises :class:`KeyNotFound`."""
    with database.read() as session:
        return _stored(_find(session, key))


def change_key(database: Database, key: str, given: KeyFields) -> StoredKey:
    """Set what is given; of limits, those that are.

    Raises :class:`KeyNotFound`, :class:`TeamNotFound`, :class:`Revoked`.
    """
    with database.write() as session:
        row = _find_live(session, key)
        _change(session, row, given)
        count_change(session)
        return _stored(row)


def rotate_key(database: Database, key: str) -> tuple[StoredKey, str]:
    """Give the key another secret; the old one ends. Raises :class:`KeyNotFound`, :class:`Revoked`."""
    secret = _new_secret()
    with database.write() as session:
        row = _find_live(session, key)
        row.hint, row.sha256 = hint_of(secret), sha256_of(secret)
        count_change(session)
        return _stored(row), secret


def revoke_key(database: Database, key: str) -> StoredKey:
    """For ever; what it spent stays in the journal. Raises :class:`KeyNotFound`."""
    with database.write() as session:
        row = _find(session, key)
        row.revoked_at = row.revoked_at or datetime.now(UTC)
        count_change(session)
        return _stored(row)


def keys_version(database: Database) -> int:
    """Grows with every change of a key or team."""
    with database.read() as session:
        return session.scalars(_VERSION).one()


def load_keys(database: Database) -> Snapshot:
    with database.read() as session:
        version = session.scalars(_VERSION).one()
        rows = session.scalars(select(KeyRow).where(KeyRow.revoked_at.is_(None)))
        return Snapshot(version, {row.sha256: _key_of(row) for row in rows})


def sha256_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def hint_of(secret: str) -> str:
    """What may be shown of it; of what is too short to be a key, nothing."""
    first, last = _SHOWN
    return f"{secret[:first]}...{secret[-last:]}" if len(secret) >= _SHORTEST else "..."


_VERSION: Final = select(VersionRow.version).where(VersionRow.name == "keys")


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _change(session: Session, row: KeyRow, given: KeyFields) -> None:
    row.name = given.get("name", row.name)
    if "team" in given:
        row.team = None if given["team"] is None else _live_team(session, given["team"])
    row.limits = changed_limits(row.limits, given.get("limits", {}))
    if "models" in given:
        row.models = None if given["models"] is None else list(given["models"])
    if "policies" in given:
        row.policies = None if given["policies"] is None else list(given["policies"])
    row.tags = dict(given.get("tags", row.tags))
    expires_at = given.get("expires_at", row.expires_at)
    row.expires_at = expires_at and expires_at.astimezone(UTC)
    row.without_redis = given.get("without_redis", row.without_redis)
    row.lease_usd = given.get("lease_usd", row.lease_usd)


def _live_team(session: Session, team: str) -> TeamRow:
    row = find_team(session, team)
    if row.revoked_at is not None:
        raise Revoked(f"team {row.id} ({row.name}) was revoked; create another")
    return row


def _find(session: Session, key: str) -> KeyRow:
    """By id, else by name: of the keys that were not revoked, where there are any."""
    asked = select(KeyRow).where(or_(KeyRow.id == key, KeyRow.name == key))
    rows = [] if "\0" in key else session.scalars(asked).all()  # PostgreSQL takes no text that has one
    for row in rows:
        if row.id == key:
            return row
    named = [row for row in rows if row.revoked_at is None] or rows
    if len(named) > 1:
        ids = ", ".join(row.id for row in named)
        raise KeyNotFound(f"there are several keys '{key}': say which by id ({ids})")
    if not named:
        raise KeyNotFound(f"there is no key '{key}'; `gradus keys list` shows those there are")
    return named[0]


def _find_live(session: Session, key: str) -> KeyRow:
    row = _find(session, key)
    if row.revoked_at is not None:
        raise Revoked(f"key {row.id} ({row.name}) was revoked; create another")
    return row


def _key_of(row: KeyRow) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        hint=row.hint,
        team=None if row.team is None else team_of(row.team),
        limits=limits_of(row.limits),
        models=None if row.models is None else tuple(row.models),
        policies=None if row.policies is None else tuple(row.policies),
        tags=row.tags,
        expires_at=row.expires_at,
        without_redis="lease" if row.without_redis == "lease" else "refuse",
        lease_usd=row.lease_usd,
    )


def _stored(row: KeyRow) -> StoredKey:
    return StoredKey(_key_of(row), row.created_at, row.revoked_at)
