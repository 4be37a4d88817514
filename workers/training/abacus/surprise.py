"""A start for a reward model: new layers that know how likely the language model found a solution so far.

A wrong digit is mostly one that the model itself gave little probability. Its layers know that probability
only at the position before the digit, too late for the same layers to use it at the digit. So the reward
model has layers on top, which can look one position back. A few thousand labelled solutions do not teach them
to; the probability of the solution so far is a target for every token, and costs one pass of the language
model. What comes out is a base for `gradus train prm`, with train_last_layers: 3.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForTokenClassification

from workers.training import files
from workers.training.abacus.tokenizer import prompt_ids
from workers.training.datasets import read_attempts

EXTRA_LAYERS = 3
_BATCH = 64


def make_base(language_model: Path, attempts: Path, output: Path, *, seed: int = 1, epochs: int = 3) -> None:
    """From a language model's folder and attempts at questions to the folder of the start."""
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    small = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32).eval()
    solutions = [encode(tokenizer, each.question, each.text) for each in read_attempts(attempts)]
    prm = new_prm(small, seed)
    learn(prm, small, solutions, seed=seed, epochs=epochs)

    def write(folder: Path) -> None:
        prm.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    files.replace_folder(output, write)


def new_prm(language_model: Any, seed: int) -> Any:
    """A one-label token classifier: a language model's layers, fixed, under new layers and a zero head."""
    torch.manual_seed(seed)
    config = copy.deepcopy(language_model.config)
    config.num_hidden_layers += EXTRA_LAYERS
    config.num_labels = 1
    config.architectures = None
    prm = LlamaForTokenClassification(config)
    prm.model.load_state_dict(language_model.model.state_dict(), strict=False)
    for module in (prm.model.embed_tokens, *prm.model.layers[:-EXTRA_LAYERS]):
        module.requires_grad_(False)
    torch.nn.init.zeros_(prm.score.weight)
    torch.nn.init.zeros_(prm.score.bias)
    return prm


def encode(tokenizer: Any, question: str, text: str) -> tuple[list[int], int]:
    """The tokens of a solution after its question, and where the solution begins."""
    ids = [*prompt_ids(tokenizer, question, text), tokenizer.eos_token_id]
    return ids, len(prompt_ids(tokenizer, question))


@torch.no_grad()
def probability_so_far(
    language_model: Any, solutions: Sequence[tuple[list[int], int]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(tokens, probability of the solution up to each token, which tokens are of a solution)."""
    longest = max(len(ids) for ids, _ in solutions)
    inputs = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids, _ in solutions])
    logits = language_model(input_ids=inputs, use_cache=False).logits[:, :-1].float()
    log_probabilities = logits.log_softmax(-1).gather(-1, inputs[:, 1:, None])[..., 0]
    targets = torch.zeros(inputs.shape)
    written = torch.zeros(inputs.shape, dtype=torch.bool)
    for row, (ids, start) in enumerate(solutions):
        targets[row, start : len(ids)] = log_probabilities[row, start - 1 : len(ids) - 1].cumsum(0)
        written[row, start : len(ids)] = True
    return inputs, targets.exp(), written


def learn(
    model: Any,
    language_model: Any,
    solutions: Sequence[tuple[list[int], int]],
    *,
    seed: int,
    epochs: int,
    learning_rate: float = 2e-3,
) -> list[float]:
    """Train the free parameters of ``model``; returns the mean loss of each epoch."""
    by_length = sorted(solutions, key=lambda one: len(one[0]))
    batches = [by_length[begin : begin + _BATCH] for begin in range(0, len(by_length), _BATCH)]
    ready = [probability_so_far(language_model, batch) for batch in batches]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    losses = []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(ready))
        total = 0.0
        for number, index in enumerate(tqdm(order.tolist(), unit="step", desc=f"surprise epoch {epoch + 1}")):
            done = (epoch * len(ready) + number) / (epochs * len(ready))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, 20 * done + 0.05) * (1 - done)
            inputs, wanted, written = ready[index]
            logits = model(input_ids=inputs, use_cache=False).logits[..., 0].float()
            loss = functional.binary_cross_entropy_with_logits(logits[written], wanted[written])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += loss.item()
        losses.append(total / len(ready))
    return losses
