"""An encoder's folder becomes vectors as its files say, and says what it lacks.

The encoder here is a table of one vector a word, written as ONNX by hand: its pooled vectors can be reckoned.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from gateway.embeddings import EmbedderInvalid, load_embedder

pytest.importorskip("onnxruntime")

WORDS = ("[UNK]", "two", "and", "three")
TABLE = np.array([[0, 0, 1], [3, 4, 0], [1, 0, 0], [-3, 0, 4]], dtype=np.float32)


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer, of lengths below 128 bytes apart from bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(data) & 127 | 128, len(data) >> 7]) + data


def _value(name: str, kind: int, *dims: str) -> bytes:
    shape = b"".join(_field(1, _field(2, dim)) for dim in dims)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _gather(table: np.ndarray) -> bytes:
    """An ONNX model: last_hidden_state = table[input_ids]."""
    node = _field(1, "table") + _field(1, "input_ids") + _field(2, "last_hidden_state") + _field(4, "Gather")
    dims = b"".join(_field(1, dim) for dim in table.shape)
    constant = dims + _field(2, 1) + _field(8, "table") + _field(9, table.tobytes())
    graph = (
        _field(1, node) + _field(2, "gather") + _field(5, constant)
        + _field(11, _value("input_ids", 7, "batch", "tokens"))
        + _field(12, _value("last_hidden_state", 1, "batch", "tokens", "width"))
    )  # fmt: skip
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 17))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(_gather(TABLE))
    return tmp_path


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")


def _no_normalise(folder: Path) -> None:
    _write(folder / "modules.json", [{"type": "sentence_transformers.models.Transformer"}])


def test_without_more_files_vectors_are_means_of_length_one(folder: Path) -> None:
    vectors = load_embedder(folder)(["two", "two three"])
    np.testing.assert_allclose(vectors, [[0.6, 0.8, 0], [0, 2**-0.5, 2**-0.5]], atol=1e-6)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize(
    ("mode", "expected"), [("mean", [0, 2, 2]), ("cls", [3, 4, 0]), ("max", [3, 4, 4])], ids=str
)
def test_pooling_and_normalisation_are_as_the_folder_says(
    folder: Path, mode: str, expected: list[float]
) -> None:
    key = "pooling_mode_cls_token" if mode == "cls" else f"pooling_mode_{mode}_tokens"
    _write(folder / "1_Pooling" / "config.json", {key: True, "word_embedding_dimension": 3})
    _no_normalise(folder)
    np.testing.assert_allclose(load_embedder(folder)(["two three"]), [expected])


def test_a_text_has_the_same_vector_alone_and_among_longer_ones(folder: Path) -> None:
    embed = load_embedder(folder)
    texts = ["two", "three and two " * 9, "and", *["two and three"] * 9, "three"]
    np.testing.assert_allclose(embed(texts), np.concatenate([embed([text]) for text in texts]), atol=1e-6)
    assert len(embed([])) == 0


def test_texts_lose_their_end_beyond_what_the_encoder_reads(folder: Path) -> None:
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 2})
    embed = load_embedder(folder)
    np.testing.assert_allclose(embed(["two and three three three"]), embed(["two and"]))


def test_a_plain_model_comes_before_a_quantised_one(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").rename(folder / "onnx" / "model_int8.onnx")
    (folder / "onnx" / "model_quantized_avx512.onnx").write_bytes(b"not read")
    assert load_embedder(folder)(["two"]).shape == (1, 3)


def test_a_folder_of_safetensors_is_told_how_to_become_onnx(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(
        EmbedderInvalid, match=r"optimum-cli export onnx --model .* --task feature-extraction"
    ):
        load_embedder(tmp_path)


def test_what_is_missing_or_not_supported_is_named(folder: Path, tmp_path: Path) -> None:
    _write(folder / "1_Pooling" / "config.json", {"pooling_mode_lasttoken": True})
    with pytest.raises(EmbedderInvalid, match="pooling_mode_lasttoken: only one of mean, cls and max"):
        load_embedder(folder)
    (folder / "1_Pooling" / "config.json").unlink()
    _write(folder / "modules.json", [{"type": "sentence_transformers.models.Dense"}])
    with pytest.raises(EmbedderInvalid, match="Dense"):
        load_embedder(folder)
    (folder / "modules.json").unlink()
    (folder / "onnx" / "model.onnx").write_bytes(b"half a file")
    with pytest.raises(EmbedderInvalid, match=r"model\.onnx"):
        load_embedder(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EmbedderInvalid, match=r"tokenizer\.json: no such file"):
        load_embedder(folder)
    with pytest.raises(EmbedderInvalid, match=r"neither model\.onnx nor"):
        load_embedder(folder / "1_Pooling")
