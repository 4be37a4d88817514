"""What vLLM answers at `/pooling` and `/classify`, computed with a tiny model: one sequence at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Qwen2Config,
    Qwen2Model,
)

Rows = Callable[[torch.Tensor], torch.Tensor]
"""From the tokens of one sequence (length) to probabilities a token (length, classes)."""


def pooling_app(rows: Rows, *, step_tag: int | None = None, received: list[Any] | None = None) -> FastAPI:
    """Answers a row for every token, or with a ``step_tag`` for those tokens only (STEP pooling)."""
    app = FastAPI()

    @app.post("/pooling")
    async def pooling(request: Request) -> dict[str, Any]:
        body = await request.json()
        if received is not None:
            received.append(body)
        data = []
        for index, tokens in enumerate(body["input"]):
            ids = torch.tensor(tokens)
            found = rows(ids) if step_tag is None else rows(ids)[ids == step_tag]
            data.append({"index": index, "object": "pooling", "data": found.tolist()})
        usage = {"prompt_tokens": sum(map(len, body["input"])), "completion_tokens": 0}
        return {"id": "pool-1", "object": "list", "model": body["model"], "data": data, "usage": usage}

    return app


def classify_app(rows: Rows) -> FastAPI:
    app = FastAPI()

    @app.post("/classify")
    async def classify(request: Request) -> dict[str, Any]:
        body = await request.json()
        data = []
        for index, tokens in enumerate(body["input"]):
            classes = rows(torch.tensor(tokens)).tolist()
            data.append({"index": index, "label": "LABEL_0", "probs": classes, "num_classes": len(classes)})
        return {"id": "classify-1", "object": "list", "model": body["model"], "data": data[::-1]}

    return app


def rows_of(family: str, folder: Path) -> Rows:
    """As the server's own model would compute them."""
    if family == "gradus":
        return _of(AutoModelForTokenClassification, folder, lambda logits: logits[0].sigmoid())
    if family == "orm":
        return _of(AutoModelForSequenceClassification, folder, lambda logits: logits[0].sigmoid())
    if family in ("math-shepherd", "rlhflow"):  # --pooler-config returned_token_ids
        tokenizer = AutoTokenizer.from_pretrained(folder)
        signs = tokenizer.encode("+ -", add_special_tokens=False)
        if family == "rlhflow":
            signs = [tokenizer.encode(sign, add_special_tokens=False)[0] for sign in "+-"]
        return _of(AutoModelForCausalLM, folder, lambda logits: logits[0][:, signs].softmax(-1))
    weights = load_file(folder / "model.safetensors")
    model = Qwen2Model(Qwen2Config.from_pretrained(folder)).eval()
    model.load_state_dict(
        {key.removeprefix("model."): value for key, value in weights.items() if key.startswith("model.")}
    )

    @torch.no_grad()
    def rows(ids: torch.Tensor) -> torch.Tensor:
        states = model(ids[None])[0][0]
        if family == "skywork":
            return (states @ weights["v_head.summary.weight"].T + weights["v_head.summary.bias"]).sigmoid()
        middle = (states @ weights["score.0.weight"].T + weights["score.0.bias"]).relu()
        return (middle @ weights["score.2.weight"].T + weights["score.2.bias"]).softmax(-1)

    return rows


def _of(kind: Any, folder: Path, activation: Callable[[torch.Tensor], torch.Tensor]) -> Rows:
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.no_grad()
    def rows(ids: torch.Tensor) -> torch.Tensor:
        return activation(model(ids[None]).logits)

    return rows
