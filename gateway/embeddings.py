"""Texts as vectors by a local sentence encoder: an ONNX file, run by onnxruntime on the CPU.

Optional: what predictors read by default (words and looks of a text) is many times cheaper.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from router.errors import RouterError

Embedder = Callable[[Sequence[str]], NDArray[np.float32]]
Pooling = Literal["mean", "cls", "max"]

_BATCH = 8
_DEFAULT_TOKENS = 512
_ONNX = ("model.onnx", "onnx/model.onnx", "onnx/model*.onnx")
_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


class EmbedderInvalid(RouterError):
    """A folder of a sentence encoder that cannot be used, and what would be right."""

    code = "embedder_invalid"


def load_embedder(folder: Path, *, threads: int = 1) -> Embedder:
    """A function of N texts to their embeddings [N, D], by a sentence-transformers or ONNX folder.

    The folder holds ``tokenizer.json`` and ``model.onnx`` (or ``onnx/model*.onnx``, plain before quantised;
    an int8 file runs as int8). Pooling is by ``1_Pooling/config.json``, the mean where there is none; vectors
    get length 1 unless there is a ``modules.json`` without Normalize. Texts longer than
    ``sentence_bert_config.json`` allows lose their end, as in sentence-transformers.

    Raises: EmbedderInvalid if something is missing, or onnxruntime is not installed.
    """
    model = _onnx_file(folder)
    vocabulary = folder / "tokenizer.json"
    if not vocabulary.is_file():
        raise EmbedderInvalid(
            f"{vocabulary}: no such file; save the tokenizer as a fast one (tokenizer.json)"
        )
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EmbedderInvalid(f"embeddings need {error.name}: pip install 'gradus[embeddings]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(vocabulary))
    except Exception as error:  # both libraries raise types of their own for a broken file
        raise EmbedderInvalid(f"{folder}: {error}") from None
    longest = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    tokenizer.enable_truncation(longest or _DEFAULT_TOKENS)
    tokenizer.no_padding()
    inputs = [each.name for each in session.get_inputs()]
    pooling, normalise = _pooling(folder), _normalises(folder)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        encoded = [each.ids for each in tokenizer.encode_batch(list(texts))]
        # Of like length together, so that little is spent on padding.
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        vectors: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(encoded)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            for i, vector in zip(
                batch, _run(session, inputs, [encoded[i] for i in batch], pooling), strict=True
            ):
                vectors[i] = vector
        stacked = np.stack(vectors) if vectors else np.empty((0, 0), dtype=np.float32)
        return _unit(stacked) if normalise else stacked

    return embed


def _run(session: Any, inputs: list[str], ids: list[list[int]], pooling: Pooling) -> NDArray[np.float32]:
    """[B, D] of B tokenised texts."""
    tokens = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
    for row, each in enumerate(ids):
        tokens[row, : len(each)] = each
    mask = np.arange(tokens.shape[1]) < np.array([len(each) for each in ids])[:, None]
    feeds = {
        "input_ids": tokens,
        "attention_mask": mask.astype(np.int64),
        "token_type_ids": np.zeros_like(tokens),
    }
    states = session.run(None, {name: feeds[name] for name in inputs})[0]
    return _pooled(states, mask, pooling) if states.ndim == 3 else states.astype(np.float32)


def _pooled(states: NDArray[Any], mask: NDArray[np.bool_], pooling: Pooling) -> NDArray[np.float32]:
    """[B, D] of hidden states [B, T, D]; padding does not count."""
    if pooling == "cls":
        pooled = states[:, 0]
    elif pooling == "max":
        pooled = np.where(mask[..., None], states, -np.inf).max(axis=1)
    else:
        pooled = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return np.asarray(pooled, dtype=np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit: NDArray[np.float32] = vectors / lengths
    return unit


def _onnx_file(folder: Path) -> Path:
    for pattern in _ONNX:
        # The shortest name first: what follows model_ are variants for one processor or another.
        found = sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
        if found:
            return found[0]
    if (folder / "model.safetensors").is_file():
        raise EmbedderInvalid(
            f"{folder}: has model.safetensors but no model.onnx; take the encoder's published onnx/ folder, "
            f"or export it: optimum-cli export onnx --model {folder} --task feature-extraction {folder}"
        )
    raise EmbedderInvalid(f"{folder}: neither model.onnx nor onnx/model*.onnx in this folder")


def _pooling(folder: Path) -> Pooling:
    path = folder / "1_Pooling" / "config.json"
    wanted = [key for key, value in _json(path).items() if key.startswith("pooling_mode_") and value is True]
    if not wanted:
        return "mean"
    if len(wanted) > 1 or wanted[0] not in _POOLINGS:
        raise EmbedderInvalid(f"{path}: {', '.join(wanted)}: only one of mean, cls and max is supported")
    return _POOLINGS[wanted[0]]


def _normalises(folder: Path) -> bool:
    path = folder / "modules.json"
    if not path.is_file():
        return True
    kinds = [str(each["type"]).rsplit(".", 1)[-1] for each in json.loads(path.read_text("utf-8"))]
    unknown = set(kinds) - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise EmbedderInvalid(
            f"{path}: {', '.join(sorted(unknown))}: only Pooling and Normalize are supported"
        )
    return "Normalize" in kinds


def _json(path: Path) -> dict[str, Any]:
    """Of an optional file."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
