"""The tables are made from nothing, by whoever comes first; what is wrong with a database is one line."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from gateway.entries import Entry
from gateway.store import database as database_module
from gateway.store import keys, teams
from gateway.store.database import Database
from gateway.store.errors import DatabaseInvalid, DatabaseUnavailable
from gateway.store.journal import StoredJournal, append, spent_by
from gateway.store.models import SCHEMA, Base


def test_an_empty_database_becomes_one_that_works(database: Database) -> None:
    created, _ = keys.create_key(database, {"name": "first"})

    assert [each.key.name for each in keys.list_keys(database)] == ["first"]
    assert created.created_at.tzinfo is not None


def test_upgrading_again_changes_nothing(url: str) -> None:
    first = Database(url)
    team = teams.create_team(first, {"name": "red"})
    first.close()

    second = Database(url)
    second.upgrade()
    second.upgrade()

    assert teams.list_teams(second) == [team]
    second.close()


def test_the_migrations_make_the_tables_that_the_code_describes(database: Database) -> None:
    database.upgrade()
    with database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": _same_kind})
        assert compare_metadata(context, Base.metadata) == []


def _same_kind(_: object, __: object, ___: object, found: object, ours: object) -> bool:
    """Whether a column differs: a type of ours differs where the type that it is kept in does."""
    kept = getattr(ours, "impl", ours)
    return not isinstance(kept, type(found)) and not isinstance(found, type(kept))


def test_the_code_is_at_the_newest_migration() -> None:
    folder = Path(database_module.__file__).parent / "migrations"

    assert ScriptDirectory(str(folder)).get_current_head() == SCHEMA


def test_sums_of_a_database_from_before_are_kept(url: str) -> None:
    at, before = datetime(2026, 11, 22, tzinfo=UTC), Database(url)
    for number in range(3):
        entries = [Entry(f"{number} {i}", at, "answered", Decimal(100_000), key_id="k") for i in range(10)]
        append(before, [*entries, Entry(f"{number}", at, "answered", Decimal("1e-12"), key_id="k")])
    with before.write() as session:
        session.execute(text("UPDATE spent SET usd = usd + millions * 1000000000000000000"))
        session.execute(text("ALTER TABLE spent DROP COLUMN millions"))
        session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    before.close()

    after = Database(url)
    assert spent_by(after, "key:k", at)["total"] == Decimal("3000000.000000000003")
    append(after, [Entry("more", at, "answered", Decimal(1), key_id="k")])
    assert spent_by(after, "key:k", at)["total"] == Decimal("3000001.000000000003")
    after.close()


def test_processes_that_start_at_once_on_an_empty_database_all_work(url: str) -> None:
    code = (
        "import sys; from gateway.store import journal, database\n"
        "sys.stdin.readline()\n"
        "journal.StoredJournal(database.Database(sys.argv[1])).beat(sys.argv[2])"
    )
    names = [f"gateway-{number}" for number in range(4)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in names
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()

    said = [process.communicate(timeout=60)[1].decode() for process in processes]

    assert said == [""] * len(names)
    database = Database(url)
    assert set(StoredJournal(database).standing(datetime.now(UTC)).gateways) == set(names)
    database.close()


def test_a_database_of_a_newer_gradus_is_refused(database: Database) -> None:
    database.upgrade()
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    url = database._engine.url.render_as_string(hide_password=False)
    with pytest.raises(DatabaseInvalid, match=r"newer Gradus \(its tables are at 9999\)"):
        Database(url).upgrade()


@pytest.mark.parametrize(
    "url",
    ["gradus.db", "mysql://user:secret@host/gradus", "sqlite://", "postgresql://host", "sqlite:///:memory:"],
)
def test_a_url_that_cannot_be_used_says_what_would_be_right(url: str) -> None:
    with pytest.raises(DatabaseInvalid, match="postgresql://USER:PASSWORD@HOST/NAME") as caught:
        Database(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all/gradus.db", "postgresql://user:secret@127.0.0.1:9/gradus"]
)
def test_a_database_that_is_not_there_is_named_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        Database(url).upgrade()

    said = str(caught.value)
    assert "gradus" in said
    assert "secret" not in said
    assert "\n" not in said


def test_a_transaction_that_fails_leaves_nothing_behind(database: Database) -> None:
    def delete_and_fail() -> None:
        with database.write() as session:
            session.execute(text("DELETE FROM versions"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        delete_and_fail()

    assert keys.keys_version(database) == 0


def test_a_postgresql_that_does_not_answer_is_given_up_and_asked_again_later(postgres_url: str) -> None:
    database = Database(postgres_url)

    def sleep() -> None:
        with database.read(patience_s=0.3) as session:
            session.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(DatabaseUnavailable, match=r"no answer within 0\.3 s"):
        sleep()
    assert keys.keys_version(database) == 0
    database.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where somebody listens and takes nobody on: connections to it are never made."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port: int = listening.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def test_an_address_that_does_not_answer_is_given_up(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE_S", 2)  # as little as libpq knows
    database = Database(f"postgresql://user:secret@127.0.0.1:{silent_port}/gradus")

    with pytest.raises(DatabaseUnavailable, match="timeout expired") as caught:
        StoredJournal(database).beat("gateway")

    assert "secret" not in str(caught.value)
    database.close()


def test_sqlite_lets_others_read_while_one_writes_and_keeps_references(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gradus.db")
    with database.write() as writing:
        writing.execute(text("UPDATE versions SET version = 7"))
        assert keys.keys_version(database) == 0
    assert keys.keys_version(database) == 7
    with database.read() as session:
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()
