"""A real `gradus train revision`, killed in the middle, and what its next run makes of what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.numpy import load_file

from tests.workers.training import lessons
from workers.training import revision
from workers.training.datasets import write_revisions
from workers.training.recipes import load_recipe
from workers.training.recipes.learning import RevisionRecipe

EVALUATIONS = 6


def _start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    arguments = ["revision", str(folder / "recipe.yaml"), "--data", str(folder), "--output", str(output)]
    return subprocess.Popen(
        [sys.executable, "-m", "workers.training", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def _marks(output: Path) -> list[Path]:
    return sorted(output.glob("checkpoints/*/whole"))


@pytest.mark.process
@pytest.mark.timeout(300)  # four processes that import torch
@pytest.mark.parametrize("lora", [None, {"rank": 4, "dropout": 0.1}])
def test_a_training_killed_in_the_middle_goes_on_and_ends_as_one_that_was_not(
    lora: dict[str, Any] | None, tmp_path: Path
) -> None:
    fields = {
        **lessons.QUICK,
        "base": str(lessons.make_base(tmp_path / "base")),
        "epochs": EVALUATIONS,
        "micro_batch": 8,
        "evaluations_after_rise": EVALUATIONS,
        "lora": lora,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(fields))
    write_revisions(tmp_path, lessons.revisions())

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = _start(tmp_path, killed)
    # Of a rule that keeps the last checkpoint there is one at a time; the first is not of interest.
    while not (marks := [mark for mark in _marks(killed) if not mark.match("checkpoint-4/*")]):
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "README.md").exists()
    # The kill may also have come while a checkpoint was written.
    torn = killed / "checkpoints" / "checkpoint-999"
    shutil.copytree(marks[-1].parent, torn)
    (torn / "whole").unlink()
    (torn / "trainer_state.json").write_text('{"epoch": 1')

    process = _start(tmp_path, killed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    revision.train(load_recipe(RevisionRecipe, str(tmp_path / "recipe.yaml")), tmp_path, whole)
    ours, theirs = (
        [json.loads(line) for line in (each / "metrics.jsonl").open()] for each in (killed, whole)
    )
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-4)
    weights, others = (load_file(each / "model.safetensors") for each in (killed, whole))
    for name, values in weights.items():
        assert values == pytest.approx(others[name], abs=1e-4)
