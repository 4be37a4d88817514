"""A real `gradus train rollouts`, killed in the middle, and what its next run makes of what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.workers.engines import tiny
from workers.engines import load_engine
from workers.training import rollouts
from workers.training.questions import read_questions
from workers.training.recipes import load_recipe

QUESTIONS = 20  # eight are drawn side by side


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    tiny.make_language_model(folder / "model")
    model = {
        "engine": "transformers",
        "path": str(folder / "model"),
        "context_tokens": tiny.CONTEXT_TOKENS,
        "max_tokens": 40,
        "temperature": 1.5,  # what it knows by heart comes out wrong now and then
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump({"model": model, "samples": 4, "rollouts": 4, "task": "number"}))
    rows = [{"question": "count", "answer": "3"} for _ in range(QUESTIONS)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _start(recipe: Path, output: Path) -> subprocess.Popen[bytes]:
    questions = str(recipe.parent / "questions.jsonl")
    arguments = ["rollouts", str(recipe), "--questions", questions, "--output", str(output)]
    return subprocess.Popen(
        [sys.executable, "-m", "workers.training", *arguments],
        env={**os.environ, "GRADUS_TORCH_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.process
@pytest.mark.timeout(300)  # two processes that load a model
def test_a_run_killed_in_the_middle_goes_on_and_ends_as_one_that_was_not(
    recipe: Path, tmp_path: Path
) -> None:
    killed, log = tmp_path / "killed", tmp_path / "killed" / "rollouts.jsonl"
    process = _start(recipe, killed)
    while not (log.exists() and log.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = log.read_bytes()
    assert 2 <= kept.count(b"\n") < QUESTIONS
    assert not (killed / "attempts.parquet").exists()
    # The kill may also have come in the middle of a line.
    log.write_bytes(kept + b'{"id": "9", "quest')

    process = _start(recipe, killed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    whole = tmp_path / "whole"
    loaded = load_recipe(rollouts.RolloutsRecipe, str(recipe))
    asked = read_questions(recipe.parent / "questions.jsonl")
    rollouts.make(loaded, asked, whole, lambda: load_engine("sampled", loaded.model))
    assert log.read_bytes() == (whole / "rollouts.jsonl").read_bytes()
    assert log.read_bytes().startswith(kept)
    assert (killed / "attempts.parquet").read_bytes() == (whole / "attempts.parquet").read_bytes()
    labels = {
        label
        for row in log.read_text().splitlines()
        for s in json.loads(row)["samples"]
        for label in s["labels"]
    }
    assert len(labels) > 2, "the model must be right now and then, or this shows nothing"
