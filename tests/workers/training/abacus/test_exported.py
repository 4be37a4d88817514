"""The committed folders are what they say."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from workers.training.abacus.models import parameter_count
from workers.training.files import MODELS_DIR
from workers.verifiers.format import FORMAT_FILE

NAMES = tuple(sorted(file.parent.name for file in MODELS_DIR.glob("abacus-*/model.safetensors")))
pytestmark = pytest.mark.skipif(
    not {"abacus-small", "abacus-large", "abacus-prm"} <= set(NAMES), reason="no models here"
)


def test_together_they_are_small() -> None:
    total = sum(file.stat().st_size for file in MODELS_DIR.rglob("*") if file.is_file())
    assert total <= 48 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_half_precision_and_the_card_names_the_licence(name: str) -> None:
    with safe_open(MODELS_DIR / name / "model.safetensors", "pt") as tensors:
        assert {tensors.get_tensor(key).dtype for key in tensors.keys()} == {torch.float16}  # noqa: SIM118
    assert "license: apache-2.0" in (MODELS_DIR / name / "README.md").read_text()


def test_the_large_model_has_about_fourteen_times_the_parameters() -> None:
    small, large = (
        AutoModelForCausalLM.from_pretrained(MODELS_DIR / name, dtype=torch.float32)
        for name in ("abacus-small", "abacus-large")
    )
    assert 13 <= parameter_count(large) / parameter_count(small) <= 15
    assert small.config.max_position_embeddings >= 512


def test_all_share_one_tokenizer() -> None:
    vocabularies = [AutoTokenizer.from_pretrained(MODELS_DIR / name).get_vocab() for name in NAMES]
    assert all(one == vocabularies[0] for one in vocabularies)


def test_the_reward_model_says_how_to_read_it() -> None:
    folder = MODELS_DIR / "abacus-prm"
    said = json.loads((folder / FORMAT_FILE).read_text())
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert said["kind"] == "token_classification"
    assert said["aggregation"] in {"last", "min", "prod", "mean"}
    assert said["final_step_token"] == tokenizer.eos_token
    assert model.config.num_labels == 1
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 1)
