"""From a trained model to a folder that loads as it is: weights, tokenizer, card, recipe, configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from workers.training.recipes import recipe_text
from workers.training.recipes.learning import Learning

RECIPE = "recipe.yaml"
SECTION = "gradus.yaml"
CARD = "README.md"


def write_model(folder: Path, model: Any, tokenizer: Any, dtype: Any) -> None:
    """What `from_pretrained` reads, the weights in ``dtype``."""
    written = copy.deepcopy(model).to(dtype)
    written.config.dtype = dtype
    written.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_section(folder: Path, kind: str, name: str, section: Mapping[str, object]) -> None:
    """The section to paste into a configuration; ``kind`` is "models" or "verifiers"."""
    text = yaml.safe_dump({kind: {name: dict(section)}}, sort_keys=False, width=110, allow_unicode=True)
    (folder / SECTION).write_text(text, "utf-8")


def write_card(
    folder: Path, name: str, about: str, numbers: Mapping[str, object], recipe: Learning, command: str
) -> None:
    """README.md with the numbers, the section and the recipe, which is also written by itself."""
    text = recipe_text(recipe)
    (folder / RECIPE).write_text(text, "utf-8")
    rows = "".join(f"| {label} | {_shown(value)} |\n" for label, value in numbers.items())
    section = (folder / SECTION).read_text("utf-8")
    (folder / CARD).write_text(
        f"# {name}\n\n{about}\n\n| | |\n|---|---|\n{rows}\n"
        f"## In a configuration\n\n```yaml\n{section}```\n\n"
        f"## Made by\n\n```sh\n{command}\n```\n\nwith {RECIPE}:\n\n```yaml\n{text}```\n",
        "utf-8",
    )


def readable_by_all(folder: Path) -> None:
    """safetensors makes its files private; these are published and packaged."""
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(0o644)


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)
    )
