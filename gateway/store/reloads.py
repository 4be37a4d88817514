"""Reloads of the configuration, counted: by that gateways that share a database hear of each other's."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from gateway.store.database import Database
from gateway.store.models import VersionRow
from gateway.store.rows import insert_into

_NAME: Final = "reloads"


def reloads(database: Database) -> int:
    """How many there were. Raises :class:`gateway.store.errors.StoreError`."""
    with database.read() as session:
        return session.scalar(select(VersionRow.version).where(VersionRow.name == _NAME)) or 0


def count_reload(database: Database) -> int:
    """Tell of one; its number. Raises :class:`gateway.store.errors.StoreError`."""
    first = insert_into(VersionRow, is_sqlite=database.is_sqlite).values(name=_NAME, version=1)
    one_more = first.on_conflict_do_update(
        index_elements=["name"], set_={"version": VersionRow.version + 1}
    ).returning(VersionRow.version)
    with database.write() as session:
        number: int = session.scalars(one_more).one()
    return number
