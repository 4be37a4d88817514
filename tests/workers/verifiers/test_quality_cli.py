"""`gradus quality`: from a file of outcomes to the file that a configuration names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from router.artifacts import weights_sha256
from workers.cli import app

RUNNER = CliRunner()


def row(text: str, right: bool, **more: Any) -> dict[str, Any]:
    return {"question": "Calculate 1 + 2.", "text": text, "right": right} | more


def write(folder: Path, *rows: Any) -> Path:
    file = folder / "outcomes.jsonl"
    file.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in rows), "utf-8")
    return file


def run(folder: Path, data: Path, *more: str) -> tuple[int, str, dict[str, Any]]:
    output = folder / "quality.json"
    result = RUNNER.invoke(app, ["quality", str(data), "--output", str(output), *more])
    return result.exit_code, result.output, json.loads(output.read_text()) if output.exists() else {}


def test_scores_in_the_file_need_no_verifier(tmp_path: Path) -> None:
    data = write(
        tmp_path,
        row("The answer is 3.", True, score=0.9),
        "",
        row("The answer is 4.", False, score=0.2),
        row("The answer is 4.", False, score=0.3),
        row("The answer is 9.", True, score=0.5, question="Calculate 3 * 3.", task={"kind": "number"}),
    )
    code, output, measured = run(tmp_path, data)
    assert code == 0
    assert (measured["version"], measured["verifier"], measured["weights_sha256"]) == (1, None, None)
    assert (measured["outcomes"], measured["questions"]) == (4, 2)
    assert measured["auc"] == 1.0
    assert (measured["majority_right"], measured["weighted_right"]) == (0.5, 1.0)
    assert measured["gain_over_majority"] == 0.5
    assert "gain over majority" in output


def test_a_verifier_scores_the_rest_and_is_named(tmp_path: Path) -> None:
    right = "1 + 2 = 3\nThe answer is 3."
    messages = [{"role": "user", "content": "Calculate 1 + 2."}]
    data = write(
        tmp_path,
        row(right, True),
        row("1 + 2 = 7\nThe answer is 7.", False, score=0.125),
        {"messages": messages, "text": right, "right": True},
    )
    code, _, measured = run(tmp_path, data, "--verifier", "abacus-prm", "--config", "abacus")
    assert code == 0
    assert (measured["verifier"], measured["questions"], measured["outcomes"]) == ("abacus-prm", 1, 3)
    assert measured["weights_sha256"] == weights_sha256("embedded:abacus-prm")
    assert measured["reliability"][0]["mean_score"] == 0.125


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", ":2: is no JSON object"),
        ("[1]", ":2: "),
        (row("x", True) | {"right": "yes"}, ":2: right: "),
        (row("x", True, score=1.5), ":2: score: "),
        (row("x", True, scoer=0.5), ":2: scoer: "),
        ({"text": "x", "right": True}, ":2: a row has either question or messages"),
        (row("x", True, messages=[{"role": "user", "content": "x"}]), "either question or messages"),
        ({"messages": [], "text": "x", "right": True}, ":2: messages: "),
        (row("x", True, task={"kind": "poem"}), ":2: task.kind: "),
        (
            row("x", True, id="a", question="Another?"),
            ":2: an earlier row of its question, or its id, has another",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, bad: Any, says: str) -> None:
    data = write(tmp_path, row("The answer is 3.", True, id="a", score=0.5), bad)
    code, output, measured = run(tmp_path, data)
    assert code == 2
    assert f"gradus: {data}" in output.replace("\n", "")
    assert says in output.replace("\n", "")
    assert measured == {}


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    data = write(tmp_path, row("The answer is 3.", True))
    assert "is no folder" in run(tmp_path / "none", data)[1]
    assert "give --verifier NAME" in run(tmp_path, data)[1]
    code, output, _ = run(tmp_path, data, "--verifier", "other", "--config", "abacus")
    assert code == 2
    assert "--verifier other: there are abacus-prm" in output
    assert "cannot be read" in run(tmp_path, tmp_path / "none.jsonl")[1]
    assert "holds no outcome" in run(tmp_path, write(tmp_path))[1]
