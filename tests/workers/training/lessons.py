"""A tiny base that knows nothing, and data sets that it can learn in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.workers.engines import tiny
from workers.training.datasets import Attempt, RevisionExample

CONTEXT_TOKENS = 2 * tiny.CONTEXT_TOKENS
QUESTIONS = 24
QUICK: dict[str, Any] = {
    "context_tokens": CONTEXT_TOKENS,
    "batch": 16,
    "learning_rate": 1e-2,
    "validation_share": 0.25,
    "log_every_steps": 2,
}
"""Fields of a recipe that learns :func:`attempts` or :func:`revisions`."""


def make_base(folder: Path) -> Path:
    """A causal model of random weights, its tokenizer and chat template."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = tiny.make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
        initializer_range=0.1,  # it learns faster than from 0.02
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def attempts(history: bool = False) -> list[Attempt]:
    """Right ones say "yes" and wrong ones "no"; with ``history``, those after an attempt "good" are right."""
    rows = []
    for number in range(QUESTIONS):
        for right in (True, False):
            said = "same" if history else "yes" if right else "no"
            before = ("good" if right else "bad",) if history else ()
            # Of what is asked, the number of the question is all that differs.
            text = f"{said}\nThe answer is {1 if history else int(right)}."
            label = 0.75 if right else 0.25
            rows.append(
                Attempt(str(number), f"Q{number}?", "1", before, text, 2, (label, float(right)), right)
            )
    return rows


def revisions() -> list[RevisionExample]:
    """The right answer is always 1."""
    shown = (("The answer is 2.",), (), ("The answer is 7.", "The answer is 3."))
    return [
        RevisionExample(str(number), f"Q{number}?", before, "The answer is 1.")
        for number in range(QUESTIONS)
        for before in shown
    ]
