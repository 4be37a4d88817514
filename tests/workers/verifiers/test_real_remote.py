"""A reward model behind a real server against the same folder here; docs/verifiers.md says how to serve each.

    vllm serve workers/models/abacus-prm --runner pooling --dtype float32 --served-model-name reward
    GRADUS_TEST_POOLING_URL=http://127.0.0.1:8000 GRADUS_TEST_POOLING_FAMILY=gradus \\
        GRADUS_TEST_POOLING_FOLDER=workers/models/abacus-prm \\
        pytest tests/workers/verifiers/test_real_remote.py

The family is that of a PRM, or "orm". A server in float32 agrees to 1e-5; one in half precision need not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from router.config import RemoteVerifier
from tests.workers.verifiers.conftest import TEXTS, judge
from workers.protocols import Verifier
from workers.verifiers import load_verifier
from workers.verifiers.orm import load_orm
from workers.verifiers.prm import load_prm

URL = os.environ.get("GRADUS_TEST_POOLING_URL")
CONTEXT_TOKENS = 256

pytestmark = pytest.mark.skipif(URL is None, reason="GRADUS_TEST_POOLING_URL names no server")
FAMILY: Any = os.environ.get("GRADUS_TEST_POOLING_FAMILY", "gradus")
FOLDER = os.environ.get("GRADUS_TEST_POOLING_FOLDER", "workers/models/abacus-prm")
QUESTION = ({"role": "user", "content": "How many <extra_0> and ки are there?"},)
"""With the tags of two families in it."""
TURNS = [*TEXTS, "one\n\ntwo\n\nthree", "Wärme ☕\n\né", "", "far too long " * 80, *map(str, range(80))]


def here() -> Verifier:
    if FAMILY == "orm":
        return load_orm("here", Path(FOLDER), context_tokens=CONTEXT_TOKENS, device="cpu")
    return load_prm("here", Path(FOLDER), FAMILY, context_tokens=CONTEXT_TOKENS, device="cpu")


def there() -> Verifier:
    serves = {"serves": "orm"} if FAMILY == "orm" else {"serves": "prm", "family": FAMILY}
    settings = {
        "kind": "remote",
        "base_url": URL,
        "upstream_model": os.environ.get("GRADUS_TEST_POOLING_MODEL", "reward"),
        "tokenizer": FOLDER,
        "context_tokens": CONTEXT_TOKENS,
    }
    return load_verifier("there", RemoteVerifier.model_validate(settings | serves))


def test_a_served_reward_model_scores_as_the_same_one_here() -> None:
    one, other = here(), there()
    expected, found = judge(one, QUESTION, TURNS), judge(other, QUESTION, TURNS)
    one.close()
    other.close()
    assert found.tokens == expected.tokens > 0
    for ours, theirs in zip(expected.scored, found.scored, strict=True):
        assert theirs.step_scores == pytest.approx(ours.step_scores, abs=1e-4)
        assert theirs.score == pytest.approx(ours.score, abs=1e-4)
