"""Keys are asked for, compared, forgotten and limited as the admin says; errors show no more than a hint."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.accounts import Account, Key
from gateway.auth import Auth, limits_of_everybody, may_ask
from gateway.store import keys, teams
from gateway.store.database import Database
from gateway.store.errors import DatabaseUnavailable
from router.config import load_config
from router.errors import ConfigInvalid
from tests.gateway.keyed import ADMIN, Client, keyed_gateway, sqlite_url

PATIENCE_S = 30.0  # machines may be busy


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(sqlite_url(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Client]:
    with keyed_gateway(sqlite_url(tmp_path)) as client:
        yield client


def _until(client: Client, secret: str, status: int) -> int:
    """The status of asking with the key, as soon as it is that, or when it should be."""
    give_up = time.monotonic() + PATIENCE_S
    while (found := client.as_key(secret).status_code) != status and time.monotonic() < give_up:
        time.sleep(0.05)
    return found


def test_a_key_is_billed_with_its_team_and_everybody(database: Database, tmp_path: Path) -> None:
    team = teams.create_team(database, {"name": "red"}).team
    stored, secret = keys.create_key(database, {"name": "ci", "team": "red"})

    with keyed_gateway(sqlite_url(tmp_path)) as gateway:
        answer = gateway.as_key(secret)

    assert answer.json() == {"key": "ci", "scopes": ["all", f"key:{stored.key.id}", f"team:{team.id}"]}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "There is no API key"),
        ("", "There is no API key"),
        ("Basic dXNlcjpwYXNz", "There is no API key"),
        ("Bearer", "There is no API key"),
        ("Bearer gk-short", "The API key ... is unknown or was revoked"),
        ("Bearer gk-0123456789012345678901234567890123456789xyz", "The API key gk-0123...9xyz is unknown"),
        ("Bearer " + "\u00e4" * 50, "is unknown"),
        (f"Bearer {ADMIN}", "is unknown"),
    ],
)
def test_who_has_no_valid_key_is_told_so_in_openais_shape(
    gateway: Client, header: str | None, said: str
) -> None:
    headers = {} if header is None else {b"authorization": header.encode("latin-1")}
    gateway.headers.pop("authorization")

    answer = gateway.get("/ask", headers=headers)

    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (
        401,
        "invalid_request_error",
        "invalid_api_key",
    )
    assert said in error["message"]
    assert "0123456789012" not in error["message"]


def test_without_auth_nobody_is_asked_for_a_key(tmp_path: Path) -> None:
    with keyed_gateway(sqlite_url(tmp_path), {"GRADUS__SERVER__AUTH": "none"}) as gateway:
        assert gateway.as_key(None).json() == {"key": None, "scopes": ["all"]}
        assert gateway.as_key("any").json() == {"key": None, "scopes": ["all"]}


def test_what_another_process_changes_is_heard_of_within_two_seconds(
    gateway: Client, database: Database
) -> None:
    stored, secret = keys.create_key(database, {"name": "new"})
    assert _until(gateway, secret, 200) == 200

    rotated = keys.rotate_key(database, stored.key.id)[1]
    assert _until(gateway, rotated, 200) == 200
    assert gateway.as_key(secret).status_code == 401

    keys.revoke_key(database, stored.key.id)
    assert _until(gateway, rotated, 401) == 401


def test_revoking_a_team_revokes_its_keys(gateway: Client, database: Database) -> None:
    teams.create_team(database, {"name": "red"})
    _, secret = keys.create_key(database, {"name": "theirs", "team": "red"})
    assert _until(gateway, secret, 200) == 200

    teams.revoke_team(database, "red")

    assert _until(gateway, secret, 401) == 401


def test_a_key_that_has_expired_is_refused_by_its_hint(database: Database, tmp_path: Path) -> None:
    stored, secret = keys.create_key(
        database, {"name": "old", "expires_at": datetime.now(UTC) - timedelta(seconds=1)}
    )
    with keyed_gateway(sqlite_url(tmp_path)) as gateway:
        answer = gateway.as_key(secret)

    assert answer.status_code == 401
    assert f"The API key {stored.key.hint} expired on" in answer.json()["error"]["message"]
    assert secret not in answer.text


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("gradus/cheap", None),
        ("abacus-small", None),
        ("gradus", "policy_not_allowed"),
        ("gradus/default", "policy_not_allowed"),
        ("abacus-large", "model_not_allowed"),
    ],
)
def test_a_key_asks_only_for_what_it_may(
    database: Database, tmp_path: Path, model: str, code: str | None
) -> None:
    _, secret = keys.create_key(database, {"name": "ci", "models": ("abacus-small",), "policies": ("cheap",)})
    with keyed_gateway(sqlite_url(tmp_path)) as gateway:
        answer = gateway.as_key(secret, model=model)

    assert answer.status_code == (200 if code is None else 403)
    assert answer.json().get("error", {}).get("code") == code


def test_what_is_not_limited_is_allowed() -> None:
    key = Key("key_1", "ci", "gk-...", policies=())

    assert may_ask(Account(key), "any-model")
    assert not may_ask(Account(key), "gradus")
    assert may_ask(Account(None), "gradus/any")


def test_keys_that_are_known_work_while_the_database_is_away(
    gateway: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, secret = keys.create_key(database, {"name": "ci"})
    assert _until(gateway, secret, 200) == 200
    asked = threading.Semaphore(0)

    def away() -> NoReturn:
        asked.release()
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(gateway.database, "read", away)
        keys.revoke_key(database, stored.key.id)
        assert asked.acquire(timeout=10)
        assert asked.acquire(timeout=10)
        assert gateway.as_key(secret).status_code == 200

    assert _until(gateway, secret, 401) == 401


def test_a_gateway_that_starts_without_its_database_says_so_until_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "gradus.db").mkdir()
    with keyed_gateway(sqlite_url(tmp_path)) as gateway:
        answer = gateway.as_key("gk-anything")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "keys_unavailable")
        assert answer.headers["x-should-retry"] == "true"

        (tmp_path / "gradus.db").rmdir()

        assert _until(gateway, "gk-anything", 401) == 401


@pytest.mark.parametrize(
    "secret", ["short", "has spaces in it, many", "x" * 15, "umläute-sind-nicht-erlaubt"]
)
def test_an_admin_key_that_is_easily_guessed_is_refused_at_the_start(tmp_path: Path, secret: str) -> None:
    database = Database(sqlite_url(tmp_path))
    with pytest.raises(ConfigInvalid, match=r"\$GRADUS_ADMIN_KEY: must have at least 16") as caught:
        Auth(load_config("abacus", {}), {"GRADUS_ADMIN_KEY": secret}, database)

    assert secret not in str(caught.value)


def test_limits_of_everybody_come_from_the_configuration() -> None:
    config = load_config("abacus", {"GRADUS__LIMITS__USD_PER_DAY": "12.5"})

    assert limits_of_everybody(config).usd_per_day == Decimal("12.5")
