"""Recipes: the YAML files that say how data are drawn and models are trained.

A recipe is read as a configuration is: strict, with the file and line of what is wrong. Those that come with
Gradus hold the constants of Snell et al. 2024, or those of the embedded models ("abacus-...").
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError

from router.config import SearchedModel
from router.config.environment import write
from router.config.fields import Section
from router.config.problems import first_problem
from router.config.source import read_scalar, read_yaml
from router.errors import ConfigInvalid
from workers.training.errors import TrainingError

R = TypeVar("R", bound=Section)

Sampled = Annotated[SearchedModel, Field(discriminator="engine")]
"""The model that is sampled, as a configuration says it: in this process, or behind a server."""

Comparing = Literal["auto", "math", "number", "choice"]
"""How answers compare with the reference: the kinds of :class:`router.types.Task` that need no more."""


def recipe_names() -> list[str]:
    """The recipes that come with Gradus."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def shipped_text(name: str) -> str:
    """A recipe that comes with Gradus, as it is written. Raises :class:`TrainingError`."""
    if name not in recipe_names():
        raise TrainingError(f"there is no recipe {name!r}; there are {', '.join(recipe_names())}")
    return (resources.files(__name__) / f"{name}.yaml").read_text("utf-8")


def load_recipe(kind: type[R], source: str, overrides: Sequence[str] = ()) -> R:
    """Read the recipe that ``source`` names: one that comes with Gradus, or a YAML file.

    ``overrides`` are written over it: "model.temperature=1.0".
    Raises :class:`TrainingError` for the first thing that is wrong, with its file and line.
    """
    text, where = _read(source)
    try:
        document = read_yaml(text, where, _needed(kind))
        for override in overrides:
            path, _, value = override.partition("=")
            if not value or not all(words := path.split(".")):
                raise TrainingError(f"--set {override}: write it as --set key.of.recipe=value")
            write(document, words, read_scalar(value, f"--set {path}"), f"--set {path}")
        try:
            return kind.model_validate(document.values)
        except ValidationError as error:
            raise first_problem(document, error, kind) from None
    except ConfigInvalid as error:
        raise TrainingError(str(error)) from error


def _needed(kind: type[Section]) -> str:
    """What a recipe must say at least."""
    required = [name for name, field in kind.model_fields.items() if field.is_required()]
    return ", ".join(required) or f"one of {', '.join(kind.model_fields)}"


def recipe_text(recipe: Section) -> str:
    """The whole recipe as YAML, defaults and overrides included: what is kept beside the work."""
    return yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True), sort_keys=False)


def _read(source: str) -> tuple[str, str]:
    """The text, and what to call it in errors."""
    if source in recipe_names():
        return shipped_text(source), f"recipe {source}"
    try:
        return Path(source).expanduser().read_text("utf-8"), source
    except FileNotFoundError:
        known = ", ".join(recipe_names())
        problem = f"no such file; give a YAML file, or one of the recipes {known}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: {error.reason} at byte {error.start}"
    raise TrainingError(f"{source}: {problem}")
