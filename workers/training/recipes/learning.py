"""The sections of the recipes that train a model: `prm`, `orm` and `revision`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from router.config import REVISE, ThinkingMarks
from router.config.fields import Count, Name, Real, Section
from workers.steps import Steps, steps_of
from workers.training.recipes import Comparing

Share = Annotated[Real, Field(ge=0, le=1)]
Rate = Annotated[Real, Field(gt=0)]
Times = Annotated[int, Field(strict=True, ge=0)]


class Lora(Section):
    """Low-rank matrices beside the weights (Hu et al. 2021); they are merged into them at the end."""

    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.0
    targets: Literal["all-linear"] | tuple[Name, ...] = "all-linear"


class Learning(Section):
    """How any model is trained. ``base`` is named as a configuration's ``path`` names a model.

    ``batch`` examples make one update, on all devices together; at most ``micro_batch`` of them go through
    one device at once. ``train_last_layers`` leaves all layers below those as they are. ``dtype`` is what
    the weights are written in; those of the base where it is left out.
    """

    base: Name
    context_tokens: Annotated[int, Field(strict=True, ge=8)]
    seed: Times = 1
    epochs: Count = 4
    batch: Count = 128
    micro_batch: Count | None = None
    learning_rate: Rate
    betas: tuple[Share, Share] = (0.9, 0.95)
    weight_decay: Share = 0.01
    warmup: Share = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    lora: Lora | None = None
    train_last_layers: Count | None = None
    validation_share: Annotated[Real, Field(gt=0, lt=1)] = 0.1
    evaluations_per_epoch: Count = 1
    log_every_steps: Count = 10
    dtype: Literal["float16", "bfloat16", "float32"] | None = None

    @model_validator(mode="after")
    def _one_way_to_spare(self) -> Learning:
        if self.lora is not None and self.train_last_layers is not None:
            raise ValueError("lora and train_last_layers exclude each other; keep one")
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(f"batch: {self.batch} is no multiple of micro_batch: {self.micro_batch}")
        return self


class Judging(Learning):
    """What both kinds of verifiers have: the best checkpoint is kept, and how solutions are read."""

    patience_evaluations: Count = 2
    task: Comparing = "auto"
    step_separator: Name = "\n"
    thinking: ThinkingMarks | None = None

    @property
    def steps(self) -> Steps:
        return steps_of(self)


class PrmRecipe(Judging):
    """Binary cross-entropy on soft labels of steps (Snell et al. 2024, section 5.1 and appendix D).

    ``dropout`` acts in front of the head. ``flip_labels`` of the labels are turned around, which makes a
    worse verifier on purpose (appendix K).
    """

    dropout: Share = 0.05
    flip_labels: Annotated[Real, Field(ge=0, le=0.5)] = 0.0


class OrmRecipe(Judging):
    """Binary cross-entropy on right or wrong, of whole solutions.

    With ``reads_history`` the earlier attempts of a chain are in the conversation, each followed by
    ``revise_prompt``: what the verifier of revision chains needs.
    """

    reads_history: bool = False
    revise_prompt: Name = REVISE


class RevisionRecipe(Learning):
    """Supervised fine-tuning on right answers after wrong ones (Snell et al. 2024, Algorithm 4).

    Training goes on for ``evaluations_after_rise`` evaluations after the one that saw the validation loss
    rise, and that checkpoint is taken.
    """

    evaluations_after_rise: Times = 1
    revise_prompt: Name = REVISE
