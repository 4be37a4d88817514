"""Every test of the store runs on SQLite and, where it is installed, on a PostgreSQL of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from gateway.store.database import Database

_START_TIMEOUT_S = 60
_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL, but for the database's name, of a PostgreSQL that only this run reaches (a Unix socket)."""
    initdb, pg_ctl = _find("initdb"), _find("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="gradus-pg-"))
    user = _UNPRIVILEGED if os.geteuid() == 0 else getpass.getuser()
    shutil.chown(folder, user)
    data = folder / "data"
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    make = [initdb, "-D", data, "-A", "trust", "-U", "gradus", "--no-sync", "-E", "UTF8"]
    start = [pg_ctl, "-D", data, "-o", options, "-l", folder / "log", "-w", "start"]
    try:
        _run_as(user, make)
        _run_as(user, start)
        yield f"postgresql://gradus@/{{name}}?host={folder}"
        _run_as(user, [pg_ctl, "-D", data, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(
        postgres_server.format(name="postgres").replace("postgresql:", "postgresql+psycopg:")
    )
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return postgres_server.format(name=name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gradus.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def _find(program: str) -> str | None:
    """On the PATH, or where Debian puts it."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(map(str, folders)))


def _run_as(user: str, command: list[Any]) -> None:
    privileged: dict[str, Any] = {"user": user} if os.geteuid() == 0 else {}
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
