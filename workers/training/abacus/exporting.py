"""From the checkpoints of the language models to their Hugging Face folders."""

from __future__ import annotations

from pathlib import Path

from workers.training import files
from workers.training.abacus.cards import lm_card
from workers.training.abacus.data import load_tokenizer
from workers.training.abacus.lm import load_trained
from workers.training.abacus.models import SAMPLING_TEMPERATURE, export, parameter_count


def export_lm(data_dir: Path, size: str, models_dir: Path = files.MODELS_DIR) -> Path:
    """Write `abacus-<size>` from its latest checkpoint."""
    model, state = load_trained(data_dir, size)
    folder = models_dir / f"abacus-{size}"
    card = lm_card(size, parameter_count(model), state, SAMPLING_TEMPERATURE)
    export(model, load_tokenizer(data_dir), folder, card)
    return folder
