"""Recipes: those that come with Gradus are valid, and a mistake is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.training.errors import TrainingError
from workers.training.outcomes import OutcomesRecipe
from workers.training.recipes import load_recipe, recipe_names, recipe_text, shipped_text
from workers.training.revisions import RevisionDataRecipe
from workers.training.rollouts import RolloutsRecipe

YAML = """model:
  engine: transformers
  path: models/mine
  context_tokens: 512
  max_tokens: 100
samples: 4
"""


def _error(text: str, folder: Path, *overrides: str) -> str:
    file = folder / "mine.yaml"
    file.write_text(text)
    with pytest.raises(TrainingError) as caught:
        load_recipe(RolloutsRecipe, str(file), overrides)
    return str(caught.value).replace(str(file), "FILE")


@pytest.mark.parametrize("name", ["rollouts", "abacus-rollouts", "abacus-revision-attempts"])
def test_shipped_recipes_of_rollouts_are_valid(name: str) -> None:
    assert load_recipe(RolloutsRecipe, name).seed == 1


@pytest.mark.parametrize("name", ["revision-data", "abacus-revision-data"])
def test_shipped_recipes_of_revision_data_are_valid(name: str) -> None:
    assert load_recipe(RevisionDataRecipe, name).most_attempts == 4


def test_the_constants_of_the_paper_are_the_defaults() -> None:
    rollouts, revisions = (
        load_recipe(RolloutsRecipe, "rollouts"),
        load_recipe(RevisionDataRecipe, "revision-data"),
    )
    assert (rollouts.samples, rollouts.rollouts, rollouts.chain_length) == (16, 16, 1)
    assert (revisions.samples, revisions.most_attempts, revisions.targets_per_question) == (64, 4, None)


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(YAML)
    recipe = load_recipe(
        RolloutsRecipe, str(tmp_path / "mine.yaml"), ["model.temperature=0.5", "samples=2", "rollouts=0"]
    )
    assert (recipe.model.temperature, recipe.samples, recipe.rollouts) == (0.5, 2, 0)


def test_a_printed_recipe_and_a_kept_one_read_as_the_same(tmp_path: Path) -> None:
    recipe = load_recipe(RolloutsRecipe, "rollouts")
    for at, text in enumerate((shipped_text("rollouts"), recipe_text(recipe))):
        (tmp_path / f"{at}.yaml").write_text(text)
        assert load_recipe(RolloutsRecipe, str(tmp_path / f"{at}.yaml")) == recipe


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("samples: 4", "sampels: 4", "FILE:6: sampels: is not a known key; did you mean 'samples'?"),
        ("samples: 4", "samples: many", "FILE:6: samples: must be a whole number, not 'many'"),
        (
            "max_tokens: 100",
            "max_token: 100",
            "FILE:5: model.max_token: is not a known key; did you mean 'max_tokens'?",
        ),
        ("  path: models/mine\n", "", "FILE:1: model.path: is missing"),
        ("transformers", "vllm", "FILE:2: model.engine: must be one of 'transformers', 'openai', not 'vllm'"),
        (
            "samples: 4",
            "task: json",
            "FILE:6: task: must be 'auto', 'math', 'number' or 'choice', not 'json'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert _error(YAML.replace(right, wrong), tmp_path) == message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("samples", "--set samples: write it as --set key.of.recipe=value"),
        ("samples=0", "--set samples: samples: must be greater than or equal to 1, not 0"),
        ("samples.x=1", "--set samples.x: samples: is a single value; it has no keys"),
    ],
)
def test_a_mistake_in_an_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    assert _error(YAML, tmp_path, override) == message


def test_a_recipe_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no such file.*abacus-rollouts"):
        load_recipe(RolloutsRecipe, str(tmp_path / "none.yaml"))
    with pytest.raises(TrainingError, match=r"no recipe 'none'; there are .*rollouts"):
        shipped_text("none")
    assert "revision-data" in recipe_names()


def test_an_empty_recipe_is_told_what_a_recipe_of_its_kind_needs(tmp_path: Path) -> None:
    assert _error("# nothing\n", tmp_path) == "FILE: is empty; give at least model"
    assert _error("- model\n", tmp_path) == "FILE:1: must be a mapping, with at least model"
    (tmp_path / "all.yaml").write_text("")
    with pytest.raises(TrainingError, match="is empty; give at least one of task, samples, "):
        load_recipe(OutcomesRecipe, str(tmp_path / "all.yaml"))
