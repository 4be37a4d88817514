"""One training, from examples to the chosen weights; a killed one goes on from its last whole checkpoint."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import transformers

from workers.training import exporting, files
from workers.training.datasets import data_hash
from workers.training.errors import TrainingError
from workers.training.learning.examples import Collator, Example, pad_token
from workers.training.learning.models import Base, has_bfloat16, trainable
from workers.training.learning.records import METRICS, PLOT, validation_losses
from workers.training.learning.rules import Rule
from workers.training.learning.trainer import (
    Losses,
    Overseer,
    Teacher,
    chosen_step,
    verdict,
    whole_checkpoints,
)
from workers.training.recipes.learning import Learning

CHECKPOINTS = "checkpoints"
LEDGER = "training.json"
"""In an output folder: what it is made of, and when it is done the numbers that came out."""

Numbers = dict[str, Any]


class _AsksQuestion(Protocol):
    @property
    def question(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one training needs beside its recipe. All lists are whole: each device takes its own part."""

    base: Base
    losses: Losses
    rule: Rule
    training: Sequence[Example]
    validation: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Learned:
    """The model of the chosen checkpoint in single precision, on the CPU."""

    model: Any
    numbers: Numbers


def begin(recipe: Learning, data: Path, output: Path) -> Numbers | None:
    """The numbers of a training that is done already; otherwise ``None``, and the folder is this one's.

    Raises :class:`TrainingError` where the folder was begun with another recipe or other data, or holds
    anything else: a model may lie there.
    """
    made_of: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "data_sha256": data_hash(data),
        "weights": files.weights_digest(recipe.base),
    }
    ledger = output / LEDGER
    if not ledger.exists():
        if _is_first_process():
            if output.is_dir() and any(output.iterdir()):
                raise TrainingError(
                    f"{output}: is not empty, and no training began it; choose another --output"
                )
            files.write_json(ledger, {**made_of, "numbers": None})
        return None
    found = files.read_json(ledger)
    known = found.get("weights", made_of["weights"])
    theirs = {**found["recipe"], "data": found["data_sha256"], "weights of the base": known}
    ours = {**made_of["recipe"], "data": made_of["data_sha256"], "weights of the base": made_of["weights"]}
    if unlike := [key for key in ours if theirs.get(key) != ours[key]]:
        raise TrainingError(
            f"{output}: was begun with other {', '.join(unlike)} (see its {LEDGER}); choose another --output"
        )
    numbers: Numbers | None = found["numbers"]
    return numbers


def command(name: str, data: Path, output: Path) -> str:
    """What makes the same model again from its folder."""
    return f"gradus train {name} {exporting.RECIPE} --data {data} --output {output}"


def counts(recipe: Learning, model: Any, rows: Sequence[_AsksQuestion], held: Collection[str]) -> Numbers:
    """What was trained, on how many questions."""
    return {
        "base": recipe.base,
        "parameters": model.num_parameters(),
        "questions": len({row.question for row in rows}),
        "validation questions": len(held),
    }


def check_split(training: Sequence[Example], validation: Sequence[Example]) -> None:
    """Raises :class:`TrainingError` where there is nothing to learn from, or to validate on."""
    if not training or not validation:
        raise TrainingError(
            f"there are {len(training)} training and {len(validation)} validation examples that fit "
            "context_tokens; give more questions, or a longer context"
        )


def learn(lesson: Lesson, output: Path) -> Learned | None:
    """Train, or go on training; ``None`` on all processes but the first.

    Raises :class:`TrainingError` where the loss is no number, or the batch cannot be dealt out.
    """
    recipe = lesson.base.recipe
    transformers.set_seed(recipe.seed)
    model = trainable(lesson.base.model(), recipe, lesson.base.kind)
    config = model.config
    pad = pad_token(config.pad_token_id, config.vocab_size, (*lesson.training, *lesson.validation))
    if lesson.base.kind.pads:
        config.pad_token_id = pad
    teacher = Teacher(
        lesson.losses,
        recipe.batch,
        model=model,
        args=_arguments(recipe, len(lesson.training), output / CHECKPOINTS),
        data_collator=Collator(pad),
        train_dataset=lesson.training,
        eval_dataset=lesson.validation,
        callbacks=[Overseer(output, lesson.rule, recipe.log_every_steps)],
    )
    whole = whole_checkpoints(output / CHECKPOINTS)
    state = (
        transformers.TrainerState.load_from_json(str(whole[-1][1] / "trainer_state.json")) if whole else None
    )
    if state is None or not (
        verdict(state, lesson.rule).is_final or state.global_step >= teacher.args.max_steps
    ):
        teacher.train(resume_from_checkpoint=str(whole[-1][1]) if whole else None)
        state = teacher.state
    if not _is_first_process():
        return None
    step = chosen_step(state, lesson.rule)
    loss = dict(validation_losses(state.log_history))[step]
    if not math.isfinite(loss):
        raise TrainingError(f"the validation loss is {loss}; lower learning_rate: {recipe.learning_rate}")
    numbers = {
        "training examples": len(lesson.training),
        "validation examples": len(lesson.validation),
        "updates": step,
        "epochs": next(round(row["epoch"], 2) for row in state.log_history if row["step"] == step),
        "validation loss": loss,
    }
    trained = lesson.base.trained(output / CHECKPOINTS / f"checkpoint-{step}")
    if lesson.base.kind.pads:
        trained.config.pad_token_id = pad
    return Learned(trained, numbers)


def finish(output: Path, write: Callable[[Path], Numbers]) -> Numbers:
    """Fill the output folder by ``write``, note the numbers it returns, and clear the checkpoints away."""
    found: list[Numbers] = []

    def fill(target: Path) -> None:
        found.append(write(target))
        exporting.readable_by_all(target)

    files.replace_folder(output, fill)
    files.write_json(output / LEDGER, files.read_json(output / LEDGER) | {"numbers": found[0]})
    for name in (LEDGER, METRICS, PLOT):
        (output / name).chmod(0o644)
    shutil.rmtree(output / CHECKPOINTS, ignore_errors=True)
    return found[0]


def _arguments(recipe: Learning, examples: int, checkpoints: Path) -> transformers.TrainingArguments:
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    together = recipe.micro_batch or max(1, recipe.batch // devices)
    if recipe.batch % (together * devices):
        raise TrainingError(
            f"batch: {recipe.batch} cannot be dealt out to {devices} devices, {together} at once each"
        )
    updates = math.ceil(examples / recipe.batch)
    between = max(1, round(updates / recipe.evaluations_per_epoch))
    arguments = transformers.TrainingArguments(
        output_dir=str(checkpoints),
        seed=recipe.seed,
        max_steps=between * recipe.evaluations_per_epoch * recipe.epochs,
        per_device_train_batch_size=together,
        per_device_eval_batch_size=together,
        gradient_accumulation_steps=recipe.batch // (together * devices),
        learning_rate=recipe.learning_rate,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        weight_decay=recipe.weight_decay,
        warmup_steps=recipe.warmup,  # a share of all updates, as it is below 1
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(recipe.schedule, recipe.schedule),
        eval_strategy="steps",
        eval_steps=between,
        save_strategy="steps",
        save_steps=between,
        logging_strategy="no",  # the overseer says when
        report_to="none",
        # Said outright: else several processes on CPUs would not know of each other.
        use_cpu=not torch.accelerator.is_available(),
        bf16=has_bfloat16(),
        dataloader_pin_memory=has_bfloat16(),
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
    )
    # A process has one device. Without a launcher the Trainer would use threads for all of them.
    arguments.device  # noqa: B018  # counts the devices, once
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"
