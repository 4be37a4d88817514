"""Several processes share each update: what they learn together is what one learns alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workers.training import lessons
from workers.training import revision
from workers.training.datasets import write_revisions
from workers.training.recipes import load_recipe
from workers.training.recipes.learning import RevisionRecipe


@pytest.mark.process
@pytest.mark.timeout(300)  # three processes that import torch
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    # 54 training examples are three whole batches: no process has to fill up.
    base = str(lessons.make_base(tmp_path / "base"))
    fields = {**lessons.QUICK, "base": base, "epochs": 2, "batch": 18, "log_every_steps": 1}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(fields))
    write_revisions(tmp_path, lessons.revisions())
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["revision", str(tmp_path / "recipe.yaml"), "--data", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "workers.training", *arguments, "--output", tmp_path / "two"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    revision.train(load_recipe(RevisionRecipe, str(tmp_path / "recipe.yaml")), tmp_path, tmp_path / "one")
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").open()] for name in ("one", "two")
    ]
    assert len(rows[0]) == len(rows[1]) == 8
    for alone, together in zip(*rows, strict=True):
        assert together == pytest.approx(alone, rel=1e-3)
