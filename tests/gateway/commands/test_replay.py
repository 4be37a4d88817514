from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.commands import replay
from router.errors import OutcomesInvalid, UnknownPolicy
from tests.router.replay import traffic
from tests.router.tables import table


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return traffic.tabled(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Recorded traffic of two segments; for the first twenty questions the large model was never asked."""
    outcomes = table(160)
    right = outcomes.right.copy()
    right[:20, 2] = float("nan")
    segments = tuple("easy" if row % 2 == 0 else "hard" for row in range(160))
    found = tmp_path / "traffic.jsonl"
    found.write_text(traffic.lines(replace(outcomes, right=right, segments=segments)), "utf-8")
    return found


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(replay.command)
    result = CliRunner(env={"COLUMNS": "240"}).invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_tables_figure_and_json_say_what_policies_would_have_done(
    config: Path, file: Path, tmp_path: Path
) -> None:
    figure, numbers = tmp_path / "replay.png", tmp_path / "replay.json"
    policies = ("--policy", str(config), "--policy", f"{config}:sure")
    output = run(str(file), *policies, "--plot", str(figure), "--json", str(numbers))

    assert "160 questions" in output
    for name in ("tabled.yaml:sure", "always grand", "oracle", "right over tabled.yaml", "easy", "hard"):
        assert name in output
    assert figure.read_bytes().startswith(b"\x89PNG")
    found = json.loads(numbers.read_text("utf-8"))
    assert [each["name"] for each in found["policies"]] == ["tabled.yaml", "tabled.yaml:sure"]
    assert found["actions"]["grand"]["questions"] == 140
    assert {each["segment"] for each in found["differences"]} == {"easy", "hard"}


def test_what_a_predictor_was_fitted_to_is_said(file: Path, tmp_path: Path) -> None:
    fitted, other = traffic.fitted_on(tmp_path, file), tmp_path / "other.jsonl"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    other.write_text("".join([*lines[1:], lines[0]]), "utf-8")
    assert "is what the predictor was FITTED TO" in run(str(file), "--policy", str(fitted))
    assert "FITTED TO" not in run(str(other), "--policy", str(fitted))


def test_what_is_wrong_is_an_error_of_one_line(config: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", "utf-8")
    with pytest.raises(OutcomesInvalid, match="no outcomes"):
        run(str(empty), "--policy", str(config))
    with pytest.raises(UnknownPolicy, match="there are default"):
        run(str(empty), "--policy", f"{config}:other")
    with pytest.raises(OutcomesInvalid, match="cannot be read"):
        run(str(tmp_path / "absent.jsonl"), "--policy", str(config))
