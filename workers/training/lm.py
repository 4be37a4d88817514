"""`gradus train lm`: next-token training on the solutions, resumable to the same weights after a kill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from workers.training import files
from workers.training.data import TokenArrays, load_tokenizer, load_tokens
from workers.training.errors import TrainingError
from workers.training.models import SHAPES, Shape, new_model, parameter_count

IGNORED = -100
# The wider model wants the smaller steps.
LEARNING_RATES = {"small": 8e-3, "large": 5e-3}


@dataclass(frozen=True)
class LmSettings:
    """What fixes a run; the learning rate is constant, then falls linearly over the last `decay` of the steps."""

    seed: int = 1
    epochs: int = 1
    batch_tokens: int = 2048
    learning_rate: float = 8e-3
    warmup_steps: int = 40
    decay: float = 0.3
    weight_decay: float = 0.05
    steps: int | None = None
    use_muon: bool = True


def epoch_batches(lengths: np.ndarray, batch_tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Examples in batches of like length: padding would be most of the cost of batches drawn at random."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    # Sorting the whole epoch would put every short problem side by side; sorting a window keeps batches mixed in kind.
    window = 4096
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        begin = 0
        for end in range(1, len(part) + 1):
            if end == len(part) or (end - begin + 1) * lengths[part[end]] > batch_tokens:
                batches.append(part[begin:end])
                begin = end
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(arrays: TokenArrays, members: np.ndarray, pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded inputs and next-token targets; only what the assistant wrote is a target."""
    longest = int(arrays.lengths[members].max())
    inputs = np.full((len(members), longest), pad_id, np.int64)
    targets = np.full((len(members), longest), IGNORED, np.int64)
    for row, member in enumerate(members):
        begin, end = int(arrays.offsets[member]), int(arrays.offsets[member + 1])
        ids = arrays.ids[begin:end].astype(np.int64)
        inputs[row, : end - begin] = ids
        written = arrays.written[begin + 1 : end]
        targets[row, : end - begin - 1] = np.where(written, ids[1:], IGNORED)
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def batch_loss(model: Any, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the written tokens; the output layer runs on those positions only."""
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state
    kept = targets != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[kept]).float(), targets[kept])


def rate_factor(step: int, total_steps: int, settings: LmSettings) -> float:
    """Warm-up, plateau, linear decay to nothing."""
    decay_steps = max(1, round(total_steps * settings.decay))
    rise = (step + 1) / max(1, settings.warmup_steps)
    fall = (total_steps - step) / decay_steps
    return float(min(1.0, rise, fall))


def make_optimizers(model: Any, settings: LmSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    rate, weight_decay = settings.learning_rate, settings.weight_decay
    if not settings.use_muon:
        return [torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=weight_decay)]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=weight_decay, ns_steps=3, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    return [muon, adam]


def _batches_from(arrays: TokenArrays, settings: LmSettings, start: int) -> Iterator[np.ndarray]:
    step = 0
    for epoch in range(settings.epochs):
        for members in epoch_batches(arrays.lengths, settings.batch_tokens, settings.seed, epoch):
            if step >= start:
                yield members
            step += 1


def run_dir(data_dir: Path, size: str) -> Path:
    return data_dir / f"lm-{size}"


def load_trained(data_dir: Path, size: str, shape: Shape | None = None) -> tuple[Any, dict[str, Any]]:
    """The latest checkpoint as a model in evaluation mode, and the state it was saved with."""
    path = run_dir(data_dir, size) / "checkpoint.pt"
    if not path.exists():
        raise TrainingError(f"no checkpoint of {size} in {path.parent}; run: gradus train lm --size {size}")
    state = torch.load(path, weights_only=True)
    model = new_model(shape or SHAPES[size], load_tokenizer(data_dir), 0)
    model.load_state_dict(state["model"])
    return model.eval(), state


def train(
    data_dir: Path,
    size: str,
    settings: LmSettings,
    *,
    shape: Shape | None = None,
    stop_after_steps: int | None = None,
    checkpoint_seconds: float = 120.0,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Train one model over the data; a later call goes on from the last checkpoint."""
    tokenizer, arrays = load_tokenizer(data_dir), load_tokens(data_dir)
    folder = run_dir(data_dir, size)
    checkpoint_path = folder / "checkpoint.pt"
    model = new_model(shape or SHAPES[size], tokenizer, settings.seed)
    optimizers = make_optimizers(model, settings)
    available = sum(
        len(epoch_batches(arrays.lengths, settings.batch_tokens, settings.seed, e)) for e in range(settings.epochs)
    )
    total_steps = min(available, settings.steps or available)
    step, tokens = 0, 0
    if checkpoint_path.exists():
        state = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, tokens = int(state["step"]), int(state["tokens"])

    def checkpoint() -> None:
        state = {
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "step": step,
            "tokens": tokens,
            "total_steps": total_steps,
            "settings": asdict(settings),
        }
        files.replace_file(checkpoint_path, lambda target: torch.save(state, target))

    model.train()
    last_saved = time.monotonic()
    progress = tqdm(total=total_steps, initial=step, unit="step", disable=not show_progress, desc=f"lm {size}")
    for members in _batches_from(arrays, settings, step):
        if step >= total_steps or (stop_after_steps is not None and step >= stop_after_steps):
            break
        started = time.monotonic()
        inputs, targets = collate(arrays, members, tokenizer.pad_token_id)
        factor = rate_factor(step, total_steps, settings)
        with torch.autocast("cpu", torch.bfloat16):
            loss = batch_loss(model, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        tokens += int(arrays.lengths[members].sum())
        row = {
            "step": step,
            "tokens": tokens,
            "loss": round(loss.item(), 4),
            "rate_factor": round(factor, 4),
            "padded_tokens": inputs.numel(),
            "seconds": round(time.monotonic() - started, 3),
        }
        files.append_json_line(folder / "metrics.jsonl", row)
        progress.set_postfix(loss=row["loss"])
        progress.update()
        if time.monotonic() - last_saved > checkpoint_seconds:
            checkpoint()
            last_saved = time.monotonic()
    progress.close()
    checkpoint()
    return {"step": step, "total_steps": total_steps, "tokens": tokens, "parameters": parameter_count(model)}
