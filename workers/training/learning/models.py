"""The model that is trained: from its base to what may change, and from a checkpoint to weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

from workers.engines.loading import resolve
from workers.errors import ModelNotLoadable
from workers.training.errors import MissingExtraError, TrainingError
from workers.training.recipes.learning import Learning, Lora

_TURN = "\ue000"
"""Stands for the assistant's turn when the chat template is asked what comes after it."""
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, slots=True)
class Kind:
    """What is made of a base: the class that loads it, peft's name for that, and fields of its config.

    ``is_whole`` says that the base has all weights: no head is to be added. ``pads`` says that the model
    must know the token that fills up.
    """

    auto: str
    peft_task: str
    is_whole: bool = False
    pads: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Base:
    """The folder that a recipe's ``base`` names, read as ``kind``."""

    folder: Path
    kind: Kind
    recipe: Learning

    def config(self) -> Any:
        return transformers.AutoConfig.from_pretrained(self.folder, **_LOCAL)

    def tokenizer(self) -> Any:
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder, **_LOCAL)
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"base: {self.recipe.base}: its tokenizer cannot be loaded: {error}"
            ) from error
        # What is too long is left out by us; the warning speaks of errors that cannot happen.
        tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
        return tokenizer

    def model(self) -> Any:
        """Its weights; those of a head that the folder lacks are 0: before training it knows nothing."""
        auto = getattr(transformers, self.kind.auto)
        config = self.config()
        for name, value in self.kind.config.items():
            setattr(config, name, value)
        try:
            model, info = auto.from_pretrained(
                self.folder, config=config, dtype=self._loaded_dtype(), output_loading_info=True, **_LOCAL
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise TrainingError(f"base: {self.recipe.base}: it cannot be loaded: {error}") from error
        lacking = set(info["missing_keys"])
        body = f"{model.base_model_prefix}."
        if broken := [name for name in lacking if self.kind.is_whole or name.startswith(body)]:
            raise TrainingError(
                f"base: {self.recipe.base}: its folder lacks the weights {sorted(broken)[:3]}"
            )
        for name, parameter in model.named_parameters():
            if name in lacking:
                torch.nn.init.zeros_(parameter)
        return model

    def dtype(self) -> torch.dtype:
        """What the trained weights are written in."""
        named = self.recipe.dtype or self.config().dtype
        if named is None:
            return torch.float32
        return named if isinstance(named, torch.dtype) else getattr(torch, named)

    def end_of_turn(self, tokenizer: Any) -> int | None:
        """The token that ends an assistant's turn: of those that end one for the engine, the template's.

        ``None`` for a model that knows no end.
        """
        try:
            configured = transformers.GenerationConfig.from_pretrained(self.folder, **_LOCAL).eos_token_id
        except OSError:
            configured = self.config().eos_token_id
        many = configured if isinstance(configured, list) else [configured]
        ends = [token for token in (tokenizer.eos_token_id, *many) if token is not None]
        written = []
        if tokenizer.chat_template is not None:
            turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _TURN}]
            after = tokenizer.apply_chat_template(turns, tokenize=False).rpartition(_TURN)[2]
            written = tokenizer.encode(after, add_special_tokens=False)
        return next((token for token in (*written, *ends) if token in ends), None)

    def context_tokens(self) -> int:
        """The longest example. Raises :class:`TrainingError` where the model reads less than that."""
        longest = getattr(self.config(), "max_position_embeddings", None)
        if longest is not None and self.recipe.context_tokens > longest:
            raise TrainingError(
                f"context_tokens: {self.recipe.context_tokens}: {self.recipe.base} reads {longest} at most"
            )
        return self.recipe.context_tokens

    def trained(self, checkpoint: Path) -> Any:
        """The model of a checkpoint, what LoRA learned merged into its weights."""
        if self.recipe.lora is None:
            auto = getattr(transformers, self.kind.auto)
            return auto.from_pretrained(checkpoint, dtype=torch.float32, **_LOCAL).eval()
        peft = _peft()
        return peft.PeftModel.from_pretrained(self.model(), checkpoint).merge_and_unload().eval()

    def _loaded_dtype(self) -> torch.dtype:
        """Single precision where all weights are trained; frozen ones are held in half where that is fast."""
        half = self.recipe.lora is not None and has_bfloat16()
        return torch.bfloat16 if half else torch.float32


def open_base(recipe: Learning, kind: Kind) -> Base:
    """Raises :class:`TrainingError` where there is no such model."""
    try:
        return Base(resolve(recipe.base), kind, recipe)
    except ModelNotLoadable as error:
        raise TrainingError(f"base: {error}") from error


def trainable(model: Any, recipe: Learning, kind: Kind) -> Any:
    """The model with everything frozen that the recipe does not train; with LoRA, wrapped by peft."""
    if recipe.lora is not None:
        return _with_lora(model, recipe.lora, kind)
    if recipe.train_last_layers is not None:
        body = model.base_model
        layers = max((each for each in body.modules() if isinstance(each, torch.nn.ModuleList)), key=len)
        if recipe.train_last_layers > len(layers):
            raise TrainingError(
                f"train_last_layers: {recipe.train_last_layers}: {recipe.base} has {len(layers)}"
            )
        frozen = [model.get_input_embeddings(), *layers[: -recipe.train_last_layers]]
        for module in frozen:
            module.requires_grad_(False)
    return model


def has_bfloat16() -> bool:
    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())


def _with_lora(model: Any, lora: Lora, kind: Kind) -> Any:
    peft = _peft()
    settings = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if lora.targets == "all-linear" else list(lora.targets),
        # A new head is trained whole.
        exclude_modules=None if kind.is_whole else ["score", "classifier"],
        task_type=kind.peft_task,
    )
    try:
        return peft.get_peft_model(model, settings)
    except ValueError as error:
        raise TrainingError(f"lora: {error}") from error


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft") from error
    return peft
