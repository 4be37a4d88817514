"""`gradus train prm`: the process reward model on soft labels (Snell et al. 2024, section 5.1 and appendix
D).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from workers.training import files
from workers.training.abacus.steps import STEP_SEPARATOR, parse_answer
from workers.training.abacus.tokenizer import prompt_ids


@dataclass(frozen=True)
class PrmSettings:
    """Batch, betas and dropout are the paper's; its learning rate of 3e-5 is for a model ten thousand times
    larger.
    """

    seed: int = 1
    epochs: int = 4
    batch_solutions: int = 128
    learning_rate: float = 5e-4
    validation_percent: int = 10
    patience_epochs: int = 1


@dataclass(frozen=True)
class LabelledSolution:
    """Tokens of a chat, where its steps end, and the label of each step.

    `weight` is how often it was sampled; the solution itself begins at token `start`.
    """

    ids: list[int]
    step_ends: list[int]
    labels: list[float]
    weight: float
    start: int


def encode_solution(tokenizer: Any, question: str, text: str) -> tuple[list[int], list[int], int]:
    """Tokens up to the end of `text`, the positions of step ends, and where the solution begins.

    A step ends at its newline; a solution that states its answer ends with the end token. Whatever else is
    left after the last newline is scored where it stands.
    """
    head = prompt_ids(tokenizer, question)
    ids = prompt_ids(tokenizer, question, text)
    newline = tokenizer(STEP_SEPARATOR, add_special_tokens=False)["input_ids"][0]
    if parse_answer(text) is not None:
        ids = [*ids, tokenizer.eos_token_id]
    ends = [place for place in range(len(head), len(ids)) if ids[place] == newline]
    if not ends or ends[-1] != len(ids) - 1:
        ends.append(len(ids) - 1)
    return ids, ends, len(head)


def labelled_solutions(tokenizer: Any, rows: Sequence[dict[str, Any]]) -> list[LabelledSolution]:
    made = []
    for row in rows:
        for one in row["samples"]:
            ids, ends, start = encode_solution(tokenizer, row["question"], one["text"])
            made.append(LabelledSolution(ids, ends, list(one["labels"]), float(one["count"]), start))
    return made


def padded(solutions: Sequence[LabelledSolution]) -> torch.Tensor:
    longest = max(len(one.ids) for one in solutions)
    return torch.tensor([[*one.ids, *[0] * (longest - len(one.ids))] for one in solutions])


def _loss(model: Any, solutions: Sequence[LabelledSolution]) -> tuple[torch.Tensor, float]:
    """Binary cross-entropy summed over steps, weighted by how often each was sampled; and the weight."""
    logits = model(input_ids=padded(solutions), use_cache=False).logits[..., 0].float()
    rows = [row for row, one in enumerate(solutions) for _ in one.step_ends]
    places = [place for one in solutions for place in one.step_ends]
    labels = torch.tensor([label for one in solutions for label in one.labels])
    weights = torch.tensor([one.weight for one in solutions for _ in one.step_ends])
    loss = functional.binary_cross_entropy_with_logits(logits[rows, places], labels, weights, reduction="sum")
    return loss, float(weights.sum())


def batches_of_like_length(
    solutions: Sequence[LabelledSolution], size: int, rng: np.random.Generator | None
) -> list[list[int]]:
    """Like lengths together; in random order of batches when training."""
    lengths = np.array([len(one.ids) for one in solutions], np.float64)
    # The noise keeps the same solutions from sharing a batch in every epoch.
    order = np.argsort(lengths + (rng.normal(0, 4, len(lengths)) if rng else 0), kind="stable")
    batches = [order[begin : begin + size].tolist() for begin in range(0, len(order), size)]
    return [batches[i] for i in rng.permutation(len(batches))] if rng else batches


@torch.inference_mode()
def mean_loss(model: Any, solutions: Sequence[LabelledSolution], size: int) -> float:
    model.eval()
    total, weight = 0.0, 0.0
    for members in batches_of_like_length(solutions, size, None):
        loss, steps = _loss(model, [solutions[i] for i in members])
        total, weight = total + float(loss), weight + steps
    return total / weight


def train(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    settings: PrmSettings,
    *,
    stop_after_epochs: int | None = None,
) -> dict[str, Any]:
    """Train until the validation loss of a held-out tenth of the questions stops falling; keep the best.

    A checkpoint is written after every epoch; a later call goes on from it.
    """
    bound = settings.validation_percent
    held = [row for row in rows if _percent(row["question"]) < bound]
    kept = [row for row in rows if _percent(row["question"]) >= bound]
    training, validation = labelled_solutions(tokenizer, kept), labelled_solutions(tokenizer, held)
    torch.manual_seed(settings.seed)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    checkpoint_path = folder / "checkpoint.pt"
    epoch, best_loss, best_epoch = 0, float("inf"), 0
    best_state = copy.deepcopy(model.state_dict())
    if checkpoint_path.exists():
        state = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        epoch, best_loss, best_epoch = state["epoch"], state["best_loss"], state["best_epoch"]
        best_state = state["best"]
    while epoch < settings.epochs and epoch - best_epoch <= settings.patience_epochs:
        if stop_after_epochs is not None and epoch >= stop_after_epochs:
            break
        rng = np.random.default_rng([settings.seed, epoch])
        batches = batches_of_like_length(training, settings.batch_solutions, rng)
        model.train()
        total, weight = 0.0, 0.0
        for number, members in enumerate(tqdm(batches, unit="step", desc=f"prm epoch {epoch + 1}")):
            # Cosine over the epochs that are planned; early stopping may end it sooner.
            done = (epoch + number / len(batches)) / settings.epochs
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * 0.5 * (1 + float(np.cos(np.pi * done)))
            loss, steps = _loss(model, [training[i] for i in members])
            (loss / steps).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total, weight = total + loss.item(), weight + steps
        epoch += 1
        validation_loss = mean_loss(model, validation, settings.batch_solutions)
        if validation_loss < best_loss:
            best_loss, best_epoch = validation_loss, epoch
            best_state = copy.deepcopy(model.state_dict())
        row = {"epoch": epoch, "loss": total / weight, "validation_loss": validation_loss}
        files.append_json_line(folder / "metrics.jsonl", row)
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": epoch,
            "best_loss": best_loss,
            "best_epoch": best_epoch,
            "best": best_state,
        }
        files.replace_file(checkpoint_path, partial(torch.save, state))
    model.load_state_dict(best_state)
    model.eval()
    return {
        "epochs": epoch,
        "best_epoch": best_epoch,
        "validation_loss": best_loss,
        "questions": len(kept),
        "solutions": len(training),
        "steps": sum(len(one.labels) for one in training),
    }


def _percent(question: str) -> int:
    return int.from_bytes(hashlib.sha256(question.encode()).digest()[4:8], "big") % 100


@torch.inference_mode()
def score_solutions(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], size: int = 256
) -> list[list[float]]:
    """Scores of the steps of (question, solution) pairs."""
    model.eval()
    distinct = sorted(set(pairs))
    encoded = [encode_solution(tokenizer, question, text) for question, text in distinct]
    solutions = [LabelledSolution(ids, ends, [], 1.0, start) for ids, ends, start in encoded]
    scores: dict[tuple[str, str], list[float]] = {}
    for members in batches_of_like_length(solutions, size, None):
        chosen = [solutions[i] for i in members]
        probabilities = model(input_ids=padded(chosen), use_cache=False).logits[..., 0].float().sigmoid()
        for row, index in enumerate(members):
            scores[distinct[index]] = probabilities[row, solutions[index].step_ends].tolist()
    return [scores[pair] for pair in pairs]
