"""Outcome reward models in process: sequence classifiers with one logit, or with two classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from workers.errors import ModelNotLoadable
from workers.verifiers.layouts import Outcome
from workers.verifiers.local import check_context, device_of, load, padded
from workers.verifiers.model import ModelVerifier
from workers.verifiers.reading import Reader, Reading


class SequenceModel:
    """Scores whole readings: the sigmoid of the model's one logit, or the softmax of two at the second.

    In double precision: in single, all logits above 17 would be the same score.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._pad: int | None = model.config.pad_token_id

    @torch.inference_mode()
    def __call__(self, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        sequences = [reading.tokens for reading in readings]
        pad = self._pad
        if pad is None:  # the model looks for the first padding; it must not find it in a text
            used = {token for sequence in sequences for token in sequence}
            pad = next(token for token in range(len(used) + 1) if token not in used)
            self._model.config.pad_token_id = pad
        tokens, mask = padded(sequences, pad, self._model.device)
        logits = self._model(input_ids=tokens, attention_mask=mask).logits.cpu().double()
        odds = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return [(score,) for score in odds.sigmoid().tolist()]


def load_orm(
    name: str, folder: Path, *, context_tokens: int, reads_history: bool = False, device: str = "auto"
) -> ModelVerifier:
    """An outcome reward model of a Hugging Face folder. Raises :class:`workers.errors.ModelNotLoadable`."""
    layout = Outcome(load(AutoTokenizer, folder, name), name)
    model = load(AutoModelForSequenceClassification, folder, name, device_of(device))
    if model.config.num_labels not in (1, 2):
        raise ModelNotLoadable(
            f"verifier {name}: {folder} tells {model.config.num_labels} classes apart; an outcome reward "
            "model has one logit, or two classes of which the second means right"
        )
    check_context(name, model, context_tokens)
    reader = Reader(name, SequenceModel(model))
    return ModelVerifier(
        name,
        layout,
        reader.read,
        context_tokens=context_tokens,
        aggregation=None,
        close=reader.close,
        reads_history=reads_history,
    )
