"""What vLLM answers at `/pooling` and `/classify` (0.32), computed with a tiny model: one text at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
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
    async def pooling(request: Request) -> Response:
        body = await request.json()
        if received is not None:
            received.append(body)
        if body.get("task") != "token_classify":  # the server has one task, and "encode" is gone
            message = f"Unsupported task: {body.get('task')!r} Supported tasks: ('token_classify',)"
            error = {"message": message, "type": "BadRequestError", "param": "task", "code": 400}
            return JSONResponse({"error": error}, 400)
        data = []
        for index, tokens in enumerate(body["input"]):
            ids = torch.tensor(tokens)
            found = rows(ids) if step_tag is None else rows(ids)[ids == step_tag]
            data.append({"index": index, "object": "pooling", "data": found.tolist()})
        return JSONResponse(_list("pooling", body, data))

    return app


def classify_app(rows: Rows) -> FastAPI:
    app = FastAPI()

    @app.post("/classify")
    async def classify(request: Request) -> Response:
        body = await request.json()
        data = []
        for index, tokens in enumerate(body["input"]):
            classes = rows(torch.tensor(tokens)).tolist()
            data.append({"index": index, "label": "LABEL_0", "probs": classes, "num_classes": len(classes)})
        return JSONResponse(_list("classify", body, data[::-1]))  # the index counts, not the order

    return app


def _list(kind: str, body: Any, data: list[dict[str, Any]]) -> dict[str, Any]:
    read = sum(map(len, body["input"]))
    return {
        "id": f"{kind}-97252c77bd3533ab",
        "object": "list",
        "created": 1_795_311_847,
        "model": body["model"],
        "data": data,
        "usage": {
            "prompt_tokens": read,
            "total_tokens": read,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
    }


def rows_of(family: str, folder: Path) -> Rows:
    """As the server's own model would compute them."""
    if family == "gradus":
        return _of(AutoModelForTokenClassification, folder, lambda logits: logits[0].sigmoid())
    if family == "orm":
        return _of(AutoModelForSequenceClassification, folder, lambda logits: logits[0].sigmoid())
    if family in ("math-shepherd", "rlhflow"):  # classifier_from_token, no_post_processing
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
