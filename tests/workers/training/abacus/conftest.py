"""A tiny build of the data, shared by the training tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from workers.training.abacus import data
from workers.training.abacus.models import Shape

TINY = Shape(layers=1, width=16, heads=2, feed_forward=32)
PROBLEMS = 400


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("abacus")
    data.build(folder, seed=3, problems=PROBLEMS)
    return folder


@pytest.fixture
def data_dir(built: Path, tmp_path: Path) -> Path:
    """A copy, for tests that train into it."""
    return Path(shutil.copytree(built, tmp_path / "abacus"))
