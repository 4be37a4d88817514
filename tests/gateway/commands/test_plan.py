"""`gradus plan`: the shipped example is answered as documented, for people and machines."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gateway.commands import plan
from router.errors import ConfigInvalid

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "plan-10m-queries.yaml"

app = typer.Typer()
app.command(epilog=plan.EPILOG)(plan.command)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("plan") / "plan.json"
    done = CliRunner().invoke(app, [str(EXAMPLE), "--json", str(file)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {**found, "shown": done.output}


def _usd_per_year(told: dict[str, Any], name: str) -> Decimal:
    option = next(each for each in told["options"] if each["name"] == name)
    return Decimal(option["usd_per_year"]) - Decimal(option["fixed_usd_per_year"])


def test_the_reference_s_bills_are_reproduced_and_its_hybrid_s_is_not(told: dict[str, Any]) -> None:
    assert _usd_per_year(told, "large for all") == 36_500_000
    assert _usd_per_year(told, "search for all") == 58_400_000
    assert _usd_per_year(told, "hybrid") == 54_020_000  # not 45 million


def test_the_documentation_shows_what_the_command_prints(told: dict[str, Any]) -> None:
    documented = (ROOT / "docs" / "planning.md").read_text("utf-8")
    for line in told["shown"].splitlines():
        assert line.rstrip() in documented


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    figure = tmp_path / "plan.png"
    done = CliRunner().invoke(app, [str(EXAMPLE), "--plot", str(figure)])
    assert done.exit_code == 0, done.output
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_mistake_in_the_file_is_the_error(tmp_path: Path) -> None:
    file = tmp_path / "traffic.yaml"
    file.write_text("queries_per_day: many\n", "utf-8")
    done = CliRunner().invoke(app, [str(file)])
    assert isinstance(done.exception, ConfigInvalid)
    assert "traffic.yaml:1: queries_per_day: must be a number" in str(done.exception)


def test_more_than_machines_can_do_is_called_overloaded_and_null(tmp_path: Path) -> None:
    file, out = tmp_path / "traffic.yaml", tmp_path / "plan.json"
    text = EXAMPLE.read_text("utf-8").replace("batch: 64}", "batch: 64, replicas: 10}")
    file.write_text(text, "utf-8")
    done = CliRunner().invoke(app, [str(file), "--json", str(out)])
    assert "overloaded" in done.output
    assert json.loads(out.read_text("utf-8"))["options"][0]["seconds"] is None


def test_nothing_is_a_plain_0_whatever_its_exponent() -> None:
    assert [plan._short(Decimal(usd)) for usd in ("0e+2", "0.000", "0.012345")] == ["0", "0", "0.0123"]
