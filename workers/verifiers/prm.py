"""Process reward models in process: the weights of each family, and what its numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DynamicCache,
    Qwen2Model,
    Qwen2PreTrainedModel,
)

from router.config.verifiers import Family
from workers.verifiers.aggregate import Aggregation
from workers.verifiers.families import aggregation_of, layout_of, signs_of
from workers.verifiers.format import read_format
from workers.verifiers.local import check_context, device_of, load, padded
from workers.verifiers.model import ModelVerifier
from workers.verifiers.reading import Reader, Reading

_WORTH_A_PASS_TOKENS = 128
"""Tokens that sharing must save: a pass of its own, however short, takes about as long as reading so many."""

Judge = Callable[[torch.Tensor], torch.Tensor]
"""From what a model knows at n places (n, width) to n probabilities."""


class QwenProcessModel(Qwen2PreTrainedModel):
    """Qwen2.5-Math-PRM: two classes from two layers over Qwen2, of which the second means right."""

    _keys_to_ignore_on_load_unexpected = (r"lm_head.*",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.model = Qwen2Model(config)
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        self.post_init()


class _ValueHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.summary = nn.Linear(width, 1)


class SkyworkProcessModel(Qwen2PreTrainedModel):
    """Skywork-o1-Open-PRM: one value over Qwen2, whose sigmoid is the score."""

    _keys_to_ignore_on_load_unexpected = (r"lm_head.*",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.v_head = _ValueHead(config.hidden_size)
        self.post_init()


class PlaceModel:
    """Scores readings at their places. Only there are the model's outputs turned into scores.

    What all of them begin with, up to the first place, is read once: most of a turn that is judged is often
    its conversation.
    """

    def __init__(self, body: Any, judge: Judge) -> None:
        self.body = body
        self._judge = judge

    @torch.inference_mode()
    def __call__(self, readings: Sequence[Reading]) -> list[tuple[float, ...]]:
        beginning = _common_beginning(readings)
        begun = len(beginning)
        tokens, mask = padded([reading.tokens[begun:] for reading in readings], 0, self.body.device)
        if begun:
            known = self._read(beginning)
            known.batch_repeat_interleave(len(readings))
            mask = torch.cat([mask.new_ones(len(readings), begun), mask], dim=1)
            found = self.body(input_ids=tokens, attention_mask=mask, past_key_values=known, use_cache=True)[0]
        else:
            found = self.body(input_ids=tokens, attention_mask=mask, use_cache=False)[0]
        rows = [row for row, reading in enumerate(readings) for _ in reading.places]
        places = [place - begun for reading in readings for place in reading.places]
        scores = iter(self._judge(found[rows, places].float()).tolist())
        return [tuple(next(scores) for _ in reading.places) for reading in readings]

    def _read(self, tokens: Sequence[int]) -> DynamicCache:
        """What the model remembers of tokens that many sequences begin with."""
        cache = DynamicCache(config=self.body.config)
        inputs = torch.tensor([tokens], device=self.body.device)
        self.body(input_ids=inputs, past_key_values=cache, use_cache=True)
        return cache


def _common_beginning(readings: Sequence[Reading]) -> tuple[int, ...]:
    """The tokens before any place that all readings share; none where they are too few to be worth a pass."""
    first_place = min(reading.places[0] for reading in readings)
    # What the first and the last in order share, all between them share too.
    begins = [reading.tokens[:first_place] for reading in readings]
    pairs = zip(min(begins), max(begins), strict=True)
    shared = tuple(token for token, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return shared if len(shared) * (len(readings) - 1) >= _WORTH_A_PASS_TOKENS else ()


def load_prm(
    name: str,
    folder: Path,
    family: Family,
    *,
    context_tokens: int,
    aggregation: Aggregation | None = None,
    device: str = "auto",
) -> ModelVerifier:
    """A process reward model of a Hugging Face folder. Raises :class:`workers.errors.ModelNotLoadable`."""
    how = aggregation_of(family, aggregation, folder)
    tokenizer = load(AutoTokenizer, folder, name)
    layout = layout_of(family, tokenizer, folder, name)
    model = _model(family, folder, tokenizer, name, device)
    check_context(name, model.body, context_tokens)
    reader = Reader(name, model)
    return ModelVerifier(
        name, layout, reader.read, context_tokens=context_tokens, aggregation=how, close=reader.close
    )


def _model(family: Family, folder: Path, tokenizer: Any, name: str, device: str) -> PlaceModel:
    place = device_of(device)
    match family:
        case "gradus":
            described = read_format(folder)
            model = load(AutoModelForTokenClassification, folder, name, place)
            if described.activation == "softmax":
                return PlaceModel(model, lambda logits: logits.double().softmax(-1)[:, described.label_index])
            return PlaceModel(model, lambda logits: logits[:, described.label_index].double().sigmoid())
        case "qwen":
            model = load(QwenProcessModel, folder, name, place)
            head = model.score.float()
            return PlaceModel(model.model, lambda states: head(states).double().softmax(-1)[:, 1])
        case "skywork":
            model = load(SkyworkProcessModel, folder, name, place)
            value = model.v_head.summary.float()
            return PlaceModel(model.model, lambda states: value(states)[:, 0].double().sigmoid())
        case _:
            signs = signs_of(family, tokenizer, name)
            model = load(AutoModelForCausalLM, folder, name, place)
            # Of all tokens two are weighed: only their rows of the output layer are computed.
            weights = model.get_output_embeddings().weight[list(signs)].float()
            return PlaceModel(
                model.base_model, lambda states: (states @ weights.T).double().softmax(-1)[:, 0]
            )
