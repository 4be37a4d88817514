"""The scores of each family by the formula of its model card: one text at a time, nothing padded.

Each function takes the steps that a text has, so that splitting is not checked against itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2Model

from router.config.verifiers import Family

Card = Callable[[Path, str, Sequence[str]], list[float]]


@torch.no_grad()
def math_shepherd(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    output = "\n".join(f"{step} ки" for step in steps)
    ids = torch.tensor([tokenizer.encode(f"{question} {output}")])
    scores = model(ids).logits[:, :, candidates].softmax(-1)[:, :, 0]
    return [float(score) for score in scores[ids == tag]]


@torch.no_grad()
def rlhflow(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation: list[dict[str, str]] = []
    scores = []
    for place, step in enumerate(steps):
        shown = f"{question} {step}" if place == 0 else step
        conversation += [{"role": "user", "content": shown}, {"role": "assistant", "content": "+"}]
        ids = tokenizer.apply_chat_template(conversation, return_tensors="pt", return_dict=False)
        scores.append(float(model(ids).logits[:, -3, candidates].softmax(-1)[0, 0]))
    return scores


@torch.no_grad()
def qwen(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [
        {
            "role": "system",
            "content": r"Please reason step by step, and put your final answer within \boxed{}.",
        },
        {"role": "user", "content": question},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    ids = tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False), return_tensors="pt")
    states, weights = _qwen2_states(folder, ids)
    middle = (states @ weights["score.0.weight"].T + weights["score.0.bias"]).relu()
    classes = (middle @ weights["score.2.weight"].T + weights["score.2.bias"]).softmax(-1)
    return [float(one) for one in classes[ids == tokenizer.encode("<extra_0>")[0]][:, 1]]


@torch.no_grad()
def skywork(folder: Path, question: str, steps: Sequence[str]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    newline = tokenizer.encode("\n")[-1]
    ids = tokenizer.encode(tokenizer.bos_token + question + "\n")
    flags = [False] * len(ids)
    for step in steps:
        tokens = tokenizer.encode(step) if step else []
        ids += [*tokens, newline]
        flags += [False] * len(tokens) + [True]
    states, weights = _qwen2_states(folder, torch.tensor([ids]))
    values = (states @ weights["v_head.summary.weight"].T + weights["v_head.summary.bias"]).sigmoid()
    return [float(value) for value, flag in zip(values[0, :, 0], flags, strict=True) if flag]


CARDS: Mapping[Family, Card] = {
    "math-shepherd": math_shepherd,
    "rlhflow": rlhflow,
    "qwen": qwen,
    "skywork": skywork,
}


def _qwen2_states(folder: Path, ids: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    weights = load_file(folder / "model.safetensors")
    model = Qwen2Model(Qwen2Config.from_pretrained(folder)).eval()
    inner = {key.removeprefix("model."): value for key, value in weights.items() if key.startswith("model.")}
    model.load_state_dict(inner)
    return model(ids)[0], weights
