"""What every model verifier in process needs: loading without a network, and batches of unlike lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from workers.errors import ModelNotLoadable


def device_of(device: str) -> torch.device:
    """ "auto" is the GPU where there is one."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)


def load(kind: Any, folder: Path, name: str, device: torch.device | None = None) -> Any:
    """A tokenizer, or with a ``device`` a model, of a folder; code that lies in the folder is not run.

    Raises :class:`workers.errors.ModelNotLoadable`, also where the folder lacks some of the model's weights:
    left random, they would judge at random.
    """
    own_code_only = {"local_files_only": True, "trust_remote_code": False}
    try:
        if device is None:
            return kind.from_pretrained(folder, **own_code_only)
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        model, info = kind.from_pretrained(folder, dtype=dtype, output_loading_info=True, **own_code_only)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ModelNotLoadable(f"verifier {name}: {folder} cannot be loaded: {error}") from error
    if missing := sorted(info["missing_keys"]):
        raise ModelNotLoadable(
            f"verifier {name}: {folder} lacks the weights {', '.join(missing[:3])}; is its family right?"
        )
    return model.to(device).eval()


def check_context(name: str, model: Any, context_tokens: int) -> None:
    """Raises :class:`workers.errors.ModelNotLoadable` where the model reads less than that."""
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and context_tokens > longest:
        raise ModelNotLoadable(
            f"verifier {name}: context_tokens: {context_tokens}; the model reads {longest}"
        )


def padded(
    sequences: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens, attention mask), filled up on the right: what comes before is not moved by it."""
    longest = max(len(tokens) for tokens in sequences)
    filled = torch.tensor([[*tokens, *[pad] * (longest - len(tokens))] for tokens in sequences])
    lengths = torch.tensor([[len(tokens)] for tokens in sequences])
    return filled.to(device), (torch.arange(longest) < lengths).to(device)
