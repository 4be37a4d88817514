"""Before the soft labels: teach the reward model how likely the language model found a solution so far.

A wrong digit is mostly one that the model itself gave little probability. Its layers know that probability
only at the position before the digit, too late for the same layers to use it at the digit. So the reward
model has layers on top, which can look one position back. A few thousand labelled solutions do not teach them
to; the probability of the solution so far is a target for every token, and costs one pass of the language
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from workers.training import files
from workers.training.abacus.prm import LabelledSolution, batches_of_like_length, padded


@torch.no_grad()
def probability_so_far(
    language_model: Any, solutions: Sequence[LabelledSolution]
) -> tuple[torch.Tensor, torch.Tensor]:
    """For each token of a solution the probability of the solution up to it; and which tokens those are."""
    inputs = padded(solutions)
    logits = language_model(input_ids=inputs, use_cache=False).logits[:, :-1].float()
    log_probabilities = logits.log_softmax(-1).gather(-1, inputs[:, 1:, None])[..., 0]
    targets = torch.zeros(inputs.shape)
    written = torch.zeros(inputs.shape, dtype=torch.bool)
    for row, one in enumerate(solutions):
        own = log_probabilities[row, one.start - 1 : len(one.ids) - 1]
        targets[row, one.start : len(one.ids)] = own.cumsum(0)
        written[row, one.start : len(one.ids)] = True
    return targets.exp(), written


def learn(
    model: Any,
    language_model: Any,
    solutions: Sequence[LabelledSolution],
    folder: Path,
    *,
    seed: int,
    epochs: int = 3,
    learning_rate: float = 2e-3,
    batch_solutions: int = 64,
) -> None:
    """Train the free parameters of `model`; a checkpoint after every epoch."""
    path = folder / "surprise.pt"
    batches = batches_of_like_length(solutions, batch_solutions, None)
    targets = [probability_so_far(language_model, [solutions[i] for i in members]) for members in batches]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    epoch = 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        epoch = int(state["epoch"])
    while epoch < epochs:
        model.train()
        order = np.random.default_rng([seed, epoch]).permutation(len(batches))
        total = 0.0
        for number, index in enumerate(tqdm(order.tolist(), unit="step", desc=f"surprise epoch {epoch + 1}")):
            done = (epoch * len(batches) + number) / (epochs * len(batches))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, 20 * done + 0.05) * (1 - done)
            inputs = padded([solutions[i] for i in batches[index]])
            wanted, written = targets[index]
            logits = model(input_ids=inputs, use_cache=False).logits[..., 0].float()
            loss = functional.binary_cross_entropy_with_logits(logits[written], wanted[written])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += loss.item()
        epoch += 1
        files.append_json_line(
            folder / "metrics.jsonl", {"surprise_epoch": epoch, "loss": total / len(batches)}
        )
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": epoch,
        }
        files.replace_file(path, lambda target, state=state: torch.save(state, target))  # type: ignore[misc]
