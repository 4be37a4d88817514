"""Verifiers under test, and what they judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from router.types import Task
from tests.workers.engines import tiny
from workers.protocols import Prompt, Scores, Verifier
from workers.verifiers.model import ModelVerifier
from workers.verifiers.prm import load_prm

QUESTION = ({"role": "user", "content": "How many?"},)
TEXTS = [
    "one\ntwo two\nThe answer is 3.",
    "one\ntwo two\n",
    "The answer is 4.",
    "a\nb\nc\n" * 5 + "The answer is 3.",
    "cut in the mid",
    "x",
]


def judge(
    verifier: Verifier,
    messages: tuple[Mapping[str, Any], ...],
    texts: Sequence[str],
    task: Task | None = None,
) -> Scores:
    """What the verifier says of each text as a turn after ``messages``."""
    return verifier.score([Prompt(messages, text) for text in texts], task or Task())


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def prm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_reward_model(tmp_path_factory.mktemp("prm"))


@pytest.fixture(scope="session")
def prm(prm_folder: Path) -> Iterator[ModelVerifier]:
    verifier = load_prm("judge", prm_folder, "gradus", context_tokens=tiny.CONTEXT_TOKENS, device="cpu")
    yield verifier
    verifier.close()
