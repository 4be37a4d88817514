"""`gradus train rollouts`, `revision-data` and `recipes` from a shell: examples, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from workers.training.cli import app


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", ["rollouts", "revision-data", "revision", "recipes"])
def test_help_has_an_example(command: str) -> None:
    result = _run(command, "--help")
    assert result.exit_code == 0
    assert f"gradus train {command}" in " ".join(result.output.split())


def test_recipes_are_listed_and_printed() -> None:
    assert "abacus-rollouts" in _run("recipes").output.splitlines()
    assert "rollouts: 16" in _run("recipes", "rollouts").output


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"question": "1 + 1", "answer": "2"}) + "\n")
    return file


@pytest.mark.parametrize("command", ["rollouts", "revision-data"])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (["--set", "samples=none"], "samples: must be a whole number"),
        (["--set", "model.path=/no/such/folder"], "it has no config.json"),
        (["--questions", "/no/such/file"], "/no/such/file: cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    questions: Path, command: str, change: list[str], problem: str
) -> None:
    output = str(questions.parent / "data")
    result = _run(command, command, "--questions", str(questions), "--output", output, *change)
    assert result.exit_code == 2
    assert problem in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_finished_log_becomes_a_data_set_without_a_model(questions: Path) -> None:
    output = questions.parent / "data"
    output.mkdir()
    row = {"id": 0, "question": "1 + 1", "answer": "2", "texts": ["The answer is 2."], "ended": ["stop"]}
    (output / "samples.jsonl").write_text(json.dumps(row) + "\n")
    result = _run(
        *("revision-data", "revision-data", "--questions", str(questions), "--output", str(output)),
        *("--set", "model.path=/no/such/folder"),
    )
    assert result.exit_code == 0, result.output
    assert "| examples | 1 |" in (output / "README.md").read_text()
