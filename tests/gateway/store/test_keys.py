"""Keys and teams as they are kept: no secret anywhere, one row of changes after another."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from gateway.accounts import Limits, Team
from gateway.store import keys, teams
from gateway.store.database import Database
from gateway.store.errors import KeyNotFound, NameTaken, Revoked, TeamNotFound


def test_a_key_comes_back_as_it_was_given(database: Database) -> None:
    team = teams.create_team(
        database, {"name": "red", "limits": {"usd_per_month": Decimal("0.000000000001")}}
    )
    expires_at = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

    stored, _ = keys.create_key(
        database,
        {
            "name": "ci",
            "team": team.team.id,
            "limits": {"usd_total": Decimal("8999999.999999999999"), "max_concurrent_requests": 3},
            "models": ("a", "b"),
            "policies": (),
            "tags": {"é": "ü"},
            "expires_at": expires_at,
            "without_redis": "lease",
            "lease_usd": Decimal("0.5"),
        },
    )

    found = keys.get_key(database, stored.key.id)
    assert found == stored
    assert found.key.limits == Limits(usd_total=Decimal("8999999.999999999999"), max_concurrent_requests=3)
    assert found.key.team == Team(team.team.id, "red", Limits(usd_per_month=Decimal("0.000000000001")))
    assert (found.key.models, found.key.policies, found.key.tags) == (("a", "b"), (), {"é": "ü"})
    assert (found.key.expires_at, found.key.lease_usd) == (expires_at, Decimal("0.5"))


def test_secrets_are_long_differ_and_are_nowhere_in_the_database(database: Database) -> None:
    secrets = [keys.create_key(database, {"name": "ci"})[1] for _ in range(3)]

    assert len(set(secrets)) == 3
    assert {len(secret) for secret in secrets} == {46}
    with database.read() as session:
        rows = str(session.execute(text("SELECT * FROM keys")).all())
    assert not any(secret in rows or secret[7:-4] in rows for secret in secrets)
    assert set(keys.load_keys(database).keys) == {keys.sha256_of(secret) for secret in secrets}


def test_every_change_counts_and_reading_does_not(database: Database) -> None:
    seen = [keys.keys_version(database)]

    def changed() -> bool:
        seen.append(keys.keys_version(database))
        return seen[-1] == seen[-2] + 1

    teams.create_team(database, {"name": "red"})
    assert changed()
    key = keys.create_key(database, {"name": "ci"})[0].key.id
    assert changed()
    for change in (keys.rotate_key, keys.revoke_key):
        change(database, key)
        assert changed()
    teams.change_team(database, "red", {"limits": {"usd_total": Decimal(1)}})
    assert changed()
    teams.revoke_team(database, "red")
    assert changed()
    keys.list_keys(database)
    teams.list_teams(database)
    assert not changed()


def test_names_are_found_ids_first_live_ones_before_revoked_ones(database: Database) -> None:
    old = keys.create_key(database, {"name": "ci"})[0].key.id
    keys.revoke_key(database, old)
    assert keys.get_key(database, "ci").key.id == old

    new = keys.create_key(database, {"name": "ci"})[0].key.id
    assert keys.get_key(database, "ci").key.id == new
    keys.create_key(database, {"name": new})
    assert keys.get_key(database, new).key.id == new
    keys.create_key(database, {"name": "ci"})
    with pytest.raises(KeyNotFound, match=new):
        keys.get_key(database, "ci")
    for nobody in ("nobody", "\0", "'; DROP TABLE keys; --"):
        with pytest.raises(KeyNotFound, match="no key"):
            keys.get_key(database, nobody)
        with pytest.raises(TeamNotFound, match="no team"):
            teams.get_team(database, nobody)


def test_what_was_revoked_is_not_changed(database: Database) -> None:
    teams.create_team(database, {"name": "red"})
    key = keys.create_key(database, {"name": "ci", "team": "red"})[0].key.id
    revoked = teams.revoke_team(database, "red")

    assert keys.get_key(database, key).revoked_at == revoked.revoked_at
    assert keys.load_keys(database).keys == {}
    for refused in (
        lambda: keys.change_key(database, key, {"name": "x"}),
        lambda: keys.rotate_key(database, key),
        lambda: keys.create_key(database, {"name": "y", "team": "red"}),
        lambda: teams.change_team(database, "red", {"name": "x"}),
    ):
        with pytest.raises(Revoked):
            refused()
    assert [each.key.name for each in keys.list_keys(database, "red")] == ["ci"]


def test_a_teams_name_is_its_own(database: Database) -> None:
    teams.create_team(database, {"name": "red"})
    teams.create_team(database, {"name": "blue"})

    with pytest.raises(NameTaken, match="'red'"):
        teams.change_team(database, "blue", {"name": "red"})
    with pytest.raises(TeamNotFound):
        keys.create_key(database, {"name": "ci", "team": "green"})
    assert keys.list_keys(database) == []
