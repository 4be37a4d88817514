"""Outcome reward models: the model's own answer to the whole chat, batched or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from router.config import OrmVerifier
from tests.workers.verifiers import tiny_rewards
from tests.workers.verifiers.conftest import QUESTION, TEXTS, judge
from workers.errors import ContextOverflow, ModelNotLoadable
from workers.protocols import Scored
from workers.verifiers import load_verifier
from workers.verifiers.orm import SequenceModel, load_orm
from workers.verifiers.reading import Reading

CONTEXT_TOKENS = tiny_rewards.CONTEXT_TOKENS
ATTEMPTS = (*QUESTION, {"role": "assistant", "content": "2"}, {"role": "user", "content": "Again."})


@torch.no_grad()
def logits(folder: Path, messages: Sequence[dict[str, Any]], text: str) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    if tokenizer.chat_template is None:
        ids = tokenizer(messages[-1]["content"], text, return_tensors="pt")["input_ids"]
    else:
        chat = [*messages, {"role": "assistant", "content": text}]
        ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=False)
    found: torch.Tensor = model(ids).logits[0]
    return found


def alone(folder: Path, messages: Sequence[dict[str, Any]], text: str) -> float:
    return float(logits(folder, messages, text)[0].sigmoid())


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("template", [True, False])
def test_batched_scores_are_those_of_each_turn_alone(tmp_path: Path, pad: bool, template: bool) -> None:
    folder = tiny_rewards.make_outcome(tmp_path, pad=pad, template=template)
    verifier = load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")
    scored = judge(verifier, QUESTION, [*TEXTS, "Wärme ☕ é"]).scored
    verifier.close()
    expected = [alone(folder, QUESTION, text) for text in [*TEXTS, "Wärme ☕ é"]]
    assert [one.score for one in scored] == pytest.approx(expected, abs=1e-5)
    assert all(one.step_scores == () for one in scored)
    assert len({round(one.score, 3) for one in scored}) > 3


def test_earlier_attempts_are_part_of_what_is_judged(tmp_path: Path) -> None:
    folder = tiny_rewards.make_outcome(tmp_path)
    configured = OrmVerifier(kind="orm", path=str(folder), context_tokens=CONTEXT_TOKENS, reads_history=True)
    verifier = load_verifier("judge", configured)
    assert verifier.reads_history
    assert not verifier.scores_steps
    (one,) = judge(verifier, ATTEMPTS, ["The answer is 3."]).scored
    assert one.score == pytest.approx(alone(folder, ATTEMPTS, "The answer is 3."), abs=1e-5)
    verifier.close()


def test_what_does_not_fit_or_says_nothing_scores_0_unread(tmp_path: Path) -> None:
    folder = tiny_rewards.make_outcome(tmp_path)
    verifier = load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")
    scores = judge(verifier, QUESTION, ["fine", "far too long " * 80, "", " \n"])
    assert scores.scored[1:] == (Scored((), 0.0),) * 3
    assert scores.tokens == judge(verifier, QUESTION, ["fine"]).tokens
    with pytest.raises(ContextOverflow, match=rf"\d+ tokens.*{CONTEXT_TOKENS}"):
        judge(verifier, ({"role": "user", "content": "far too long " * 80},), ["fine"])
    verifier.close()


class _Says:
    """A model whose logits are known."""

    device = torch.device("cpu")
    config = SimpleNamespace(pad_token_id=0)

    def __init__(self, logits: list[list[float]]) -> None:
        self.logits = torch.tensor(logits)

    def __call__(self, **_inputs: torch.Tensor) -> _Says:
        return self


def test_large_logits_stay_apart() -> None:
    readings = [Reading((token,), (0,)) for token in (1, 2, 3, 4)]
    scores = [score for (score,) in SequenceModel(_Says([[18.0], [25.0], [30.0], [35.0]]))(readings)]
    assert scores == sorted(set(scores))
    assert 1 - scores[0] == pytest.approx(1.523e-8, rel=1e-3)
    assert scores[-1] < 1


def test_of_two_classes_the_second_means_right(tmp_path: Path) -> None:
    folder = tiny_rewards.make_outcome(tmp_path, labels=2)
    verifier = load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")
    scored = judge(verifier, QUESTION, TEXTS).scored
    verifier.close()
    expected = [float(logits(folder, QUESTION, text).softmax(-1)[1]) for text in TEXTS]
    assert [one.score for one in scored] == pytest.approx(expected, abs=1e-5)


def test_a_model_of_more_classes_is_refused(tmp_path: Path) -> None:
    folder = tiny_rewards.make_outcome(tmp_path, labels=3)
    with pytest.raises(ModelNotLoadable, match=r"3 classes.*one logit, or two"):
        load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")


def test_a_language_model_is_no_reward_model(tmp_path: Path) -> None:
    folder = tiny_rewards.make_rlhflow(tmp_path)
    with pytest.raises(ModelNotLoadable, match="lacks the weights score"):
        load_orm("judge", folder, context_tokens=CONTEXT_TOKENS, device="cpu")
