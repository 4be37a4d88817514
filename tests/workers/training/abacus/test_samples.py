"""Samples of the report: drawn by the searches with a real engine and verifier, kept, gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaForSequenceClassification

from router.config import OrmVerifier, TransformersModel
from tests.workers.training.abacus.conftest import TINY
from workers.training.abacus.data import load_tokenizer
from workers.training.abacus.models import export, new_model
from workers.training.abacus.samples import Sampled, Wanted, draw, held_out, shipped
from workers.training.errors import TrainingError


@pytest.fixture
def model(built: Path, tmp_path: Path) -> TransformersModel:
    tokenizer = load_tokenizer(built)
    export(new_model(TINY, tokenizer, 0), tokenizer, tmp_path / "lm", "a card")
    return _section(tmp_path / "lm")


def _section(folder: Path) -> TransformersModel:
    return TransformersModel(engine="transformers", path=str(folder), context_tokens=512, max_tokens=6)


def _verifier(built: Path, folder: Path, model: TransformersModel) -> OrmVerifier:
    torch.manual_seed(0)
    judge = LlamaForSequenceClassification.from_pretrained(model.path, num_labels=1)
    judge.save_pretrained(folder)
    load_tokenizer(built).save_pretrained(folder)
    return OrmVerifier(kind="orm", path=str(folder), context_tokens=512, reads_history=True)


def _texts(drawn: list[Sampled]) -> list[list[str]]:
    return [[one.text for chain in each.chains for one in chain.candidates] for each in drawn]


def test_independent_samples_are_chains_of_one(built: Path, tmp_path: Path, model: TransformersModel) -> None:
    drawn = draw(tmp_path, "samples", Wanted(model=model, chains=5), held_out(built, "test", 3))
    assert [len(each.chains) for each in drawn] == [5, 5, 5]
    assert {len(chain.candidates) for each in drawn for chain in each.chains} == {1}
    assert all(0 < each.completion_tokens <= model.max_tokens for each in drawn)
    assert len(set(_texts(drawn)[0])) > 1


def test_attempts_of_chains_are_judged_after_those_before_them(
    built: Path, tmp_path: Path, model: TransformersModel
) -> None:
    verifier = _verifier(built, tmp_path / "orm", model)
    wanted = Wanted(model=model, verifier=verifier, chains=2, length=3)
    (drawn,) = draw(tmp_path, "chains", wanted, held_out(built, "test", 1))
    assert [len(chain.candidates) for chain in drawn.chains] == [3, 3]
    first, second = _texts([drawn])[0][:3], _texts([drawn])[0][3:]
    assert first != second
    assert all(0 < one.score < 1 for chain in drawn.chains for one in chain.candidates)


def test_a_killed_run_goes_on_to_the_same_samples(
    built: Path, tmp_path: Path, model: TransformersModel
) -> None:
    asked, wanted = held_out(built, "test", 4), Wanted(model=model, chains=2)
    whole = _texts(draw(tmp_path, "samples", wanted, asked))
    (log,) = tmp_path.glob("samples-*/samples.jsonl")
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]) + lines[2][:20])
    assert _texts(draw(tmp_path, "samples", wanted, asked)) == whole
    assert log.read_text().splitlines(keepends=True)[:2] == lines[:2]


def test_other_weights_are_sampled_anew(built: Path, tmp_path: Path, model: TransformersModel) -> None:
    asked = held_out(built, "test", 2)
    before = _texts(draw(tmp_path, "samples", Wanted(model=model, chains=2), asked))
    tokenizer = load_tokenizer(built)
    export(new_model(TINY, tokenizer, 1), tokenizer, Path(model.path), "a card")
    assert _texts(draw(tmp_path, "samples", Wanted(model=model, chains=2), asked)) != before
    assert len(list(tmp_path.glob("samples-*"))) == 2


def test_what_is_shipped_is_read_from_its_folders(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="gradus train abacus all"):
        shipped(tmp_path)
    found = shipped(Path("workers/models"))
    assert found.parameters("abacus-small") == 951_424
    assert found.folder("abacus-prm").name == "abacus-prm"
