"""Teams: keys that share a budget."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.accounts import Limits, Team
from gateway.store.database import Database
from gateway.store.errors import NameTaken, Revoked, TeamNotFound
from gateway.store.models import KeyRow, TeamRow, VersionRow

LimitChanges = Mapping[str, Decimal | int | None]
"""New values of fields of :class:`gateway.accounts.Limits`; ``None`` takes a limit away."""
_MONEY = frozenset(each.name for each in fields(Limits) if each.name.startswith("usd_"))


class TeamFields(TypedDict, total=False):
    name: str
    limits: LimitChanges


@dataclass(frozen=True, slots=True)
class StoredTeam:
    team: Team
    created_at: datetime
    revoked_at: datetime | None


def create_team(database: Database, given: TeamFields) -> StoredTeam:
    """``given`` has a name at least. Raises :class:`NameTaken`."""
    row = TeamRow(
        id=f"team_{secrets.token_hex(8)}",
        name=given["name"],
        limits=changed_limits({}, given.get("limits", {})),
        created_at=datetime.now(UTC),
        revoked_at=None,
    )
    with _unique(given), database.write() as session:
        session.add(row)
        count_change(session)
    return _stored(row)


def list_teams(database: Database) -> list[StoredTeam]:
    """All, the oldest first, revoked ones too."""
    with database.read() as session:
        return [_stored(row) for row in session.scalars(select(TeamRow).order_by(TeamRow.created_at))]


def get_team(database: Database, team: str) -> StoredTeam:
    """By its id or name. Raises :class:`TeamNotFound`."""
    with database.read() as session:
        return _stored(find_team(session, team))


def change_team(database: Database, team: str, given: TeamFields) -> StoredTeam:
    """Set what is given. Raises :class:`TeamNotFound`, :class:`Revoked` or :class:`NameTaken`."""
    with _unique(given), database.write() as session:
        row = find_team(session, team)
        if row.revoked_at is not None:
            raise Revoked(f"team {row.id} ({row.name}) was revoked; create another")
        row.name = given.get("name", row.name)
        row.limits = changed_limits(row.limits, given.get("limits", {}))
        count_change(session)
        return _stored(row)


def revoke_team(database: Database, team: str) -> StoredTeam:
    """Revoke it and every key that it has. Raises :class:`TeamNotFound`."""
    with database.write() as session:
        row = find_team(session, team)
        row.revoked_at = row.revoked_at or datetime.now(UTC)
        theirs = update(KeyRow).where(KeyRow.team_id == row.id, KeyRow.revoked_at.is_(None))
        session.execute(theirs.values(revoked_at=row.revoked_at))
        count_change(session)
        return _stored(row)


def find_team(session: Session, team: str) -> TeamRow:
    """By id or name; ids come first. Raises :class:`TeamNotFound`."""
    asked = select(TeamRow).where(or_(TeamRow.id == team, TeamRow.name == team))
    found = None if "\0" in team else session.scalars(asked.order_by(TeamRow.id != team)).first()
    if found is None:
        raise TeamNotFound(f"there is no team '{team}'; `gradus teams list` shows those there are")
    return found


def count_change(session: Session) -> None:
    """Let gateways know that keys or teams are not what they were."""
    session.execute(
        update(VersionRow).where(VersionRow.name == "keys").values(version=VersionRow.version + 1)
    )


def changed_limits(kept: Mapping[str, Any], changes: LimitChanges) -> dict[str, Any]:
    """As they are kept: only those that are set, money as text."""
    merged = {**kept, **{name: str(value) if name in _MONEY else value for name, value in changes.items()}}
    return {name: value for name, value in merged.items() if changes.get(name, value) is not None}


def limits_of(kept: Mapping[str, Any]) -> Limits:
    values: dict[str, Any] = {name: Decimal(kept[name]) if name in _MONEY else kept[name] for name in kept}
    return Limits(**values)


def team_of(row: TeamRow) -> Team:
    return Team(row.id, row.name, limits_of(row.limits))


@contextmanager
def _unique(given: TeamFields) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise NameTaken(f"there is a team '{given.get('name')}' already; choose another name") from error


def _stored(row: TeamRow) -> StoredTeam:
    return StoredTeam(team_of(row), row.created_at, row.revoked_at)
