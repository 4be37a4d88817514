"""Vectors of short texts from a sentence encoder in a local folder: they tell what means the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.answers.text import Embed
from workers.errors import ModelNotLoadable

_BATCH = 64
_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def load_embed(path: str) -> Embed:
    """The encoder that ``path`` names, pooled as its ``1_Pooling/config.json`` says (mean without one).

    Texts longer than the encoder reads are cut. Thread-safe; runs on the processor.
    Raises :class:`workers.errors.ModelNotLoadable`.
    """
    from workers.engines.loading import resolve, stay_offline

    stay_offline()
    from transformers import AutoModel, AutoTokenizer

    folder = resolve(path)
    pooling = _pooling(folder)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModel.from_pretrained(folder, local_files_only=True).float().eval()
    except Exception as error:  # a broken folder breaks its loader in many ways
        raise ModelNotLoadable(
            f"{folder}: this is no sentence encoder that can be loaded: {error}"
        ) from error
    longest = min(
        model.config.max_position_embeddings,
        _read(folder / "sentence_bert_config.json").get("max_seq_length") or 512,
    )
    lock = threading.Lock()

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            with lock:  # tokenizers keep how they cut and pad as a state
                read = tokenizer(
                    batch, padding=True, truncation=True, max_length=longest, return_tensors="pt"
                )
            vectors += _vectors(model, read, pooling)
        return vectors

    return embed


def _vectors(model: Any, read: Any, pooling: str) -> list[list[float]]:
    import torch

    with torch.inference_mode():
        hidden = model(**read).last_hidden_state
        if pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = read["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
        unit: list[list[float]] = torch.nn.functional.normalize(pooled, dim=-1).tolist()
    return unit


def _pooling(folder: Path) -> str:
    config = _read(folder / "1_Pooling" / "config.json")
    on = [mode for mode, is_on in config.items() if mode.startswith("pooling_mode_") and is_on is True]
    if not on:
        named = config.get("pooling_mode", "mean")
        on = [named] if isinstance(named, str) else list(named)
    modes = [_POOLING.get(mode, mode) for mode in on]
    if len(modes) != 1 or modes[0] not in ("mean", "cls"):
        raise ModelNotLoadable(
            f"{folder}: it pools by {', '.join(modes)}; only mean or cls, alone, is supported"
        )
    return modes[0]


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ModelNotLoadable(f"{file}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelNotLoadable(f"{file}: not a JSON object")
    return config
