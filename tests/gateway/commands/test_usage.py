"""`gradus usage`: tables, files, and a provider's bill against the journal."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from cost_model.usage import Usage
from gateway import cli
from gateway.entries import Entry
from gateway.store import keys, teams
from gateway.store.database import Database
from gateway.store.journal import append
from tests.gateway.test_cli import run

NOW = datetime.now(UTC)
TODAY = f"{NOW:%Y-%m-%d}"


@pytest.fixture
def redis_url(redis_url: str) -> str:
    """A database of that Redis in which no gateway that other tests share counts."""
    return f"{redis_url}?db=1"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Two requests of the key "ci" of the team "red", today and ten days ago, and one of nobody's."""
    url = f"sqlite:///{tmp_path}/gradus.db"
    monkeypatch.setenv("GRADUS_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    opened = Database(url)
    team = teams.create_team(opened, {"name": "red"}).team.id
    key = keys.create_key(opened, {"name": "ci", "team": "red"})[0].key.id
    line = Usage("direct", "gpt", 1, 1000, 10, cost_usd=Decimal("1.25"))
    search = Usage("candidate", "small", 8, 50, 900, cost_usd=Decimal("0.00002"))
    append(
        opened,
        [
            Entry(
                "a",
                NOW,
                "answered",
                Decimal("1.25002"),
                (line, search),
                key_id=key,
                team_id=team,
                policy="cheap",
            ),
            Entry(
                "b", NOW - timedelta(days=10), "answered", Decimal("1.25"), (line,), key_id=key, team_id=team
            ),
            Entry("c", NOW, "lost", Decimal("0.5"), estimated=True),
        ],
    )
    return opened


def _gradus(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, ["usage", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_usage_is_shown_by_what_is_asked_for(database: Database) -> None:
    shown = _gradus("--by", "key,model")

    rows = [line.split() for line in shown.splitlines() if line.strip()]
    assert ["ci", "gpt", "2", "2,000", "20", "2.5", "0"] in rows
    assert ["ci", "small", "1", "50", "900", "0.00002", "0"] in rows
    assert ["–", "–", "1", "0", "0", "0.5", "0.5"] in rows
    assert ["3", "2,050", "920", "3.00002", "0.5"] in rows


def test_in_a_pipe_no_line_is_wrapped(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "a-very-long-name-of-a-model-" * 5
    append(database, [Entry("d", NOW, "answered", Decimal(2), (Usage("direct", long, 1, 1, 1),), key_id="k")])
    monkeypatch.setenv("COLUMNS", "80")

    shown = _gradus("--by", "key,model,purpose,day,policy,route")

    assert [line.split()[1] for line in shown.splitlines() if "a-very" in line] == [long]


def test_usage_of_some_days_of_a_key_or_a_team(database: Database, tmp_path: Path) -> None:
    def total(*arguments: str) -> str:
        file = tmp_path / "usage.json"
        _gradus(*arguments, "--json", str(file))
        usd: str = json.loads(file.read_text("utf-8"))["total"]["usd"]
        return usd

    assert total("--since", "7d") == "1.75002"
    assert total("--since", "11d", "--until", f"{NOW - timedelta(days=1):%Y-%m-%d}") == "1.25"
    assert total("--key", "ci") == total("--team", "red") == "2.50002"
    assert total("--since", TODAY, "--team", "red") == "1.25002"


def test_usage_is_written_for_machines(database: Database, tmp_path: Path) -> None:
    _gradus("--by", "key,day,purpose", "--csv", str(tmp_path / "u.csv"), "--json", str(tmp_path / "u.json"))

    with (tmp_path / "u.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    data = json.loads((tmp_path / "u.json").read_text("utf-8"))["data"]
    assert {(row["key_name"], row["day"], row["purpose"], row["usd"]) for row in rows} == {
        ("ci", TODAY, "direct", "1.25"),
        ("ci", TODAY, "candidate", "0.00002"),
        ("ci", f"{NOW - timedelta(days=10):%Y-%m-%d}", "direct", "1.25"),
        ("", TODAY, "", "0.5"),
    }
    assert [{name: str(value or "") for name, value in row.items()} for row in data] == [
        {
            name: "" if value == "0" and name not in ("usd", "estimated_usd") else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _invoice(folder: Path, *rows: str) -> str:
    file = folder / "invoice.csv"
    file.write_text("\n".join(["Date,Model,Input tokens,Output tokens,Cost (USD)", *rows]) + "\n", "utf-8")
    return str(file)


def test_a_bill_that_agrees_is_said_to(database: Database, tmp_path: Path) -> None:
    shown = _gradus("reconcile", _invoice(tmp_path, f"{TODAY},gpt,1000,10,1.25"))

    assert "the invoice and the journal agree (1 compared)" in shown
    assert "not in this invoice at all: small, 0.00002 USD" in shown


def test_a_bill_that_differs_is_shown_line_by_line_and_booked_once(
    database: Database, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUS_REDIS_URL", redis_url)
    with redis.Redis.from_url(redis_url) as client:
        run_id = client.info("server")["run_id"]
        client.set("gradus:ledger:generation", f"{run_id}.before")
    invoice = _invoice(tmp_path, f"{TODAY},gpt,1000,10,1.50", f"{TODAY},big-model,7,7,0.10")
    found = tmp_path / "found.json"

    shown = _gradus("reconcile", invoice, "--adjust", "--json", str(found))

    rows = [line.split() for line in shown.splitlines()]
    assert ["2", TODAY, "gpt", "differs", "1,000", "10", "1.5", "/", "1.25", "0.25"] in rows
    assert [
        "3",
        TODAY,
        "big-model",
        "not",
        "in",
        "the",
        "journal",
        "7",
        "/",
        "0",
        "7",
        "/",
        "0",
        "0.1",
        "/",
        "0",
        "0.1",
    ] in rows
    assert "0 agree, 2 differ: by 0.35 USD in all" in shown
    assert "booked: 2 adjustments" in shown
    verdicts = [each["verdict"] for each in json.loads(found.read_text("utf-8"))["compared"]]
    assert sorted(verdicts) == ["differs", "not in the journal"]
    assert "agree (2 compared)" in _gradus("reconcile", invoice, "--adjust")
    assert "3.35002" in _gradus("--by", "day")
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("gradus:ledger:generation") is None
        assert client.get("gradus:ledger:rebuild") is not None


def test_without_redis_an_adjustment_is_booked_and_the_budgets_are_spoken_of(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUS_REDIS_URL", "redis://127.0.0.1:9/0")
    invoice = _invoice(tmp_path, f"{TODAY},gpt,1000,10,2")

    shown = _gradus("reconcile", invoice, "--adjust")

    assert "booked: 1 adjustment\n" in shown
    assert "budgets do not count it yet: redis://127.0.0.1:9/0 cannot be reached" in shown


def test_a_provider_may_call_a_model_what_it_likes(database: Database, tmp_path: Path) -> None:
    invoice = _invoice(tmp_path, f"{TODAY},gpt-turbo-2026,1000,10,1.25")

    assert "not in the journal" in _gradus("reconcile", invoice)
    assert "agree (1 compared)" in _gradus("reconcile", invoice, "--model", "gpt-turbo-2026=gpt")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--by", "colour"],
            "--by: there is no 'colour'; there are key, team, model, policy, route, purpose, day",
        ),
        (["--since", "yesterday"], "--since: write a day as 2026-11-22, or 7d, not 'yesterday'"),
        (["--key", "nobody"], "there is no key 'nobody'"),
        (["--csv", "/nowhere/usage.csv"], "there is no folder /nowhere"),
        (["reconcile", "/nowhere/invoice.csv"], "/nowhere/invoice.csv: No such file"),
        (["reconcile", __file__], ":1: needs the columns day and model"),
        (["reconcile", "x.csv", "--model", "gpt"], "--model: write THEIRS=OURS, not 'gpt'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    database: Database,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "usage", *arguments) == 2

    complaint = capsys.readouterr().err
    assert said in complaint
    assert len(complaint.strip().splitlines()) == 1
