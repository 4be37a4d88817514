"""The database that a configuration names."""

from __future__ import annotations

from gateway.store.database import Database
from gateway.up import CannotStart, state_home


def open_database(url: str | None) -> Database:
    """``None``: the SQLite file of this machine's user. Nothing connects yet.

    Raises :class:`gateway.store.errors.DatabaseInvalid`, or :class:`CannotStart` where there is no folder for
    the file.
    """
    if url is not None:
        return Database(url)
    home = state_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"cannot write to {home} ({error.strerror}); set GRADUS_HOME") from error
    return Database(f"sqlite:///{home.resolve()}/gradus.db")
