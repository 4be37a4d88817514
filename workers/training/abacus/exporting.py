"""To the folders of the embedded models: from checkpoints, and from what recipes made."""

from __future__ import annotations

import shutil
from pathlib import Path

from workers.training import files
from workers.training.abacus.cards import lm_card, published_card
from workers.training.abacus.data import load_tokenizer
from workers.training.abacus.lm import load_trained
from workers.training.abacus.models import SAMPLING_TEMPERATURE, export, parameter_count
from workers.training.errors import TrainingError
from workers.training.exporting import CARD, SECTION
from workers.training.learning.run import LEDGER


def export_lm(data_dir: Path, size: str, models_dir: Path = files.MODELS_DIR) -> Path:
    """Write `abacus-<size>` from its latest checkpoint."""
    model, state = load_trained(data_dir, size)
    folder = models_dir / f"abacus-{size}"
    card = lm_card(size, parameter_count(model), state, SAMPLING_TEMPERATURE)
    export(model, load_tokenizer(data_dir), folder, card)
    return folder


def publish(made: Path, models_dir: Path = files.MODELS_DIR) -> Path:
    """Copy what a recipe made into the folder of that name; returns it.

    Cards and sections then name the embedded model, and $D for the folder that it was made in.
    Raises :class:`TrainingError`.
    """
    if not (made / "model.safetensors").is_file():
        raise TrainingError(f"{made}: has no model.safetensors; a training has not ended there")
    folder = models_dir / made.name

    def write(target: Path) -> None:
        for file in made.iterdir():
            if file.is_file() and file.name != LEDGER:
                shutil.copy(file, target)
        for name in (CARD, SECTION):
            text = (made / name).read_text("utf-8").replace(f"path: {made}", f"path: embedded:{made.name}")
            text = text.replace(str(made.parent), "$D")
            (target / name).write_text(published_card(text) if name == CARD else text, "utf-8")

    files.replace_folder(folder, write)
    return folder
