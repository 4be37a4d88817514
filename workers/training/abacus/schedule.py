"""The settings of a language-model run: its learning rate over time, and its optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

# Three rounds instead of five: on a CPU they are a third of a step, and lose little here.
NEWTON_SCHULZ_ROUNDS = 3


@dataclass(frozen=True)
class LmSettings:
    """What fixes a run; the learning rate is constant, then falls linearly over the last `decay` of the
    steps.
    """

    seed: int = 1
    epochs: int = 1
    batch_tokens: int = 2048
    learning_rate: float = 8e-3
    warmup_steps: int = 40
    decay: float = 0.3
    weight_decay: float = 0.05
    steps: int | None = None


def settings_for(size: str, seed: int, steps: int | None = None) -> LmSettings:
    """What differs between the sizes: the large model is grown from the small one and only goes on."""
    if size == "small":
        return LmSettings(seed=seed, steps=steps or 2600, learning_rate=8e-3, decay=0.3)
    return LmSettings(seed=seed, steps=steps or 1200, learning_rate=1.5e-3, decay=0.5)


def rate_factor(step: int, total_steps: int, settings: LmSettings) -> float:
    """Warm-up, plateau, linear decay to nothing."""
    decay_steps = max(1, round(total_steps * settings.decay))
    rise = (step + 1) / max(1, settings.warmup_steps)
    fall = (total_steps - step) / decay_steps
    return float(min(1.0, rise, fall))


def make_optimizers(named: dict[str, Any], settings: LmSettings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    rate, weight_decay = settings.learning_rate, settings.weight_decay
    matrices = [p for name, p in named.items() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in named.items() if p.ndim != 2 or "embed" in name]
    made: list[torch.optim.Optimizer] = []
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices,
                lr=rate,
                weight_decay=weight_decay,
                ns_steps=NEWTON_SCHULZ_ROUNDS,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if others:
        made.append(torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0))
    return made


def optimizer_states(named: dict[str, Any], optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    """What the optimizers know of each parameter, by its name: whoever owns it next finds it again."""
    return {name: o.state[p] for name, p in named.items() for o in optimizers if p in o.state}


def restore_optimizers(
    named: dict[str, Any], optimizers: list[torch.optim.Optimizer], states: dict[str, Any]
) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                name = next(n for n, p in named.items() if p is parameter)
                if name in states:
                    optimizer.state[parameter] = states[name]
