"""Soft labels, step ends, selection and the numbers of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.training.abacus.conftest import TINY
from workers.training.abacus import evaluate, measure, prm, surprise
from workers.training.abacus.data import load_problems, load_tokenizer
from workers.training.abacus.models import new_model, new_prm
from workers.training.abacus.rollouts import RolloutSettings, label_questions, run, step_prefixes
from workers.training.abacus.sampling import SamplingSettings, sample
from workers.training.abacus.tasks import Problem
from workers.training.abacus.tokenizer import prompt_ids

RIGHT = "3 * 4 = 12\n2 + 12 = 14\nThe answer is 14."
WRONG = "3 * 4 = 12\n2 + 12 = 15\nThe answer is 15."
PROBLEM = Problem("arithmetic", "Calculate 2 + 3 * 4.", RIGHT, "14", "2+3*4")


def test_soft_labels_are_shares_of_right_rollouts_and_prefixes_are_shared() -> None:
    asked: list[tuple[str, int]] = []

    def go_on(pairs: list[tuple[str, str]], copies: int) -> list[list[str]]:
        asked.extend((prefix, copies) for _, prefix in pairs)
        ends = {
            "": [RIGHT, WRONG, RIGHT, "no answer"],
            "3 * 4 = 12\n": ["The answer is 14.", "2 + 12 = 14\nThe answer is 14.", "The answer is 1.", "?"],
            "3 * 4 = 12\n2 + 12 = 14\n": ["The answer is 14."] * 4,
            "3 * 4 = 12\n2 + 12 = 15\n": ["The answer is 15."] * 3 + ["The answer is 14."],
        }
        return [ends[prefix] for _, prefix in pairs]

    (samples,) = label_questions([PROBLEM], samples=4, rollouts=4, go_on=go_on)
    assert {one["text"]: one["labels"] for one in samples} == {
        RIGHT: [0.5, 1.0, 1.0],
        WRONG: [0.5, 0.25, 0.0],
    }
    assert {one["text"]: one["count"] for one in samples} == {RIGHT: 2, WRONG: 1}
    assert sorted(asked) == [
        ("", 4),
        *((prefix, 4) for prefix in sorted(step_prefixes(RIGHT) + step_prefixes(WRONG)[1:])),
    ]


def test_steps_end_at_newlines_and_at_the_end_token(built: Path) -> None:
    tokenizer = load_tokenizer(built)
    ids, ends, start = prm.encode_solution(tokenizer, PROBLEM.question, RIGHT)
    assert [tokenizer.decode([ids[place]]) for place in ends] == ["\n", "\n", tokenizer.eos_token]
    partial, partial_ends, _ = prm.encode_solution(tokenizer, PROBLEM.question, "3 * 4 = 12\n")
    assert partial_ends == [len(partial) - 1]
    assert ids[: len(partial)] == partial
    assert partial_ends == ends[:1]
    assert tokenizer.decode(ids[start:]) == RIGHT + tokenizer.eos_token


def _row(labels: list[float]) -> dict[str, Any]:
    return {"question": PROBLEM.question, "samples": [{"text": RIGHT, "count": 2, "labels": labels}]}


def test_the_loss_is_the_cross_entropy_of_soft_labels(built: Path) -> None:
    tokenizer = load_tokenizer(built)
    model = new_prm(new_model(TINY, tokenizer, 0), 0)
    solutions = prm.labelled_solutions(tokenizer, [_row([0.25, 0.5, 1.0])])
    # The head starts at zero: every probability is one half, whatever the label.
    assert prm.mean_loss(model, solutions, 8) == pytest.approx(0.6931, abs=1e-4)
    assert prm.score_solutions(model, tokenizer, [(PROBLEM.question, RIGHT)]) == [[0.5, 0.5, 0.5]]


def test_prm_training_resumes_to_the_same_weights(built: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(built)
    problems = load_problems(built, "train", 60)
    rows = [
        {"question": p.question, "samples": [{"text": p.solution, "count": 1, "labels": labels}]}
        for p in problems
        for labels in [[0.5] * p.solution.count("\n") + [1.0]]
    ]
    settings = prm.PrmSettings(epochs=3, patience_epochs=5, batch_solutions=16)

    def trained(folder: Path, *stops: int | None) -> dict[str, torch.Tensor]:
        for stop in stops:
            model = new_prm(new_model(TINY, tokenizer, 0), 0)
            prm.train(model, tokenizer, rows, folder, settings, stop_after_epochs=stop)
        return dict(model.state_dict())

    straight, resumed = trained(tmp_path / "a", None), trained(tmp_path / "b", 1, None)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_rollouts_are_kept_and_go_on_after_a_kill(built: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(built)
    model = new_model(TINY, tokenizer, 0).eval()
    problems = load_problems(built, "train", 20)
    sampling = SamplingSettings(0.8, max_new_tokens=12)
    path = tmp_path / "rollouts.jsonl"
    settings = RolloutSettings(samples=2, rollouts=2)
    whole = run(model, tokenizer, problems, path, settings, sampling)
    text = path.read_text()
    path.write_text("".join(text.splitlines(keepends=True)[:17]) + '{"torn')
    assert run(model, tokenizer, problems, path, settings, sampling) == whole
    assert path.read_text() == text


def test_shared_prompt_sampling_agrees_with_transformers(built: Path) -> None:
    tokenizer = load_tokenizer(built)
    model = new_model(TINY, tokenizer, 1).eval()
    prompts = [prompt_ids(tokenizer, p.question) for p in load_problems(built, "test", 6)]
    settings = SamplingSettings(temperature=0.0, max_new_tokens=6)
    drawn = sample(model, prompts, settings, copies=2, eos=tokenizer.eos_token_id, seed=0)
    for prompt, (first, second) in zip(prompts, drawn, strict=True):
        expected = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=6)[0, len(prompt) :]
        assert first == second == expected.tolist()


def test_the_surprise_target_is_the_probability_of_the_solution_so_far(built: Path) -> None:
    tokenizer = load_tokenizer(built)
    model = new_model(TINY, tokenizer, 1).eval()
    (one,) = prm.labelled_solutions(tokenizer, [_row([0.5, 0.5, 1.0])])
    targets, written = surprise.probability_so_far(model, [one])
    with torch.no_grad():
        steps = model(torch.tensor([one.ids])).logits[0].log_softmax(-1)
    places = range(one.start, len(one.ids))
    assert written[0].nonzero().squeeze(1).tolist() == list(places)
    # The first three tokens; an untrained model's probability of the whole is too small for a float.
    expected = sum(float(steps[place - 1, one.ids[place]]) for place in places[:3])
    assert float(targets[0, one.start + 2].log()) == pytest.approx(expected, rel=1e-3)


def test_selection() -> None:
    answers = ["1", "2", "2", None, "3"]
    assert measure.majority_answer(answers) == "2"
    assert measure.weighted_answer(answers, [0.9, 0.3, 0.4, 1.0, 0.1]) == "1"
    assert measure.majority_answer([None]) is None


@pytest.mark.parametrize(
    ("right", "k", "expected"), [(0, 4, 0.0), (4, 1, 1.0), (2, 1, 0.5), (1, 4, 1.0), (2, 2, 5 / 6)]
)
def test_pass_at_k_is_unbiased(right: int, k: int, expected: float) -> None:
    assert measure.pass_at_k(4, right, k) == pytest.approx(expected)


def test_auc_counts_ties_half() -> None:
    assert evaluate.auc([0.1, 0.9], [False, True]) == 1.0
    assert evaluate.auc([0.5, 0.5], [False, True]) == 0.5
    assert evaluate.auc([0.2, 0.1, 0.3, 0.2], [True, False, True, False]) == pytest.approx(0.875)


@pytest.mark.parametrize(
    ("score", "name"),
    [(0.61, "easy"), (0.6, "medium"), (0.35, "hard"), (0.15, "very_hard"), (0.0, "very_hard")],
)
def test_bins_are_those_of_algorithm_6(score: float, name: str) -> None:
    assert evaluate.bin_of(score) == name


def test_quintiles_run_from_the_easiest() -> None:
    quintiles = measure.quintile_of([0.0, 1.0, 0.5, 0.2, 0.8])
    assert quintiles.tolist() == [4, 0, 2, 3, 1]
