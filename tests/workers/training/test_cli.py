"""The commands: help with examples, and one line with exit code 2 for what a user can act on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.training.__main__ import main
from workers.training.abacus.cli import app
from workers.training.cli import app as train
from workers.training.recipes import recipe_names

COMMANDS = ("data", "questions", "lm", "grow", "publish", "report", "all")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"gradus train abacus {command}" in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["abacus", "lm", "--size", "huge"],
        ["abacus", "lm"],
        ["abacus", "data", "--problems", "3"],
        ["abacus", "questions", "--count", "3", "--split", "exam", "--output", "q.jsonl"],
        ["abacus", "nonsense"],
        ["nonsense"],
    ],
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


def test_all_ends_with_the_first_command_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    result = CliRunner().invoke(app, ["all", "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    command, problem = result.output.strip().splitlines()
    assert command.startswith(f"gradus train abacus data --data-dir {tmp_path}")
    assert "gradus[train]" in problem


def test_every_command_of_the_guide_exists_with_its_options_and_recipe() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "training.md").read_text("utf-8").replace("\\\n", " ")
    commands = [line.split()[2:] for line in guide.splitlines() if line.startswith("    gradus train ")]
    assert len(commands) > 8
    for arguments in commands:
        result = CliRunner().invoke(train, [*arguments, "--help"])
        assert result.exit_code == 0, (arguments, result.output)
        if "--set" in arguments:
            assert arguments[1] in recipe_names()


def test_help_imports_nothing_heavy() -> None:
    heavy = "torch", "transformers", "peft", "pyarrow", "matplotlib", "rapidfuzz", "reasoning_gym"
    asked = f"import sys, workers.training.cli; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_has_to_be_run_first_is_said(tmp_path: Path) -> None:
    asked = ["questions", "--count", "5", "--output", str(tmp_path / "q.jsonl"), "--data-dir", str(tmp_path)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 2
    assert "gradus train abacus data" in result.output
    assert not (tmp_path / "q.jsonl").exists()


def test_data_writes_every_split_and_says_how_much(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "--data-dir", str(tmp_path), "--problems", "200"])
    assert result.exit_code == 0
    assert '"train"' in result.output
    assert (tmp_path / "data" / "test.jsonl").exists()

    asked = ["questions", "--data-dir", str(tmp_path), "--output", str(tmp_path / "q.jsonl")]
    assert CliRunner().invoke(app, [*asked, "--count", "3"]).exit_code == 0
    written = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == ["0", "1", "2"]
    assert all(row["question"] and row["answer"] for row in written)

    refused = CliRunner().invoke(app, [*asked, "--count", "199", "--split", "test"])
    assert refused.exit_code == 2
    assert "the test split has" in refused.output
