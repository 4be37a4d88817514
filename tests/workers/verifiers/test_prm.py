"""The process reward model: right places, right numbers, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from router.config import MajorityVerifier as MajorityConfig
from router.config import PrmVerifier as PrmConfig
from tests.workers.engines import tiny
from tests.workers.verifiers.conftest import QUESTION, TEXTS, judge
from workers.errors import ContextOverflow, EngineFailed, ModelNotLoadable
from workers.protocols import Scored
from workers.verifiers import load_verifier
from workers.verifiers.majority import MajorityVerifier
from workers.verifiers.model import ModelVerifier
from workers.verifiers.prm import PlaceModel, load_prm


def read_alone(folder: Path, text: str, activation: str) -> tuple[list[float], int]:
    """Step scores of one text, unbatched and by other means; and the number of its tokens."""
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    head = tokenizer.apply_chat_template(list(QUESTION), add_generation_prompt=True, return_dict=False)
    tokens = [*head, *tokenizer.encode(text, add_special_tokens=False)]
    if "The answer is" in text:
        tokens.append(tokenizer.eos_token_id)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0]
    scores = logits.softmax(-1)[:, -1] if activation == "softmax" else logits[:, -1].sigmoid()
    newline = tokenizer.encode("\n", add_special_tokens=False)[0]
    ends = {place for place in range(len(head), len(tokens)) if tokens[place] == newline}
    return [float(scores[place]) for place in sorted(ends | {len(tokens) - 1})], len(tokens)


@pytest.mark.parametrize(("activation", "labels"), [("sigmoid", 1), ("softmax", 2)])
def test_batched_scores_are_those_of_each_text_alone(tmp_path: Path, activation: str, labels: int) -> None:
    folder = tiny.make_reward_model(tmp_path, activation=activation, labels=labels)
    verifier = load_prm("judge", folder, "gradus", context_tokens=tiny.CONTEXT_TOKENS, device="cpu")
    scores = judge(verifier, QUESTION, TEXTS)
    alone = [read_alone(folder, text, activation) for text in TEXTS]
    for one, (expected, _) in zip(scores.scored, alone, strict=True):
        assert one.step_scores == pytest.approx(expected, abs=1e-5)
        assert one.score == pytest.approx(expected[-1], abs=1e-5)
    assert scores.tokens == sum(tokens for _, tokens in alone)
    assert len({round(one.score, 3) for one in scores.scored}) > 3
    verifier.close()


def test_equal_texts_are_read_once(prm: ModelVerifier) -> None:
    one, three = judge(prm, QUESTION, TEXTS[:1]), judge(prm, QUESTION, TEXTS[:1] * 3)
    assert three.tokens == one.tokens
    assert three.scored == one.scored * 3


def test_a_step_scores_the_same_before_and_after_the_next_is_written(prm: ModelVerifier) -> None:
    before, after = judge(prm, QUESTION, ["one\n", "one\ntwo\n"]).scored
    assert after.step_scores[0] == pytest.approx(before.step_scores[0], abs=1e-5)


def test_a_solution_over_the_context_scores_0_unread_beside_those_that_fit(prm: ModelVerifier) -> None:
    scores = judge(prm, QUESTION, ["fine", "far too long " * 50])
    assert scores.scored[1] == Scored((), 0.0)
    alone = judge(prm, QUESTION, ["fine"])
    assert scores.scored[0].score == pytest.approx(alone.scored[0].score, abs=1e-5)
    assert scores.tokens == alone.tokens


def test_a_prompt_over_the_context_is_refused_with_both_numbers(prm: ModelVerifier) -> None:
    with pytest.raises(ContextOverflow, match=rf"\d+ tokens.*{tiny.CONTEXT_TOKENS}"):
        judge(prm, ({"role": "user", "content": "far too long " * 50},), ["fine"])


def test_a_failing_model_fails_the_call_and_not_the_next(
    prm: ModelVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_args: object, **_more: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(PlaceModel, "__call__", crash)
        with pytest.raises(EngineFailed, match="out of memory"):
            judge(prm, QUESTION, TEXTS)
    assert len(judge(prm, QUESTION, TEXTS).scored) == len(TEXTS)


def test_a_closed_verifier_says_so(prm_folder: Path) -> None:
    verifier = load_prm("judge", prm_folder, "gradus", context_tokens=64, device="cpu")
    verifier.close()
    with pytest.raises(EngineFailed, match="closed"):
        judge(verifier, QUESTION, TEXTS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "regression"}, "kind.*regression"),
        ({"activation": "tanh"}, "activation.*tanh"),
        ({"aggregation": "median"}, "aggregation.*median"),
        ({"step_separator": "ки"}, "step_separator"),
        ({"label_index": None, "drop": "label_index"}, "label_index"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    prm_folder: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    described = json.loads((prm_folder / "gradus_verifier.json").read_text()) | change
    described.pop(described.pop("drop", ""), None)
    (tmp_path / "gradus_verifier.json").write_text(json.dumps(described))
    with pytest.raises(ModelNotLoadable, match=says):
        load_prm("judge", tmp_path, "gradus", context_tokens=64)


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoadable, match=r"gradus_verifier\.json"):
        load_prm("judge", tmp_path, "gradus", context_tokens=64)


def test_a_configuration_becomes_a_verifier(prm_folder: Path) -> None:
    prm = load_verifier("judge", PrmConfig(kind="prm", path=str(prm_folder), context_tokens=64))
    assert isinstance(prm, ModelVerifier)
    prm.close()
    assert isinstance(load_verifier("votes", MajorityConfig(kind="majority")), MajorityVerifier)


def test_votes_are_shares_of_the_batch_and_no_answer_gets_none() -> None:
    texts = ["The answer is 3.", "#### 3.0", "The answer is 4.", "..."]
    scored = judge(MajorityVerifier("votes"), QUESTION, texts).scored
    assert [one.score for one in scored] == [0.5, 0.5, 0.25, 0.0]
