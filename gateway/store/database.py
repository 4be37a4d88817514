"""A connection pool to SQLite or PostgreSQL; tables are brought up to date before they are first used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from gateway.store.errors import DatabaseInvalid, DatabaseUnavailable
from gateway.store.models import SCHEMA

PATIENCE_S: Final = 10.0
"""How long a statement may take on PostgreSQL, or wait for who writes at the moment on SQLite."""
REPORT_PATIENCE_S: Final = 300.0
_MIGRATING: Final = 0x6772616475730001
"""PostgreSQL's advisory lock while tables are changed: "gradus" and a number."""

_NOWHERE: Final = (None, "", ":memory:")


class Database:
    """Threads may share it. Nothing connects before the first use.

    Raises :class:`DatabaseInvalid` for a URL that cannot be used.
    """

    def __init__(self, url: str) -> None:
        parsed = _read_url(url)
        self.name = parsed.render_as_string(hide_password=True)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._engine = _sqlite(parsed) if self.is_sqlite else _postgresql(parsed)
        self._writing = self._engine.execution_options(writes=True)
        as_of_one_moment = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = self._engine.execution_options(**as_of_one_moment)
        self._upgrading = threading.Lock()
        self._upgraded = False

    @contextmanager
    def read(self, patience_s: float = PATIENCE_S) -> Iterator[Session]:
        """A transaction that only reads, all as of one moment. Raises :class:`DatabaseUnavailable`."""
        with self._session(self._reading) as session:
            _be_patient(session.connection(), patience_s)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: all of it is written, or none. Raises :class:`DatabaseUnavailable`."""
        with self._session(self._writing) as session:
            yield session

    def upgrade(self) -> None:
        """Bring the tables up to date; of several processes that try, one does it and the others wait.

        Raises :class:`DatabaseInvalid` where a newer Gradus made them, :class:`DatabaseUnavailable`.
        """
        with self._upgrading, self._named_errors():
            if self._upgraded:
                return
            with self._engine.connect() as connection:
                current = _schema(connection) == SCHEMA
            if not current:
                with self._writing.begin() as connection:
                    _be_patient(connection, inf)
                    if not self.is_sqlite:
                        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
                    _migrate(connection, self.name)
            self._upgraded = True

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        self.upgrade()
        with self._named_errors(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # it answers; what it refused is for the caller to say
        except (DBAPIError, PoolTimeout) as error:
            said = str(error.orig if isinstance(error, DBAPIError) else error)
            raise DatabaseUnavailable(f"{self.name}: {' '.join(said.split()) or 'no answer'}") from error


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        known = parsed.drivername in ("sqlite", "postgresql+psycopg") and parsed.database not in _NOWHERE
    except (ArgumentError, ValueError):  # a port that is no number is the latter
        known = False
    if not known:
        raise DatabaseInvalid(
            "the database's URL should be like sqlite:////var/lib/gradus/gradus.db or "
            "postgresql://USER:PASSWORD@HOST/NAME"
        )
    return parsed


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": PATIENCE_S}, pool_timeout=PATIENCE_S)

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _: Any) -> None:
        # Transactions are begun below; the driver would begin them late, and as readers.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # Who reads first and writes later may find that another wrote in between; who will write says so.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            connect_args={"connect_timeout": int(PATIENCE_S), "tcp_user_timeout": int(1000 * PATIENCE_S)},
            pool_timeout=PATIENCE_S,
        )
        from gateway.store.patience import PatientConnection  # an extra: who uses SQLite need not have it
    except ModuleNotFoundError:
        raise DatabaseInvalid(
            "PostgreSQL needs the package psycopg: pip install 'gradus[postgres]'"
        ) from None

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, arguments: Any, options: Any) -> Any:
        return PatientConnection.connect(*arguments, **options)

    @event.listens_for(engine, "checkout")
    def borrowed(connection: Any, _: Any, __: Any) -> None:
        connection.patience_s = PATIENCE_S

    return engine


def _be_patient(connection: Connection, patience_s: float) -> None:
    driver: Any = connection.connection.dbapi_connection
    if hasattr(driver, "patience_s"):
        driver.patience_s = patience_s


def _schema(connection: Connection) -> str | None:
    """The newest migration that was run; ``None`` for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(connection: Connection, name: str) -> None:
    """Run what is missing, in the transaction of ``connection``."""
    from alembic import command  # its templates take a while to load, and tables are seldom changed
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = _schema(connection)
    if found is not None and found not in known:
        raise DatabaseInvalid(
            f"{name} was made by a newer Gradus (its tables are at {found}); upgrade this one"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
