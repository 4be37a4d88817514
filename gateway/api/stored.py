"""What endpoints ask of the database, in a thread: nothing else waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from gateway.store.database import Database
from gateway.store.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def database_of(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def ask_store(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Raises :class:`DatabaseUnavailable` that does not say where the database is; the log does."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except DatabaseUnavailable as error:
        log.warning("%s", error)
        raise DatabaseUnavailable("The database is away; ask again in a moment.") from error
