from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from gateway.commands import evaluate
from router.errors import OutcomesInvalid
from router.fitting.fit import fit_predictor
from router.outcome_files import read_outcomes
from router.predictor.files import save_predictor

ADJECTIVES = ("red", "blue", "warm", "old", "tall", "thin", "loud", "soft", "late", "rare")
NOUNS = ("house", "river", "stone", "horse", "table", "letter", "garden", "window")
VERBS = ("Describe", "Praise")


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    """Two models' outcomes of 160 questions, as JSON lines with costs; the strong one is better by far."""
    random = np.random.default_rng(0)
    rows = [
        {
            "id": f"{verb} {adjective} {noun}",
            "question": f"{verb} the {adjective} {noun} to me",
            "actions": {
                "mini": {"right": int(random.random() < 0.3), "cost_usd": 0.001},
                "maxi": {"right": int(random.random() < 0.9), "cost_usd": 0.01},
            },
        }
        for adjective in ADJECTIVES
        for noun in NOUNS
        for verb in VERBS
    ]
    file = tmp_path / "outcomes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(evaluate.command)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*arguments, "--folds", "2", "--seeds", "1"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_tables_figure_json_and_verdict_come_of_a_file_of_outcomes(outcomes: Path, tmp_path: Path) -> None:
    figure, numbers = tmp_path / "routing.png", tmp_path / "routing.json"

    said = run(str(outcomes), "--resamples", "100", "--plot", str(figure), "--json", str(numbers))

    for policy in ("always mini", "always maxi", "random", "prompt length", "predictor, text", "oracle"):
        assert policy in said
    assert figure.read_bytes().startswith(b"\x89PNG")
    read = json.loads(numbers.read_text("utf-8"))
    assert (read["weak"], read["strong"], read["unit"]) == ("mini", "maxi", "usd")
    assert read["verdict"]["reason"][:20] in said


def test_what_cannot_be_evaluated_is_said_in_one_line(outcomes: Path) -> None:
    with pytest.raises(OutcomesInvalid, match="no action 'gpt-9'; there are mini, maxi"):
        run(str(outcomes), "--strong", "gpt-9")


def test_too_few_questions_to_fit_to_are_told_how_many_it_takes(outcomes: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(outcomes.read_text("utf-8").splitlines(keepends=True)[:50]), "utf-8")
    with pytest.raises(
        OutcomesInvalid, match=r"known of 50 questions in .*; to fit takes at least 140 in 20"
    ):
        run(str(few))


def test_a_predictor_is_not_measured_unsaid_on_the_questions_that_it_was_fitted_to(
    outcomes: Path, tmp_path: Path
) -> None:
    table = read_outcomes([outcomes])
    fitted = fit_predictor(table, method="words")
    folder, numbers = tmp_path / "predictor", tmp_path / "routing.json"
    save_predictor(fitted, folder)
    arguments = ["--predictor", str(folder), "--resamples", "100"]

    said = run(str(outcomes), *arguments, "--json", str(numbers))

    note = f"FITTED TO {fitted.manifest.data.fitted} of these 160 questions"
    assert note in said
    assert "so these numbers are optimistic; what comes of them is too good to be true; take others" in said
    assert note in json.loads(numbers.read_text("utf-8"))["notes"][0]

    other = tmp_path / "other.jsonl"
    other.write_text(outcomes.read_text("utf-8").replace(" to me", " to them"), "utf-8")
    assert "FITTED TO" not in run(str(other), *arguments)


def test_where_all_is_right_no_share_of_a_gap_is_shown(outcomes: Path) -> None:
    outcomes.write_text(outcomes.read_text("utf-8").replace('"right": 0', '"right": 1'), "utf-8")
    said = run(str(outcomes), "--resamples", "100")
    assert "nan" not in said
    assert "–" in said
    assert "there is no gap to recover" in said
