"""A PostgreSQL of a test's own, to stop in mid-sentence and to start again; on a Unix socket."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

_START_TIMEOUT_S = 60
_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


class Postgres:
    """Skips the test where PostgreSQL is not installed."""

    def __init__(self) -> None:
        initdb, pg_ctl = _find("initdb"), _find("pg_ctl")
        if initdb is None or pg_ctl is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self._folder = Path(tempfile.mkdtemp(prefix="gradus-pg-"))
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else getpass.getuser()
        self._pg_ctl: list[Any] = [pg_ctl, "-D", self._folder / "data"]
        shutil.chown(self._folder, self._user)
        self._run(
            [initdb, "-D", self._folder / "data", "-A", "trust", "-U", "gradus", "--no-sync", "-E", "UTF8"]
        )

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off"
        self._run([*self._pg_ctl, "-o", options, "-l", self._folder / "log", "-w", "start"])

    def stop(self) -> None:
        """As if it was killed: nobody who is connected hears a word."""
        self._run([*self._pg_ctl, "-m", "immediate", "stop"])

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"test_{uuid.uuid4().hex}"
        admin = create_engine(self._url("postgres").replace("postgresql:", "postgresql+psycopg:"))
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://gradus@/{name}?host={self._folder}"

    def _run(self, command: list[Any]) -> None:
        privileged: dict[str, Any] = {"user": self._user} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [str(part) for part in command],
            **privileged,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_START_TIMEOUT_S,
            cwd="/",
            check=False,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def started() -> Iterator[Postgres]:
    """A server that only this run reaches."""
    server = Postgres()
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.close()


def _find(program: str) -> str | None:
    """On the PATH, or where Debian puts it."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(map(str, folders)))
