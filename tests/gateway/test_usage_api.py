"""Usage over HTTP: everybody's for the admin, one's own for a key, as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_model.usage import Usage
from gateway.entries import Entry
from gateway.store.database import Database
from gateway.store.journal import append
from tests.gateway.keyed import Client, error_of, keyed_gateway, sqlite_url

KEYS = "/v1/gradus/admin/keys"
USAGE = "/v1/gradus/usage"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Client]:
    with keyed_gateway(sqlite_url(tmp_path)) as client:
        yield client


def _entry(name: str, key: dict[str, Any] | None, usd: str, day: int, model: str = "gpt") -> Entry:
    line = Usage("direct", model, calls=1, prompt_tokens=10, completion_tokens=5, cost_usd=Decimal(usd))
    key_id = None if key is None else key["id"]
    at = datetime(2026, 11, day, 12, tzinfo=UTC)
    return Entry(name, at, "answered", Decimal(usd), (line,), key_id=key_id, policy="default", route="large")


@pytest.fixture
def spent(gateway: Client, tmp_path: Path) -> dict[str, Any]:
    """Two keys with their usage; the first one's secret is there."""
    one, two = (gateway.post(KEYS, json={"name": name}).json() for name in ("one", "two"))
    database = Database(sqlite_url(tmp_path))
    entries = [
        _entry("a", one, "0.1", 20),
        _entry("b", one, "0.02", 21, "claude"),
        _entry("c", two, "3", 21),
        _entry("d", None, "0.000000000001", 22),
    ]
    append(database, entries)
    database.close()
    return {"one": one, "two": two}


def test_the_admin_sees_everybodys_usage_by_what_is_asked_for(gateway: Client, spent: dict[str, Any]) -> None:
    by_key = gateway.get(USAGE, params={"group_by": "key"}).json()
    assert [(row["key_name"], row["requests"], row["usd"]) for row in by_key["data"]] == [
        ("two", 1, "3"),
        ("one", 2, "0.12"),
        (None, 1, "0.000000000001"),
    ]
    assert by_key["total"]["usd"] == "3.120000000001"

    days = gateway.get(
        USAGE, params={"group_by": "day,model", "from": "2026-11-20", "to": "2026-11-21"}
    ).json()
    assert [(row["day"], row["model"], row["usd"]) for row in days["data"]] == [
        ("2026-11-20", "gpt", "0.1"),
        ("2026-11-21", "gpt", "3"),
        ("2026-11-21", "claude", "0.02"),
    ]
    assert gateway.get(USAGE, params={"key": "one"}).json()["total"]["requests"] == 2


def test_a_key_sees_its_own_usage_and_nobody_elses(gateway: Client, spent: dict[str, Any]) -> None:
    own = {"authorization": f"Bearer {spent['one']['secret']}"}

    mine = gateway.get(USAGE, params={"group_by": "model"}, headers=own).json()
    assert (mine["total"]["usd"], len(mine["data"])) == ("0.12", 2)
    others = gateway.get(USAGE, params={"key": spent["two"]["id"]}, headers=own)
    assert error_of(others) == (403, "admin_only", "key")
    assert gateway.get(USAGE, headers={"authorization": ""}).status_code == 401


def test_usage_comes_as_csv_too(gateway: Client, spent: dict[str, Any]) -> None:
    answer = gateway.get(USAGE, params={"group_by": "policy,purpose", "format": "csv"})

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [(row["policy"], row["purpose"], row["prompt_tokens"], row["usd"]) for row in rows] == [
        ("default", "direct", "40", "3.120000000001")
    ]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"group_by": "colour"}, "group_by[0]"),
        ({"from": "yesterday"}, "from"),
        ({"format": "xml"}, "format"),
        ({"since": "2026-11-01"}, "since"),
    ],
)
def test_a_question_about_usage_that_is_wrong_is_named(
    gateway: Client, params: dict[str, str], param: str
) -> None:
    assert error_of(gateway.get(USAGE, params=params)) == (400, "invalid_value", param)
