from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from gateway.cli import app
from router.outcome_table import OutcomeTable
from router.predictor.files import load_predictor
from tests.router.tables import table


def written(folder: Path, outcomes: OutcomeTable) -> Path:
    """As a row a question."""
    file = folder / "outcomes.jsonl"
    with file.open("w") as opened:
        for row, name in enumerate(outcomes.ids):
            seen = outcomes.evidence[row]
            assert seen is not None
            samples = [
                {"answer": each, "score": score}
                for each, score in zip(seen.answers, seen.scores, strict=True)
            ]
            actions = {
                action.name: {"right": outcomes.right[row, column], "model": action.model}
                for column, action in enumerate(outcomes.actions)
                if np.isfinite(outcomes.right[row, column])
            }
            line = {
                "id": name,
                "question": outcomes.prompts[row],
                "actions": actions,
                "probe": {"samples": samples},
            }
            opened.write(json.dumps(line) + "\n")
    return file


def test_outcomes_become_a_predictor_with_its_numbers_and_a_figure(tmp_path: Path) -> None:
    file, output, figure = written(tmp_path, table()), tmp_path / "predictor", tmp_path / "fit.png"
    arguments = ["fit", str(file), "--output", str(output), "--method", "words"]
    told = CliRunner().invoke(app, [*arguments, "--plot", str(figure), "--json", str(tmp_path / "m.json")])
    assert told.exit_code == 0, told.output
    predictor = load_predictor(str(output))
    for name, metrics in predictor.manifest.metrics.items():
        (line,) = (line for line in told.output.splitlines() if line.split()[:1] == [name])
        assert f"{metrics.brier:.4f}" in line
    assert "168 questions; measured on 72 others" in told.output
    assert "Whose scores the probes have is not recorded" in told.output
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "m.json").read_text())["data"]["sha256"] == predictor.manifest.data.sha256
    assert len(predictor.manifest.data.sha256) == 64


def test_an_action_that_is_left_out_is_noted(tmp_path: Path) -> None:
    outcomes = table()
    right = outcomes.right.copy()
    right[10:, 2] = np.nan
    file = written(tmp_path, replace(outcomes, right=right))
    told = CliRunner().invoke(app, ["fit", str(file), "--output", str(tmp_path / "p"), "--method", "words"])
    assert told.exit_code == 0, told.output
    assert "note: action 'grand' is left out: right or wrong is known of" in told.stderr
    assert "at least 20 to fit and 20 held out are needed" in (tmp_path / "p" / "README.md").read_text(
        "utf-8"
    )


def test_a_table_of_searches_of_an_earlier_fit_does_not_stay_beside_the_new_predictor(tmp_path: Path) -> None:
    output = tmp_path / "predictor"
    output.mkdir()
    (output / "strategies.json").write_text("{}", "utf-8")
    file = written(tmp_path, table())
    told = CliRunner().invoke(app, ["fit", str(file), "--output", str(output), "--method", "words"])
    assert told.exit_code == 0, told.output
    assert f"note: removed {output}/strategies.json, which was of an earlier fit" in told.stderr
    assert not (output / "strategies.json").exists()


def test_a_configuration_of_other_models_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file, output = written(tmp_path, table()), tmp_path / "predictor"
    told = CliRunner().invoke(
        app, ["fit", str(file), "--output", str(output), "--method", "words", "--config", "abacus"]
    )
    assert "about the small model 'mini'" in str(told.exception)
    assert not output.exists()


def test_a_policy_that_does_not_exist_is_named(tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["fit", "none.jsonl", "--output", str(tmp_path), "--config", "abacus", "--policy", "x"]
    )
    assert "there is no 'x'; there are default" in str(told.exception)


def test_outcomes_without_the_small_model_are_refused_with_what_to_call_it(tmp_path: Path) -> None:
    file, output = written(tmp_path, table()), tmp_path / "predictor"
    file.write_text(
        file.read_text("utf-8").replace('"small"', '"weak"').replace("majority@", "other-"), "utf-8"
    )
    told = CliRunner().invoke(app, ["fit", str(file), "--output", str(output)])
    assert "no action is of the small model (there are weak" in str(told.exception)
    assert 'with the model\'s name under "model"' in str(told.exception)
    assert not output.exists()


def test_an_output_below_a_file_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    told = CliRunner(env={"COLUMNS": "400"}).invoke(
        app, ["fit", "none.jsonl", "--output", str(tmp_path / "file" / "p")]
    )
    assert told.exit_code == 2
    assert f"{tmp_path / 'file'} is no folder" in told.stderr
