"""Training verifiers of steps: labels stand where scores are read, and folders load as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForTokenClassification

from router.config import PrmVerifier
from router.types import Task
from tests.workers.engines import tiny
from tests.workers.training import lessons
from workers.protocols import Prompt
from workers.steps import LINES, Steps, Thinking
from workers.training import prm
from workers.training.datasets import Attempt, write_attempts
from workers.training.errors import TrainingError
from workers.training.recipes.learning import PrmRecipe
from workers.verifiers import load_verifier
from workers.verifiers.format import Format, read_format
from workers.verifiers.layouts import TokenClassification

TOKENIZER = tiny.make_tokenizer()
LAYOUT = TokenClassification(TOKENIZER, "prm", Format("\n", "sigmoid", 0, TOKENIZER.eos_token, "last"))
ASKED = ({"role": "user", "content": "What?"},)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lessons.make_base(tmp_path_factory.mktemp("base"))


def recipe(folder: Path, **more: Any) -> PrmRecipe:
    fields = {**lessons.QUICK, "base": str(folder), "epochs": 6, "task": "number"}
    return PrmRecipe.model_validate(fields | more)


def _attempt(text: str, labels: tuple[float | None, ...]) -> Attempt:
    return Attempt("1", "What?", "1", (), text, 3, labels, True)


@given(st.lists(st.text("ab \n", max_size=6), min_size=1, max_size=6).map("\n".join), st.booleans())
def test_labels_stand_where_the_verifier_reads_its_scores(text: str, answers: bool) -> None:
    text += "The answer is 1." * answers
    labels = tuple(number / 100 for number in range(len(LINES.split(text))))
    served = LAYOUT.reading(ASKED, text)
    found = prm.encode([_attempt(text, labels)], LAYOUT, TOKENIZER, LINES, 10_000)
    if not labels:
        assert found == []
        return
    [example] = found
    assert (example.tokens, example.places, example.weight) == (served.tokens, served.places, 3.0)
    head = LAYOUT.head_tokens(ASKED)
    for place, label in zip(example.places, example.labels, strict=True):
        # The step of a place is the last one of the text up to it.
        so_far = TOKENIZER.decode(example.tokens[head : place + 1], skip_special_tokens=True)
        assert label == labels[len(LINES.split(so_far)) - 1]


def test_unknown_labels_are_not_learned() -> None:
    [example] = prm.encode([_attempt("a\nb\nc\n", (0.5, None, 1.0))], LAYOUT, TOKENIZER, LINES, 1000)
    assert example.labels == (0.5, 1.0)
    assert len(example.places) == 2
    assert prm.encode([_attempt("a\n", (None,))], LAYOUT, TOKENIZER, LINES, 1000) == []


def test_thinking_that_does_not_count_is_not_shown() -> None:
    steps = Steps(thinking=Thinking())
    [example] = prm.encode([_attempt("<think>x\ny</think>a\nb", (0.5, 1.0))], LAYOUT, TOKENIZER, steps, 1000)
    assert (example.tokens, example.labels) == (LAYOUT.reading(ASKED, "a\nb").tokens, (0.5, 1.0))


def test_other_steps_than_it_was_labelled_with_are_refused() -> None:
    with pytest.raises(TrainingError, match="3 labels and 2 steps"):
        prm.encode([_attempt("a\nb", (0.0, 0.5, 1.0))], LAYOUT, TOKENIZER, LINES, 1000)


@given(st.floats(0.0, 0.5), st.integers(0, 5))
def test_about_that_share_of_the_labels_is_turned_around(share: float, seed: int) -> None:
    rows = [_attempt("a\nb\nc", (0.25, None, 1.0))] * 400
    turned = prm.flipped(rows, share, seed)
    changed = [new != old for row in turned for new, old in zip(row.labels, rows[0].labels, strict=True)]
    assert abs(sum(changed) / 800 - share) < 0.1
    assert {row.labels[0] for row in turned} <= {0.25, 0.75}
    assert {row.labels[1] for row in turned} == {None}
    assert all(row.right for row in turned)


def test_the_folder_loads_as_it_is_and_tells_right_from_wrong(base: Path, tmp_path: Path) -> None:
    write_attempts(tmp_path / "data", lessons.attempts())
    output = tmp_path / "my-prm"
    numbers = prm.train(recipe(base), tmp_path / "data", output)
    assert numbers["validation AUC"] == 1.0
    assert numbers["validation questions right by weighted best-of-N"] == 1.0
    section = yaml.safe_load((output / "gradus.yaml").read_text())["verifiers"]["my-prm"]
    verifier = load_verifier("my-prm", PrmVerifier.model_validate(section))
    asked = ({"role": "user", "content": "Q99?"},)
    turns = [Prompt(asked, f"{said}\nThe answer is {said == 'yes':d}.") for said in ("yes", "no")]
    right, wrong = verifier.score(turns, Task("number")).scored
    verifier.close()
    assert len(right.step_scores) == 2
    assert right.score > wrong.score
    assert read_format(output).aggregation == numbers["aggregation"]

    # What was trained goes on being trained: its head is kept.
    again = tmp_path / "again"
    more = prm.train(recipe(output, epochs=1, learning_rate=1e-6), tmp_path / "data", again)
    assert more["validation loss"] == pytest.approx(numbers["validation loss"], abs=1e-3)


def test_lower_layers_can_be_left_as_they_are(base: Path, tmp_path: Path) -> None:
    write_attempts(tmp_path / "data", lessons.attempts())
    output = tmp_path / "out"
    prm.train(recipe(base, epochs=1, train_last_layers=1), tmp_path / "data", output)
    after = AutoModelForTokenClassification.from_pretrained(output).state_dict()
    before = AutoModelForTokenClassification.from_pretrained(base, num_labels=1).state_dict()
    changed = {name for name in after if not after[name].equal(before[name])}
    assert "score.weight" in changed
    assert not [name for name in changed if "embed" in name or ".layers.0." in name]
    assert [name for name in changed if ".layers.1." in name]


def test_lora_trains_the_head_as_well(base: Path, tmp_path: Path) -> None:
    rows = [replace(row, count=1) for row in lessons.attempts()]
    write_attempts(tmp_path / "data", rows)
    output = tmp_path / "out"
    more = {"lora": {"rank": 4}, "learning_rate": 2e-2}
    numbers = prm.train(recipe(base, **more), tmp_path / "data", output)
    assert numbers["validation AUC"] == 1.0
    assert json.loads((output / "config.json").read_text())["architectures"] == [
        "LlamaForTokenClassification"
    ]
