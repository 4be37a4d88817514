"""From checkpoints to the committed Hugging Face folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers.training import files
from workers.training.abacus.cards import lm_card, prm_card
from workers.training.abacus.data import load_tokenizer
from workers.training.abacus.lm import load_trained
from workers.training.abacus.models import SAMPLING_TEMPERATURE, export, parameter_count
from workers.training.abacus.steps import STEP_SEPARATOR

VERIFIER_FILE = "gradus_verifier.json"


def export_lm(data_dir: Path, size: str, models_dir: Path = files.MODELS_DIR) -> Path:
    """Write `abacus-<size>` from its latest checkpoint."""
    model, state = load_trained(data_dir, size)
    folder = models_dir / f"abacus-{size}"
    card = lm_card(size, parameter_count(model), state, SAMPLING_TEMPERATURE)
    export(model, load_tokenizer(data_dir), folder, card)
    return folder


def export_prm(
    model: Any, tokenizer: Any, trained: str, aggregation: str, models_dir: Path = files.MODELS_DIR
) -> Path:
    """Write `abacus-prm`, with what a verifier has to know to read its scores."""
    folder = models_dir / "abacus-prm"
    export(model, tokenizer, folder, prm_card(parameter_count(model), trained, aggregation))
    files.write_json(
        folder / VERIFIER_FILE,
        {
            "kind": "token_classification",
            "step_separator": STEP_SEPARATOR,
            # One label: the probability that a step leads to the right answer is sigmoid(logit).
            "activation": "sigmoid",
            "label_index": 0,
            # A finished solution is scored with the end token of the chat after its last line.
            "final_step_token": tokenizer.eos_token,
            "aggregation": aggregation,
        },
    )
    return folder
