"""Training to revise: the same conversations as in service, the target alone is learned, folders load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoTokenizer

from router.config import TransformersModel
from tests.workers.training import lessons
from workers.engines import load_engine
from workers.engines.chat import Chat
from workers.protocols import Prompt, SamplingParams
from workers.search.revisions import revision_conversation
from workers.training import revision
from workers.training.datasets import RevisionExample, write_revisions
from workers.training.errors import TrainingError
from workers.training.recipes import load_recipe, recipe_text
from workers.training.recipes.learning import RevisionRecipe

ASK = "Again."
ROW = RevisionExample("1", "What?", ("It is 3.", "It is 2."), "It is 1.")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lessons.make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Any:
    return AutoTokenizer.from_pretrained(base)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_revisions(tmp_path / "data", lessons.revisions())
    return tmp_path / "data"


def recipe(folder: Path, **more: Any) -> RevisionRecipe:
    fields = {**lessons.QUICK, "base": str(folder), "epochs": 3, "revise_prompt": ASK}
    return RevisionRecipe.model_validate(fields | more)


def test_the_prompt_is_the_one_that_is_served_and_only_the_target_is_learned(tokenizer: Any) -> None:
    chat = Chat(tokenizer, "base")
    [example] = revision.encode([ROW], chat, tokenizer.eos_token_id, ASK, 1000)
    asked = ({"role": "user", "content": ROW.question},)
    served = chat.encode(Prompt(revision_conversation(asked, ROW.attempts, ASK)))
    assert list(example.tokens[: len(served)]) == served
    assert tokenizer.decode(example.tokens[len(served) :]) == ROW.target + tokenizer.eos_token
    assert example.labels == example.tokens[len(served) :]
    # What the model says at a place is the token that comes after it.
    assert [example.tokens[place + 1] for place in example.places] == list(example.labels)


def test_what_is_too_long_loses_its_oldest_attempts_and_is_left_out_at_last(tokenizer: Any) -> None:
    chat, end = Chat(tokenizer, "base"), tokenizer.eos_token_id
    whole, shorter, none = (
        revision.encode(
            [RevisionExample("1", "What?", ROW.attempts[left_out:], ROW.target)], chat, end, ASK, 1000
        )[0]
        for left_out in range(3)
    )
    for limit, expected in [
        (len(whole.tokens), whole),
        (len(whole.tokens) - 1, shorter),
        (len(shorter.tokens) - 1, none),
    ]:
        assert revision.encode([ROW], chat, end, ASK, limit) == [expected]
    assert revision.encode([ROW], chat, end, ASK, len(none.tokens) - 1) == []


def test_the_folder_loads_as_it_is_and_has_learned(base: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "my-revision"
    made_by = recipe(base, epochs=8)
    numbers = revision.train(made_by, data, output)
    assert numbers["validation questions"] == 6
    section = yaml.safe_load((output / "gradus.yaml").read_text())["models"]["my-revision"]
    assert section["revise_prompt"] == ASK
    engine = load_engine("m", TransformersModel.model_validate(section))
    prompt = Prompt(({"role": "user", "content": "Q99?"},))
    said = engine.generate([prompt], SamplingParams(20, 0.0)).completions[0]
    engine.close()
    assert (said.text, said.ended) == ("The answer is 1.", "stop")

    assert not (output / "checkpoints").exists()
    assert load_recipe(RevisionRecipe, str(output / "recipe.yaml")) == made_by
    assert recipe_text(made_by) in (output / "README.md").read_text()
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    assert (output / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert {file.stat().st_mode & 0o777 for file in output.iterdir()} == {0o644}


def test_a_training_that_is_done_is_not_done_again(base: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    numbers = revision.train(recipe(base, epochs=1), data, output)
    weights = (output / "model.safetensors").stat().st_mtime_ns
    assert revision.train(recipe(base, epochs=1), data, output) == numbers
    assert (output / "model.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(TrainingError, match="other epochs"):
        revision.train(recipe(base, epochs=2), data, output)


def test_a_folder_that_holds_something_else_is_not_written_over(data: Path, tmp_path: Path) -> None:
    base = lessons.make_base(tmp_path / "my-model")
    before = (base / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="is not empty, and no training began it"):
        revision.train(recipe(base), data, base)
    assert (base / "model.safetensors").read_bytes() == before


def test_lora_is_merged_into_the_weights(base: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    output = tmp_path / "out"
    numbers = revision.train(recipe(base, lora={"rank": 4}, learning_rate=2e-2), data, output)
    before, after = (AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (base, output))
    assert set(before) == set(after)
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert all("_proj" in name for name in changed)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert numbers["validation loss"] == losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"base": "no/such/folder"}, "base: no/such/folder"),
        ({"context_tokens": 100_000}, "context_tokens: 100000"),
        ({"context_tokens": 8}, "0 training"),
        ({"train_last_layers": 3}, "train_last_layers: 3.* has 2"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    base: Path, data: Path, tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        revision.train(recipe(base, **more), data, tmp_path / "out")
    assert "\n" not in str(caught.value)
