"""Verifiers of noisy labels, trained for real on scripted attempts; and what is told of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.paper import noise, report
from benchmarks.paper.likelihood import Likelihood
from benchmarks.paper.samples import Draws
from benchmarks.paper.scale import by_budget
from benchmarks.paper.setting import Setting
from router.config import TransformersModel, load_config
from router.types import Task
from tests.benchmarks.paper.doubles import scripted_setting
from workers.protocols import Prompt
from workers.training.datasets import Attempt, write_attempts

TRAINING_QUESTIONS = 12


def attempts() -> list[Attempt]:
    made = []
    for number in range(TRAINING_QUESTIONS):
        for text, right in ((f"1 + {number} = {number + 1}", True), ("1 + 1 = 3", False)):
            said = f"{text}\nThe answer is {number + 1 if right else 3}."
            labels = (0.75, 1.0) if right else (0.25, 0.0)
            made.append(
                Attempt(str(number), f"Add 1 to {number}", str(number + 1), (), said, 2, labels, right)
            )
    return made


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    extent = noise.Extent((0.0, 0.5), (0.5, 1.0), 10, 1, 8, 6)
    monkeypatch.setattr(noise, "SMALL", extent)
    data = tmp_path / "rollouts"
    data.mkdir()
    write_attempts(data, attempts())
    return replace(scripted_setting(tmp_path / "work"), rollouts=data)


def test_verifiers_differ_in_labels_and_data_are_made_once_and_told_from_the_results_alone(
    setting: Setting, tmp_path: Path
) -> None:
    results = noise.run(setting)
    found = {one["name"]: one for one in results["verifiers"]}
    trained = ["100% of the data", "50% flipped", "50% of the data"]
    untrained = ["likelihood by abacus-small", "likelihood by abacus-large"]
    assert list(found) == ["majority", "random scores", "abacus-prm", *untrained, *trained]
    assert [found[name]["questions"] for name in trained] == [10, 10, 5]
    assert results["attempts"] == 20
    folders = sorted((setting.folder / "noise").iterdir())
    before = [folder.stat().st_mtime_ns for folder in folders]

    assert noise.run(setting) == results
    assert [folder.stat().st_mtime_ns for folder in folders] == before
    text = noise.section(json.loads(json.dumps(results)))
    assert "| 50% flipped | 10 |" in text
    assert "nan" not in text
    noise.draw(results, tmp_path)
    assert (tmp_path / "noise.png").stat().st_size > 10_000


def test_parts_of_the_data_are_nested_and_whole_questions() -> None:
    everything = attempts()
    half, quarter = noise.part_of(everything, 0.5), noise.part_of(everything, 0.25)
    assert len({one.question for one in half}) == TRAINING_QUESTIONS // 2
    assert len(half) == TRAINING_QUESTIONS
    assert set(quarter) < set(half)
    assert noise.part_of(everything, 1.0) == everything


def test_questions_that_are_asked_are_not_learned_from(setting: Setting) -> None:
    asked = [replace(one, question="Add 1 to 3") for one in setting.questions[:1]]
    found = noise.learned_from(replace(setting, questions=asked), noise.SMALL)
    assert len({one.question for one in found}) == 10
    assert "Add 1 to 3" not in {one.question for one in found}


def test_random_scores_that_weigh_votes_stay_near_majority() -> None:
    """200 questions with 64 samples, of which 24 say one wrong answer, 30 the right one, and 10 others."""
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(200):
        answers = rng.permutation([1] * 24 + [0] * 30 + list(range(2, 12)))
        texts = np.array([each * 100 + rng.integers(40) for each in answers])
        numbers = {text: at for at, text in enumerate(dict.fromkeys(texts))}
        drawn.append(Draws(list(answers), [numbers[each] for each in texts], [bool(a == 0) for a in answers]))
    scores = [noise.random_scores(each, at)[each.texts] for at, each in enumerate(drawn)]
    majority = by_budget(drawn, [np.ones(64) for _ in drawn], weighted=True)[64].mean()
    weighted = by_budget(drawn, scores, weighted=True)[64].mean()
    alone = by_budget(drawn, scores, weighted=False)[64].mean()
    assert majority == 1.0
    assert weighted > 0.8
    assert alone < 0.65  # chance: 30 of 64
    overall = noise.auc_overall(drawn, scores)
    assert overall == pytest.approx(0.5, abs=0.03)


def test_equal_texts_get_equal_random_scores() -> None:
    scores = noise.random_scores(Draws([0, 1, 0], [0, 1, 0], [True, False, True]), 1)
    assert len(scores) == 2
    assert (noise.random_scores(Draws([0, 1, 0], [0, 1, 0], [True, False, True]), 1) == scores).all()


def test_auc_within_a_question_does_not_count_what_tells_questions_apart() -> None:
    """Right turns of the second question score lower than all of the first, which is easy."""
    drawn = [
        Draws([0, 1], [0, 1], [True, False]),
        Draws([0, 1], [0, 1], [True, False]),
        Draws([0], [0], [True]),
    ]
    scores = [np.array([0.9, 0.8]), np.array([0.2, 0.1]), np.array([0.5])]
    assert noise.auc_within(drawn, scores)["value"] == 1.0
    overall = noise.auc_overall(drawn, scores)
    assert overall is not None
    assert overall < 1.0


def test_without_rollouts_it_is_skipped_and_says_where_they_are_missed(
    setting: Setting, tmp_path: Path
) -> None:
    results = noise.run(replace(setting, rollouts=tmp_path / "nowhere"))
    about = {
        "questions": 1,
        "small": "",
        "verifier": "",
        "large": "",
        "size": "",
        "weights": {},
        "seconds": {},
    }
    about |= {"difficulty_samples": 1, "probes": 1, "machine": ""}
    report.render({"about": about, "noise": results}, tmp_path / "paper.md")
    text = (tmp_path / "paper.md").read_text()
    assert str(tmp_path / "nowhere") in text
    assert "noise.png" not in text


def test_a_likelihood_is_the_geometric_mean_of_the_probabilities_of_a_turns_tokens() -> None:
    model = load_config("abacus", {}).models["abacus-small"]
    assert isinstance(model, TransformersModel)
    verifier = Likelihood("abacus-small", model)
    asked = ({"role": "user", "content": "Calculate 2 + 3."},)
    turns = [Prompt(asked, text) for text in ("2 + 3 = 5\nThe answer is 5.", "2 + 3 = 6", "")]
    likely, unlikely, empty = verifier.score(turns, Task()).scored
    assert 0 < unlikely.score < likely.score <= 1
    assert empty.score == 0
    alone = verifier.score(turns[1:2], Task()).scored[0].score
    assert alone == pytest.approx(unlikely.score, rel=1e-4)
    model_, chat = verifier._model, verifier._chat
    tokens, head = chat.encode(turns[1]), len(chat.encode(Prompt(asked)))
    with torch.no_grad():
        odds = model_(input_ids=torch.tensor([tokens])).logits[0].softmax(-1)
    own = [float(odds[at - 1, tokens[at]]) for at in range(head, len(tokens))]
    assert unlikely.score == pytest.approx(float(np.prod(own)) ** (1 / len(own)), rel=1e-4)
