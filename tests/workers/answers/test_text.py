"""Free text: alike but for form, or alike in meaning where an encoder is given."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from router.types import Task
from workers.answers import answers_for
from workers.answers.embedding import load_embed
from workers.answers.text import normalise_text
from workers.errors import ModelNotLoadable

TEXT = answers_for(Task("text"))
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "paris", "london", "is", "nice"]


def test_form_does_not_matter() -> None:
    spellings = ["The answer is the U.S.A.!", "usa", "**Answer:** “USA”", "U.S.A. "]

    assert {TEXT.extract(spelling) for spelling in spellings} == {"usa"}


@pytest.mark.parametrize(
    ("one", "other"), [("3.5", "35"), ("-5", "5"), ("C++", "C"), ("C#", "C"), ("1,000", "1.000")]
)
def test_punctuation_that_means_something_stays(one: str, other: str) -> None:
    assert normalise_text(one) != normalise_text(other)


def test_a_text_of_marks_has_no_answer_and_one_of_articles_has() -> None:
    assert TEXT.extract("...") is None
    assert TEXT.extract("The The") == "the the"


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise_text(text)
    assert once is None or normalise_text(once) == once


def test_answers_that_mean_the_same_are_one_class_unless_their_numbers_differ() -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "us" in text.split() or "usa" in text else [0.0, 1.0] for text in texts]

    answers = answers_for(Task("text"), embed)

    assert answers.classes(["usa", "france", "us", "usa"]) == (0, 1, 0, 0)
    assert answers.classes(["usa 1776", "us 1776", "us 1777"]) == (0, 0, 1)
    assert answers.classes([]) == ()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def pool(folder: Path, config: object) -> None:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("config", "takes"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_an_encoder_is_pooled_as_its_folder_says(encoder: Path, config: object, takes: str) -> None:
    pool(encoder, config)
    model = BertModel.from_pretrained(encoder).eval()
    with torch.inference_mode():
        hidden = model(torch.tensor([[2, 4, 6, 7, 3]])).last_hidden_state[0]
    expected = hidden[0] if takes == "cls" else hidden.mean(0)

    embed = load_embed(str(encoder))
    alone = embed(["paris is nice"])[0]
    padded = embed(["paris is nice", "paris " * 50])[0]

    assert alone == pytest.approx((expected / expected.norm()).tolist(), abs=1e-5)
    assert padded == pytest.approx(alone, abs=1e-5)


def test_an_encoder_serves_many_threads(encoder: Path) -> None:
    pool(encoder, {"pooling_mode": "mean"})
    embed = load_embed(str(encoder))
    found: list[Sequence[Sequence[float]]] = []
    threads = [
        threading.Thread(target=lambda: found.append(embed(["paris", "london is nice"]))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert all(vectors[0] == pytest.approx(found[0][0], abs=1e-6) for vectors in found)


def test_an_encoder_that_pools_otherwise_is_refused(encoder: Path) -> None:
    pool(encoder, {"pooling_mode_max_tokens": True})

    with pytest.raises(ModelNotLoadable, match="pooling_mode_max_tokens"):
        load_embed(str(encoder))
