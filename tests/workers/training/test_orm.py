"""Training verifiers of whole solutions: what they are shown, and that folders load as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from router.config import OrmVerifier
from router.types import Task
from tests.workers.engines import tiny
from tests.workers.training import lessons
from workers.protocols import Prompt
from workers.search.revisions import revision_conversation
from workers.steps import LINES
from workers.training import orm
from workers.training.datasets import write_attempts
from workers.training.measuring import Conversations
from workers.training.recipes.learning import OrmRecipe
from workers.verifiers import load_verifier
from workers.verifiers.layouts import Outcome

ASK = "Again."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lessons.make_base(tmp_path_factory.mktemp("base"))


def recipe(folder: Path, **more: Any) -> OrmRecipe:
    fields = {**lessons.QUICK, "base": str(folder), "epochs": 10, "task": "number", "revise_prompt": ASK}
    return OrmRecipe.model_validate(fields | more)


@pytest.mark.parametrize("reads_history", [False, True])
def test_attempts_are_read_as_they_are_served(reads_history: bool) -> None:
    layout = Outcome(tiny.make_tokenizer(), "orm")
    row = lessons.attempts(history=True)[0]
    [example] = orm.encode([row], layout, Conversations(ASK if reads_history else None), LINES, 1000)
    asked = ({"role": "user", "content": row.question},)
    before = revision_conversation(asked, row.history, ASK) if reads_history else asked
    assert example.tokens == layout.reading(before, row.text).tokens
    assert (example.labels, example.weight) == ((1.0,), 2.0)
    assert orm.encode([row], layout, Conversations(None), LINES, 8) == []


def test_one_that_reads_history_judges_by_it(base: Path, tmp_path: Path) -> None:
    write_attempts(tmp_path / "data", lessons.attempts(history=True))
    output = tmp_path / "my-orm"
    numbers = orm.train(recipe(base, reads_history=True), tmp_path / "data", output)
    assert numbers["validation AUC"] == 1.0
    section = yaml.safe_load((output / "gradus.yaml").read_text())["verifiers"]["my-orm"]
    verifier = load_verifier("my-orm", OrmVerifier.model_validate(section))
    assert verifier.reads_history
    asked = ({"role": "user", "content": "Q99?"},)
    turns = [
        Prompt(revision_conversation(asked, [before], ASK), "same\nThe answer is 1.")
        for before in ("good", "bad")
    ]
    right, wrong = verifier.score(turns, Task("number")).scored
    verifier.close()
    assert right.score > 0.5 > wrong.score
