"""The shapes of the Abacus models, and how they are written as Hugging Face folders."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from workers.training import files
from workers.training.abacus.tokenizer import CONTEXT_TOKENS

SAMPLING_TEMPERATURE = 0.8
MAX_NEW_TOKENS = 160


@dataclass(frozen=True)
class Shape:
    """A Llama-style decoder with tied embeddings and rotary positions."""

    layers: int
    width: int
    heads: int
    feed_forward: int


SHAPES = {"small": Shape(4, 128, 4, 320), "large": Shape(7, 384, 12, 1024)}


def new_model(shape: Shape, tokenizer: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def parameter_count(model: Any) -> int:
    """All parameters, the (tied) embedding once."""
    return sum(parameter.numel() for parameter in model.parameters())


def export(model: Any, tokenizer: Any, folder: Path, card: str) -> None:
    """A folder that `AutoModelForCausalLM` and `AutoTokenizer` load, the weights in float16."""
    half = copy.deepcopy(model).to(torch.float16)
    half.config.dtype = torch.float16
    half.generation_config = GenerationConfig(
        do_sample=True,
        temperature=SAMPLING_TEMPERATURE,
        max_new_tokens=MAX_NEW_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )

    def write(target: Path) -> None:
        half.save_pretrained(target)
        tokenizer.save_pretrained(target)
        (target / "README.md").write_text(card)
        # safetensors makes its files private; these are published and packaged.
        for file in target.iterdir():
            file.chmod(0o644)

    files.replace_folder(folder, write)
