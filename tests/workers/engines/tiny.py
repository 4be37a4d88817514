"""A real model small enough to make in a test: it has learned a few conversations by heart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForTokenClassification, PreTrainedTokenizerFast

CONTEXT_TOKENS = 128

DEVICE = os.environ.get("GRADUS_TEST_DEVICE", "cpu")
"""Where the engine under test runs, in float32: "cuda" asks the tests of a machine that has one."""

TURNS = {
    "count": "one\ntwo two\nthree\nThe answer is 3.",
    "tea": "Wärme: 東京 → ☕ né\nžluťoučký 🫖!",
    "list": "a, b; c, d; e\nSTOPPED",
    "long": "ab " * 25 + ".",
}
"""What the model says to each question."""

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tokenizer() -> Any:
    """Bytes and a few merges, so that tokens cut characters and words."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=280,
        special_tokens=["<bos>", "<eos>", "<user>", "<assistant>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["two three answer is the", "東京"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", pad_token="<eos>"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_config(tokenizer: Any, **more: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2 * CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def make_language_model(folder: Path) -> Path:
    """Learn :data:`TURNS` by heart, and write a Hugging Face folder."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    chats = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}, {"role": "assistant", "content": turn}], return_dict=False
        )
        for question, turn in TURNS.items()
    ]
    longest = max(len(chat) for chat in chats)
    tokens = torch.tensor([chat + [tokenizer.eos_token_id] * (longest - len(chat)) for chat in chats])
    model = LlamaForCausalLM(make_config(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(400):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.03:  # what is left is the choice of the question
            break
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_reward_model(folder: Path, *, activation: str = "sigmoid", labels: int = 1) -> Path:
    """A token classifier with random weights, and the file that says how to read it."""
    torch.manual_seed(1)
    tokenizer = make_tokenizer()
    model = LlamaForTokenClassification(make_config(tokenizer, num_labels=labels, initializer_range=0.3))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    described = {
        "kind": "token_classification",
        "step_separator": "\n",
        "activation": activation,
        "label_index": labels - 1,
        "final_step_token": tokenizer.eos_token,
        "aggregation": "last",
    }
    (folder / "gradus_verifier.json").write_text(json.dumps(described))
    return folder
