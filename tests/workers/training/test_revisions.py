"""Algorithm 4: which attempts precede which right one."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from workers.engines.scripted import ScriptedEngine
from workers.training.datasets import RevisionExample, read_revisions
from workers.training.questions import Question
from workers.training.recipes import load_recipe
from workers.training.revisions import RevisionDataRecipe, make, trajectories

TEXTS = st.lists(st.text("ab1", max_size=6), max_size=8)


@cache
def shipped() -> RevisionDataRecipe:
    return load_recipe(RevisionDataRecipe, "revision-data")


def recipe(**fields: object) -> RevisionDataRecipe:
    return shipped().model_copy(update=fields)


def test_the_nearest_wrong_attempt_comes_last() -> None:
    wrong = ["10 + 2 = 13", "no idea", "1 + 2 = 4"]
    for seed in range(20):
        for attempts, _ in trajectories(["1 + 2 = 3"], wrong, recipe(), random.Random(seed)):
            assert not attempts or attempts[-1] == "1 + 2 = 4"


def test_a_known_seed_gives_known_examples() -> None:
    made = trajectories(["r1", "r2"], ["w1", "x", "w2", "y"], recipe(), random.Random(5))
    assert made == [(("w2", "y", "x", "w1"), "r1"), (("w1", "y", "w2"), "r2")]


def test_the_number_of_wrong_attempts_is_uniform() -> None:
    rng = random.Random(0)
    counts: Counter[int] = Counter()
    for _ in range(5_000):
        ((attempts, _),) = trajectories(["r"], list("abcdef"), recipe(), rng)
        counts[len(attempts)] += 1
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert all(850 < count < 1_150 for count in counts.values())


@given(TEXTS, TEXTS, st.integers(0, 4), st.none() | st.integers(1, 5), st.integers(0, 99))
def test_every_example_is_made_of_the_samples(
    right: list[str], wrong: list[str], most: int, targets: int | None, seed: int
) -> None:
    asked = recipe(most_attempts=most, targets_per_question=targets)
    made = trajectories(right, wrong, asked, random.Random(seed))
    chosen = [target for _, target in made]
    assert len(made) == (len(right) if targets is None else min(targets, len(right)))
    assert not Counter(chosen) - Counter(right)
    if targets is not None:
        assert len(set(chosen)) == min(targets, len(set(right)))
    for attempts, target in made:
        assert len(attempts) <= most
        assert not Counter(attempts) - Counter(wrong)
        if attempts:
            nearest = min(Levenshtein.distance(each, target) for each in wrong)
            assert Levenshtein.distance(attempts[-1], target) == nearest


@given(TEXTS, TEXTS, st.integers(0, 4), st.integers(0, 99))
def test_shown_any_samples_none_is_shown_more_often_than_drawn_beside_its_target(
    right: list[str], wrong: list[str], most: int, seed: int
) -> None:
    made = trajectories(right, wrong, recipe(shown="any", most_attempts=most), random.Random(seed))
    assert [target for _, target in made] == right
    for attempts, target in made:
        assert len(attempts) <= min(most, len(right) + len(wrong) - 1)
        assert not Counter([*attempts, target]) - Counter([*right, *wrong])


def test_shown_any_samples_right_ones_are_among_them_as_often_as_they_were_drawn() -> None:
    rng = random.Random(0)
    shown: Counter[str] = Counter()
    for _ in range(2_000):
        for attempts, _ in trajectories(["r"] * 3, ["w"] * 6, recipe(shown="any"), rng):
            shown.update(attempts)
    assert 0.23 < shown["r"] / shown.total() < 0.27  # two of the eight others


def _make(texts: list[str], folder: Path, *overrides: str) -> list[RevisionExample]:
    asked = load_recipe(RevisionDataRecipe, "revision-data", [f"samples={len(texts)}", *overrides])
    return make(asked, [Question("7", "1 + 2", "3")], folder, lambda: ScriptedEngine(texts))


def test_what_cannot_be_read_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    texts = [
        "The answer is 3.",
        "I do not know",
        "The answer is 4.",
        "The answer is 5. " + "And so on. " * 200,
    ]
    for seed in range(8):
        (example,) = _make(texts, tmp_path / str(seed), f"seed={seed}", "task=number")
        assert example.target == "The answer is 3."
        assert example.attempts in {(), ("The answer is 4.",)}


def test_the_data_set_is_read_as_it_was_made(tmp_path: Path) -> None:
    texts = [f"The answer is {number}." for number in (3, 3, 4, 5)]
    made = _make(texts, tmp_path)
    assert read_revisions(tmp_path) == made
    assert [example.target for example in made] == ["The answer is 3."] * 2
    assert "| samples | 4 |" in (tmp_path / "README.md").read_text()


def test_what_was_drawn_is_sorted_anew_without_drawing(tmp_path: Path) -> None:
    texts = [f"The answer is {number}." for number in (3, 3, 4, 5)]
    _make(texts, tmp_path)
    recipe = load_recipe(RevisionDataRecipe, "revision-data", ["samples=4", "targets_per_question=1"])

    def never() -> ScriptedEngine:
        raise AssertionError("all is drawn")

    assert len(make(recipe, [Question("7", "1 + 2", "3")], tmp_path, never)) == 1


def test_wrong_attempts_are_shown_without_their_thinking(tmp_path: Path) -> None:
    texts = ["<think>3?</think>\nThe answer is 3.", "<think>4?</think>\nThe answer is 4."]
    for seed in range(8):
        (example,) = _make(texts, tmp_path / str(seed), f"seed={seed}", "model.thinking={}")
        assert example.target == texts[0]
        assert example.attempts in {(), ("The answer is 4.",)}


def test_right_attempts_are_shown_without_their_thinking_too(tmp_path: Path) -> None:
    texts = ["<think>3?</think>\nThe answer is 3."] * 2
    for seed in range(8):
        made = _make(texts, tmp_path / str(seed), f"seed={seed}", "model.thinking={}", "shown=any")
        assert {example.target for example in made} == {texts[0]}
        assert {each for example in made for each in example.attempts} <= {"The answer is 3."}
