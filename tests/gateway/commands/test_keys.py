"""`gradus keys`, `gradus teams` and `gradus db`: run as people run them, on a database of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import cli
from gateway.store import keys
from gateway.store.database import Database
from tests.gateway.test_cli import run


@pytest.fixture(autouse=True)
def _own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADUS_DATABASE_URL", f"sqlite:///{tmp_path}/gradus.db")
    monkeypatch.setenv("COLUMNS", "200")


def _gradus(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def _json(*arguments: str) -> Any:
    return json.loads(_gradus(*arguments, "--json"))


def test_a_key_is_made_with_all_that_limits_it(tmp_path: Path) -> None:
    _gradus("teams", "create", "research", "--usd-per-month", "200")
    made = _gradus(
        *("keys", "create", "ci", "--team", "research", "--usd-total", "20", "--usd-per-day", "0.5"),
        *("--requests-per-minute", "60", "--tokens-per-minute", "9", "--max-concurrent-requests", "3"),
        *("--model", "abacus-small", "--policy", "default", "--policy", "cheap", "--tag", "a=b=c"),
        *("--expires", "90d", "--without-redis", "lease", "--lease-usd", "0.1"),
    )

    found = re.search(r"gk-[\w-]{43}", made)
    assert found is not None
    known = keys.load_keys(Database(f"sqlite:///{tmp_path}/gradus.db")).keys[keys.sha256_of(found[0])]
    shown = _json("keys", "show", "ci")
    assert shown["id"] == known.id
    assert (shown["secret"], shown["hint"]) == (None, known.hint)
    assert shown["limits"] == {
        "usd_total": "20",
        "usd_per_day": "0.5",
        "requests_per_minute": 60,
        "tokens_per_minute": 9,
        "max_concurrent_requests": 3,
    }
    assert (shown["models"], shown["policies"]) == (["abacus-small"], ["default", "cheap"])
    assert (shown["tags"], shown["without_redis"], shown["lease_usd"]) == ({"a": "b=c"}, "lease", "0.1")
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < left < timedelta(days=91)


def test_a_change_leaves_what_is_not_given_and_none_takes_away() -> None:
    _gradus(
        "keys",
        "create",
        "ci",
        "--usd-per-day",
        "5",
        "--usd-total",
        "9",
        "--policy",
        "cheap",
        "--expires",
        "1d",
    )

    _gradus("keys", "change", "ci", "--usd-per-day", "none", "--policy", "none", "--expires", "none")
    _gradus("keys", "change", "ci", "--name", "build", "--requests-per-minute", "7")

    changed = _json("keys", "show", "build")
    assert changed["limits"] == {"usd_total": "9", "requests_per_minute": 7}
    assert (changed["policies"], changed["expires_at"]) == (None, None)


def test_secrets_are_shown_when_they_are_made_and_never_again() -> None:
    first = _json("keys", "create", "ci")["secret"]
    second = _json("keys", "rotate", "ci")["secret"]

    assert first != second
    for told in (("keys", "list"), ("keys", "show", "ci"), ("keys", "list", "--json")):
        output = _gradus(*told)
        assert first not in output
        assert second not in output
        assert second[-4:] in output


def test_what_is_revoked_is_said_and_stays() -> None:
    _gradus("teams", "create", "red")
    _gradus("keys", "create", "one")
    _gradus("keys", "create", "two", "--team", "red")
    _gradus("keys", "revoke", "one")
    _gradus("teams", "revoke", "red")

    assert _gradus("keys", "list").count("revoked 20") == 2
    assert [each["name"] for each in _json("keys", "list", "--team", "red")] == ["two"]
    assert "revoked" in _gradus("teams", "list")


def test_teams_are_changed_and_shown_with_what_they_spent() -> None:
    _gradus("teams", "create", "red", "--usd-total", "5")
    _gradus("teams", "change", "red", "--usd-total", "none", "--usd-per-month", "7.5", "--name", "rot")

    assert _json("teams", "show", "rot")["limits"] == {"usd_per_month": "7.5"}
    assert "spent: $0 today, $0 this month, $0 in all" in _gradus("teams", "show", "rot")


def test_the_tables_are_made_on_demand(tmp_path: Path) -> None:
    said = _gradus("db", "upgrade")

    assert said == f"sqlite:///{tmp_path}/gradus.db is up to date\n"
    assert keys.list_keys(Database(f"sqlite:///{tmp_path}/gradus.db")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["keys", "create"], "Missing argument 'NAME'"),
        (["keys", "create", ""], "NAME: string should have at least 1 character"),
        (["keys", "create", "ci", "--usd-per-day", "much"], "--usd-per-day: input should be a valid decimal"),
        (
            ["keys", "create", "ci", "--usd-total", "-1"],
            "--usd-total: input should be greater than or equal to 0",
        ),
        (["keys", "create", "ci", "--requests-per-minute", "0"], "--requests-per-minute"),
        (["keys", "create", "ci", "--requests-per-minute", "1.5"], "--requests-per-minute"),
        (["keys", "create", "ci", "--expires", "soon"], "--expires"),
        (["keys", "create", "ci", "--tag", "a"], "--tag: write NAME=VALUE, not 'a'"),
        (
            ["keys", "create", "ci", "--without-redis", "allow"],
            "--without-redis: input should be 'refuse' or 'lease'",
        ),
        (["keys", "create", "ci", "--team", "nobody"], "there is no team 'nobody'; `gradus teams list`"),
        (["keys", "show", "nobody"], "there is no key 'nobody'; `gradus keys list`"),
        (["keys", "change", "nobody", "--usd-total", "1"], "there is no key 'nobody'"),
        (["teams", "revoke", "nobody"], "there is no team 'nobody'"),
        (["keys", "list", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2

    complaint = capsys.readouterr().err
    assert said in complaint
    assert len(complaint.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "mysql://user:secret@host/gradus",
            "$GRADUS_DATABASE_URL: database: must be a URL that starts with sqlite:///",
        ),
        ("sqlite:////nowhere/gradus.db", "sqlite:////nowhere/gradus.db: unable to open database file"),
        ("postgresql://user:secret@127.0.0.1:9/gradus", "user:***@127.0.0.1:9/gradus: connection"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADUS_DATABASE_URL", url)

    assert run(monkeypatch, "db", "upgrade") == 2

    complaint = capsys.readouterr().err
    assert said in complaint
    assert "secret" not in complaint
    assert len(complaint.strip().splitlines()) == 1


def test_by_default_the_database_is_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADUS_DATABASE_URL")
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path / "home"))

    _gradus("keys", "create", "ci")

    assert (tmp_path / "home" / "gradus.db").is_file()


def test_help_loads_no_database() -> None:
    code = (
        "import sys; from gateway import cli\n"
        "found = {'sqlalchemy', 'alembic', 'psycopg', 'fastapi'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
