"""transformers' Trainer, taught our losses, our order of examples, and which checkpoints are whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import Trainer, TrainerCallback, TrainerState

from workers.training.learning.examples import LikeLengths
from workers.training.learning.records import validation_losses, write_records
from workers.training.learning.rules import Rule, Verdict, judge

Batch = Mapping[str, torch.Tensor]
Losses = Callable[[Any, Batch], torch.Tensor]
"""The loss (n) of each label of a batch, unweighted; the first argument is the model."""

_WHOLE = "whole"
"""Written into a checkpoint when everything else is: one without it was cut off by a kill."""


def step_losses(model: Any, batch: Batch) -> torch.Tensor:
    """Binary cross-entropy of a token classifier's one label, at its places."""
    logits = _logits(model, batch)[batch["rows"], batch["places"], 0]
    return functional.binary_cross_entropy_with_logits(logits.float(), batch["labels"], reduction="none")


def outcome_losses(model: Any, batch: Batch) -> torch.Tensor:
    """Binary cross-entropy of a sequence classifier's one logit."""
    logits = _logits(model, batch)[batch["rows"], 0]
    return functional.binary_cross_entropy_with_logits(logits.float(), batch["labels"], reduction="none")


def text_losses(model: Any, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the tokens that a language model is to write after its places.

    Logits are only made from the first place of the batch on: of a large vocabulary they need much memory.
    Without a mask: what fills up on the right is seen by no place, and a mask costs a quarter of the speed.
    """
    longest = batch["input_ids"].shape[1]
    kept = longest - int(batch["places"].min())
    logits = model(input_ids=batch["input_ids"], use_cache=False, logits_to_keep=kept).logits
    at = batch["places"] - (longest - logits.shape[1])
    return functional.cross_entropy(logits[batch["rows"], at].float(), batch["labels"], reduction="none")


def _logits(model: Any, batch: Batch) -> torch.Tensor:
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits


class Teacher(Trainer):
    """Weighs labels, reads examples of like length together, and marks checkpoints that are whole."""

    loss_is_scaled_for_ga = True  # it is divided by the weight of a whole update

    def __init__(self, losses: Losses, batch: int, **options: Any) -> None:
        super().__init__(compute_metrics=_mean_loss, **options)
        self._losses = losses
        self._batch = batch

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,  # noqa: ARG002
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The weighted mean over all labels of an update, of which this batch is a part."""
        total = (self._losses(model, inputs) * inputs["weights"]).sum()
        # Gradients are averaged over the devices afterwards; the weight is that of all devices.
        return total * self.accelerator.num_processes / num_items_in_batch

    def prediction_step(
        self,
        model: Any,
        inputs: Any,
        prediction_loss_only: bool,  # noqa: ARG002
        ignore_keys: Any = None,  # noqa: ARG002
    ) -> tuple[None, torch.Tensor, torch.Tensor]:
        """The summed loss of each example of the batch, and its weight."""
        batch = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            losses = self._losses(model, batch) * batch["weights"]
        none = torch.zeros(len(batch["input_ids"]), device=losses.device)
        return (
            None,
            none.index_add(0, batch["rows"], losses),
            none.index_add(0, batch["rows"], batch["weights"]),
        )

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor:
        weight = torch.stack([batch["weights"].sum() for batch in batch_samples]).sum().to(device)
        return self.accelerator.gather(weight).sum()

    def _get_train_sampler(self, train_dataset: Any = None) -> LikeLengths:
        examples = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(one.tokens) for one in examples]
        return LikeLengths(lengths, self._batch, self.args.seed)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            (Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}" / _WHOLE).touch()


def _mean_loss(prediction: Any) -> dict[str, float]:
    return {"loss": float(np.sum(prediction.predictions) / np.sum(prediction.label_ids))}


class Overseer(TrainerCallback):
    """Writes the records, ends the training when the rule says so, and clears old checkpoints away."""

    def __init__(self, folder: Path, rule: Rule, log_every_steps: int) -> None:
        self._folder = folder
        self._rule = rule
        self._log_every_steps = log_every_steps

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        # At every evaluation as well: what has not been logged by then, a checkpoint forgets.
        if state.global_step % self._log_every_steps == 0 or control.should_evaluate:
            control.should_log = True

    def on_evaluate(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            write_records(self._folder, state.log_history)
        if verdict(state, self._rule).is_final:
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            kept = {state.global_step, chosen_step(state, self._rule)}
            for step, checkpoint in whole_checkpoints(Path(args.output_dir)):
                if step not in kept:
                    shutil.rmtree(checkpoint, ignore_errors=True)


def verdict(state: TrainerState, rule: Rule) -> Verdict:
    """What the rule says of a run so far; it has been evaluated at least once."""
    return judge([loss for _, loss in validation_losses(state.log_history)], rule)


def chosen_step(state: TrainerState, rule: Rule) -> int:
    """The update whose checkpoint is the model, as far as is known."""
    return validation_losses(state.log_history)[verdict(state, rule).evaluation][0]


def whole_checkpoints(folder: Path) -> Sequence[tuple[int, Path]]:
    """(update, folder) of every checkpoint that was written to its end, in order."""
    marks = folder.glob(f"checkpoint-*/{_WHOLE}")
    return sorted((int(mark.parent.name.removeprefix("checkpoint-")), mark.parent) for mark in marks)
