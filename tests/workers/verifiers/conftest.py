"""Verifiers under test, and what they judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.engines import tiny
from workers.verifiers.prm import PrmVerifier

QUESTION = ({"role": "user", "content": "How many?"},)
TEXTS = [
    "one\ntwo two\nThe answer is 3.",
    "one\ntwo two\n",
    "The answer is 4.",
    "a\nb\nc\n" * 5 + "The answer is 3.",
    "cut in the mid",
    "x",
]


@pytest.fixture(scope="session")
def prm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_reward_model(tmp_path_factory.mktemp("prm"))


@pytest.fixture(scope="session")
def prm(prm_folder: Path) -> Iterator[PrmVerifier]:
    verifier = PrmVerifier(prm_folder, name="judge", context_tokens=tiny.CONTEXT_TOKENS, device="cpu")
    yield verifier
    verifier.close()
