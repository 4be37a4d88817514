"""A start for a reward model: it learns how likely the language model found a solution so far."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification

from tests.workers.training.abacus.conftest import TINY
from workers.training.abacus import surprise
from workers.training.abacus.data import load_tokenizer
from workers.training.abacus.models import export, new_model
from workers.training.datasets import Attempt, write_attempts

QUESTION = "Calculate 2 + 3 * 4."
RIGHT = "3 * 4 = 12\n2 + 12 = 14\nThe answer is 14."


def test_the_target_is_the_probability_of_the_solution_so_far(built: Path) -> None:
    tokenizer = load_tokenizer(built)
    model = new_model(TINY, tokenizer, 1).eval()
    ids, start = surprise.encode(tokenizer, QUESTION, RIGHT)
    _, targets, written = surprise.probability_so_far(model, [(ids, start)])
    with torch.no_grad():
        steps = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    places = range(start, len(ids))
    assert written[0].nonzero().squeeze(1).tolist() == list(places)
    # The first three tokens; an untrained model's probability of the whole is too small for a float.
    expected = sum(float(steps[place - 1, ids[place]]) for place in places[:3])
    assert float(targets[0, start + 2].log()) == pytest.approx(expected, rel=1e-3)


def test_only_the_new_layers_and_the_head_learn(built: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(built)
    export(new_model(TINY, tokenizer, 0), tokenizer, tmp_path / "lm", "a card")
    attempt = Attempt("0", QUESTION, "14", (), RIGHT, 1, (None, None, 1.0), True)
    (tmp_path / "attempts").mkdir()
    write_attempts(tmp_path / "attempts", [attempt])

    surprise.make_base(tmp_path / "lm", tmp_path / "attempts", tmp_path / "base", epochs=2)

    base = AutoModelForTokenClassification.from_pretrained(tmp_path / "base")
    old = new_model(TINY, tokenizer, 0).half().float().state_dict()
    kept = {f"model.{name}": weights for name, weights in base.model.state_dict().items()}
    fixed = [name for name in old if "layers.0." in name or "embed_tokens" in name]
    assert fixed
    assert all(torch.equal(kept[name], old[name]) for name in fixed)
    assert bool(base.score.weight.any())
    assert base.config.num_hidden_layers == TINY.layers + surprise.EXTRA_LAYERS
