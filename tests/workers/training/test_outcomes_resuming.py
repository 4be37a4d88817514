"""A real `gradus train outcomes`, killed in the middle, and what its next run makes of what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from router.config import load_config
from tests.workers.engines import tiny
from workers.training.outcomes import OutcomesRecipe, make
from workers.training.questions import read_questions
from workers.training.recipes import load_recipe

QUESTIONS = 30
RECIPE = {
    "task": "number",
    "samples": 4,
    "strategies": [{"name": "majority"}, {"name": "revisions", "chain_length": 2}],
    "budgets": [4, 8],
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, a recipe and questions."""
    folder = tmp_path_factory.mktemp("work")
    tiny.make_language_model(folder / "model")
    model = {
        "engine": "transformers",
        "path": str(folder / "model"),
        "context_tokens": tiny.CONTEXT_TOKENS,
        "max_tokens": 40,
        "temperature": 1.5,  # what it knows by heart comes out wrong now and then
    }
    # How far a search that stops early has come by then is a matter of time.
    policy = {"small": "tiny", "verifier": "votes", "probe_samples": 4, "stopping": {"rule": "none"}}
    config = {
        "models": {"tiny": model},
        "verifiers": {"votes": {"kind": "majority"}},
        "policies": {"default": {**policy, "usd_per_right_answer": 1}},
    }
    (folder / "gradus.yaml").write_text(yaml.safe_dump(config))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    rows = [{"question": "count", "answer": "3"} for _ in range(QUESTIONS)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _start(work: Path, output: Path) -> subprocess.Popen[bytes]:
    files = ["recipe.yaml", "--questions", "questions.jsonl", "--config", "gradus.yaml"]
    arguments = ["outcomes", *(file if file[0] == "-" else str(work / file) for file in files)]
    return subprocess.Popen(
        [sys.executable, "-m", "workers.training", *arguments, "--output", str(output)],
        env={**os.environ, "GRADUS_TORCH_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(each) for key, each in value.items() if key != "seconds"}
    return [_untimed(each) for each in value] if isinstance(value, list) else value


def _rows(file: Path) -> list[Any]:
    return [_untimed(json.loads(line)) for line in file.read_text().splitlines()]


@pytest.mark.process
@pytest.mark.timeout(300)  # two processes that load a model
def test_a_run_killed_in_the_middle_goes_on_and_ends_as_one_that_was_not(work: Path, tmp_path: Path) -> None:
    killed, log = tmp_path / "killed", tmp_path / "killed" / "questions.jsonl"
    process = _start(work, killed)
    while not (log.exists() and log.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = log.read_bytes()
    assert 2 <= kept.count(b"\n") < QUESTIONS
    assert not (killed / "outcomes.jsonl").exists()
    # The kill may also have come in the middle of a line.
    log.write_bytes(kept[: kept.rindex(b"\n") + 1] + b'{"id": "9", "quest')

    process = _start(work, killed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    whole = tmp_path / "whole"
    recipe = load_recipe(OutcomesRecipe, str(work / "recipe.yaml"))
    asked = read_questions(work / "questions.jsonl")
    make(recipe, load_config(work / "gradus.yaml", {}), "default", asked, whole)
    assert log.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    for name in ("questions.jsonl", "outcomes.jsonl", "turns.jsonl"):
        assert _rows(killed / name) == _rows(whole / name)
    rights = {row["right"] for row in _rows(whole / "outcomes.jsonl") if row["action"] == "small"}
    assert len(rights) > 2, "the model must be right now and then, or this shows nothing"
