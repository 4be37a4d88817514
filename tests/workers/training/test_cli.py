"""The commands: help with examples, and one line with exit code 2 for what a user can act on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.training.__main__ import main
from workers.training.abacus.cli import app

COMMANDS = ("data", "lm", "grow", "rollouts", "prm", "report", "abacus")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"gradus train {command}" in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments",
    [["lm", "--size", "huge"], ["lm"], ["data", "--problems", "3"], ["nonsense"], ["prm", "--bad"]],
)
def test_bad_options_are_one_line_and_exit_with_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gradus train", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    result = CliRunner().invoke(app, ["data", "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "gradus[train]" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_what_has_to_be_run_first_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["prm", "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "gradus train rollouts" in result.output


def test_data_writes_every_split_and_says_how_much(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "--data-dir", str(tmp_path), "--problems", "200"])
    assert result.exit_code == 0
    assert '"train"' in result.output
    assert (tmp_path / "data" / "test.jsonl").exists()
