"""The admin interface: keys and teams over HTTP, for who has the admin's key, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.api import admin_examples
from gateway.api.admin_schemas import KeyChange, KeyCreate, TeamChange, TeamCreate
from gateway.api.usage import UsageReport
from tests.gateway.keyed import Client, error_of, keyed_gateway, sqlite_url

KEYS = "/v1/gradus/admin/keys"
TEAMS = "/v1/gradus/admin/teams"
USAGE = "/v1/gradus/usage"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Client]:
    with keyed_gateway(sqlite_url(tmp_path)) as client:
        yield client


def test_a_key_is_made_shown_once_and_works_at_once(gateway: Client) -> None:
    created = gateway.post(
        KEYS, json={"name": "ci", "limits": {"usd_per_day": 0.1, "requests_per_minute": 5}}
    )

    key = created.json()
    assert created.status_code == 201
    assert len(key["secret"]) == 46
    assert key["secret"].startswith("gk-")
    assert key["hint"] == f"{key['secret'][:7]}...{key['secret'][-4:]}"
    assert key["limits"] == {"usd_per_day": "0.1", "requests_per_minute": 5}
    assert gateway.as_key(key["secret"]).json()["key"] == "ci"
    found = gateway.get(f"{KEYS}/{key['id']}").json()
    assert found == {**key, "secret": None}
    assert gateway.get(KEYS).json() == {"object": "list", "data": [found]}


def test_a_change_sets_what_is_given_and_null_takes_it_away(gateway: Client) -> None:
    gateway.post(TEAMS, json={"name": "red"})
    full = {
        "name": "ci",
        "team": "red",
        "limits": {"usd_total": "5", "usd_per_day": "1", "tokens_per_minute": 100},
        "models": ["abacus-small"],
        "policies": [],
        "tags": {"repo": "gradus"},
        "expires_at": "2100-01-01T00:00:00+02:00",
        "without_redis": "lease",
        "lease_usd": "0.05",
    }
    before = gateway.post(KEYS, json=full).json()

    changes = {"limits": {"usd_per_day": None, "usd_total": "6"}, "models": None, "team": None}
    after = gateway.patch(f"{KEYS}/{before['id']}", json=changes).json()

    assert after == {
        **before,
        "secret": None,
        "limits": {"usd_total": "6", "tokens_per_minute": 100},
        "models": None,
        "team": None,
    }
    assert after["expires_at"] == "2099-12-31T22:00:00Z"
    assert gateway.patch(f"{KEYS}/ci", json={}).json() == after


def test_rotating_ends_the_old_secret_at_once(gateway: Client) -> None:
    first = gateway.post(KEYS, json={"name": "ci"}).json()

    second = gateway.post(f"{KEYS}/{first['id']}/rotate").json()

    assert second["id"] == first["id"]
    assert gateway.as_key(first["secret"]).status_code == 401
    assert gateway.as_key(second["secret"]).status_code == 200


def test_a_revoked_key_is_refused_at_once_and_stays_in_the_list(gateway: Client) -> None:
    key = gateway.post(KEYS, json={"name": "ci"}).json()

    revoked = gateway.delete(f"{KEYS}/{key['id']}").json()

    assert gateway.as_key(key["secret"]).status_code == 401
    assert gateway.get(KEYS).json()["data"] == [revoked]
    assert revoked["revoked_at"] is not None
    assert gateway.delete(f"{KEYS}/{key['id']}").json() == revoked
    assert error_of(gateway.patch(f"{KEYS}/{key['id']}", json={"name": "x"})) == (409, "revoked", None)
    assert error_of(gateway.post(f"{KEYS}/{key['id']}/rotate")) == (409, "revoked", None)


def test_teams_share_limits_and_have_names_of_their_own(gateway: Client) -> None:
    team = gateway.post(TEAMS, json={"name": "red", "limits": {"usd_per_month": "200"}}).json()
    gateway.post(TEAMS, json={"name": "blue"})
    key = gateway.post(KEYS, json={"name": "ci", "team": "red"}).json()
    gateway.post(KEYS, json={"name": "other"})

    changed = gateway.patch(f"{TEAMS}/red", json={"limits": {"usd_per_month": "300"}}).json()

    assert changed["limits"] == {"usd_per_month": "300"}
    assert gateway.get(f"{TEAMS}/{team['id']}").json() == changed
    assert [each["name"] for each in gateway.get(TEAMS).json()["data"]] == ["red", "blue"]
    assert [each["id"] for each in gateway.get(KEYS, params={"team": "red"}).json()["data"]] == [key["id"]]
    assert error_of(gateway.post(TEAMS, json={"name": "red"})) == (409, "name_taken", "name")
    assert error_of(gateway.patch(f"{TEAMS}/blue", json={"name": "red"})) == (409, "name_taken", "name")
    gateway.delete(f"{TEAMS}/red")
    assert gateway.as_key(key["secret"]).status_code == 401
    assert error_of(gateway.post(KEYS, json={"name": "late", "team": "red"})) == (409, "revoked", None)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "name"),
        ({"name": ""}, "invalid_value", "name"),
        ({"name": None}, "invalid_type", "name"),
        ({"name": 7}, "invalid_type", "name"),
        ({"name": "ci", "limit": {}}, "invalid_value", "limit"),
        ({"name": "ci", "limits": {"usd_per_week": 1}}, "invalid_value", "limits.usd_per_week"),
        ({"name": "ci", "limits": {"usd_per_day": -1}}, "invalid_value", "limits.usd_per_day"),
        ({"name": "ci", "limits": {"usd_per_day": True}}, "invalid_value", "limits.usd_per_day"),
        ({"name": "ci", "limits": {"usd_total": 1e9}}, "invalid_value", "limits.usd_total"),
        (
            {"name": "ci", "limits": {"requests_per_minute": 1.5}},
            "invalid_type",
            "limits.requests_per_minute",
        ),
        ({"name": "ci", "limits": {"requests_per_minute": 0}}, "invalid_value", "limits.requests_per_minute"),
        ({"name": "ci", "models": "gpt"}, "invalid_type", "models"),
        ({"name": "ci", "tags": {"a": 1}}, "invalid_type", "tags.a"),
        ({"name": "ci", "expires_at": "soon"}, "invalid_value", "expires_at"),
        ({"name": "ci", "expires_at": "2027-01-01T00:00:00"}, "invalid_value", "expires_at"),
        ({"name": "ci", "expires_at": "9999-12-31T23:59:59-12:00"}, "invalid_value", "expires_at"),
        ({"name": "c\0i"}, "invalid_value", "name"),
        ({"name": "ci", "tags": {"a": "\0"}}, "invalid_value", "tags.a"),
        ({"name": "ci", "lease_usd": "1e-999999"}, "invalid_value", "lease_usd"),
        (
            {"name": "ci", "limits": {"tokens_per_minute": 10**30}},
            "invalid_value",
            "limits.tokens_per_minute",
        ),
        ({"name": "ci", "without_redis": "allow"}, "invalid_value", "without_redis"),
        ([], "invalid_type", None),
    ],
)
def test_a_body_that_is_wrong_is_named_by_its_field(
    gateway: Client, body: Any, code: str, param: str | None
) -> None:
    assert error_of(gateway.post(KEYS, json=body)) == (400, code, param)
    assert gateway.get(KEYS).json()["data"] == []


def test_what_is_not_there_is_not_found(gateway: Client) -> None:
    assert error_of(gateway.get(f"{KEYS}/nobody")) == (404, "key_not_found", None)
    assert error_of(gateway.get(f"{KEYS}/%00")) == (404, "key_not_found", None)
    assert error_of(gateway.get(f"{TEAMS}/%00")) == (404, "team_not_found", "team")
    assert error_of(gateway.delete(f"{TEAMS}/nobody")) == (404, "team_not_found", "team")
    assert error_of(gateway.post(KEYS, json={"name": "ci", "team": "nobody"})) == (
        404,
        "team_not_found",
        "team",
    )
    gateway.post(KEYS, json={"name": "twin"})
    gateway.post(KEYS, json={"name": "twin"})
    assert "say which by id" in gateway.get(f"{KEYS}/twin").json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in (KEYS, TEAMS, f"{KEYS}/x/rotate", "/v1/gradus/admin/reload")),
        *(("GET", path) for path in (KEYS, TEAMS, f"{KEYS}/x", f"{TEAMS}/x")),
        *(("PATCH", path) for path in (f"{KEYS}/x", f"{TEAMS}/x")),
        *(("DELETE", path) for path in (f"{KEYS}/x", f"{TEAMS}/x")),
    ],
)
def test_only_the_admin_may(gateway: Client, method: str, path: str) -> None:
    secret = gateway.post(KEYS, json={"name": "user"}).json()["secret"]

    def ask(header: str) -> tuple[int, str, str | None]:
        return error_of(gateway.request(method, path, headers={"authorization": header}, content=b"{"))

    assert ask("") == (401, "invalid_api_key", None)
    assert ask("Bearer gk-unknown") == (401, "invalid_api_key", None)
    assert ask(f"Bearer {secret}") == (403, "admin_only", None)


def test_without_an_admin_key_the_interface_is_off_and_says_how_to_turn_it_on(tmp_path: Path) -> None:
    with keyed_gateway(sqlite_url(tmp_path), {"GRADUS_ADMIN_KEY": ""}) as gateway:
        answer = gateway.get(KEYS)

    assert error_of(answer) == (403, "admin_disabled", None)
    assert "$GRADUS_ADMIN_KEY" in answer.json()["error"]["message"]


def test_a_body_over_the_limit_is_not_read(gateway: Client) -> None:
    assert error_of(gateway.post(KEYS, json={"name": "x" * 100_000}))[:2] == (413, "request_too_large")


def test_a_reload_is_asked_of_the_gateway(gateway: Client) -> None:
    answer = gateway.post("/v1/gradus/admin/reload")

    assert (answer.status_code, answer.json()["warnings"]) == (200, ["a warning"])
    assert gateway.reloads == ["now"]


def test_an_absent_database_is_said_without_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "gradus.db").mkdir()
    with keyed_gateway(sqlite_url(tmp_path)) as gateway:
        answer = gateway.post(KEYS, json={"name": "x"})

    assert error_of(answer) == (503, "database_unavailable", None)
    assert str(tmp_path) not in answer.text


def test_the_examples_are_what_the_schemas_say() -> None:
    for schema in (KeyCreate, KeyChange, TeamCreate, TeamChange):
        for example in admin_examples.BODIES[schema.__name__].values():
            assert schema.model_validate(example["value"])
    UsageReport.model_validate(admin_examples.USAGE)
