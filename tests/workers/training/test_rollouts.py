"""Algorithm 1: which samples are kept, and what the label of a step is."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import REVISE
from workers.engines.scripted import ScriptedEngine
from workers.protocols import Prompt
from workers.training.datasets import TURNS, Attempt, read_attempts
from workers.training.errors import TrainingError
from workers.training.questions import Question
from workers.training.recipes import load_recipe
from workers.training.rollouts import RolloutsRecipe, make
from workers.verifiers.outcomes import read_outcomes

SUM = Question("7", "1 + 2", "3")
RIGHT, WRONG = "1 + 2 = 3\nThe answer is 3.", "1 + 2 = 4\nThe answer is 4."


def _recipe(**fields: object) -> RolloutsRecipe:
    return load_recipe(RolloutsRecipe, "rollouts", [f"{name}={value}" for name, value in fields.items()])


def _attempts(engine: ScriptedEngine, folder: Path, **fields: object) -> list[Attempt]:
    return make(_recipe(**fields), [SUM], folder, lambda: engine)


def test_a_step_is_labelled_with_the_share_of_its_rollouts_that_were_right(tmp_path: Path) -> None:
    def say(prompt: Prompt, index: int, seed: int) -> str:
        if not prompt.prefix:
            return (RIGHT, RIGHT, WRONG, "I do not know")[index]
        # Of four rollouts from a right step three are right; from a wrong one, one.
        right = index % 4 < (3 if "= 3" in prompt.prefix else 1)
        return "The answer is 3." if right else "The answer is 4."

    attempts = _attempts(ScriptedEngine(say), tmp_path, samples=4, rollouts=4, task="number")
    assert attempts == [
        Attempt("7", "1 + 2", "3", (), RIGHT, 2, (0.75, 1.0), True),
        Attempt("7", "1 + 2", "3", (), WRONG, 1, (0.25, 0.0), False),
    ]
    assert read_attempts(tmp_path) == attempts
    (asked,) = read_outcomes(tmp_path / TURNS)  # as `gradus quality` does: a row a draw
    assert [(one.text, one.right) for one in asked.outcomes] == [(RIGHT, True), (RIGHT, True), (WRONG, False)]
    assert asked.task.kind == "number"


def test_equal_beginnings_are_rolled_out_once(tmp_path: Path) -> None:
    engine = ScriptedEngine(["a\nThe answer is 3.", "a\nThe answer is 4.", "b\nThe answer is 3."])
    _attempts(engine, tmp_path, samples=3, rollouts=5)
    drawn, rolled = engine.calls
    assert [prompt.prefix for prompt in drawn[0]] == ["", "", ""]
    assert [prompt.prefix for prompt in rolled[0]] == ["a\n"] * 5 + ["b\n"] * 5
    assert drawn[1].seed != rolled[1].seed


def test_samples_that_were_cut_off_are_dropped(tmp_path: Path) -> None:
    engine = ScriptedEngine([RIGHT, "The answer is 3. " + "And so on. " * 200])
    assert [each.text for each in _attempts(engine, tmp_path, samples=2, rollouts=0)] == [RIGHT]


def test_a_rollout_that_was_cut_off_is_not_right(tmp_path: Path) -> None:
    def say(prompt: Prompt, index: int, seed: int) -> str:
        return "The answer is 3. " + "And so on. " * 200 if prompt.prefix else RIGHT

    (attempt,) = _attempts(ScriptedEngine(say), tmp_path, samples=1, rollouts=2)
    assert attempt.labels == (0.0, 1.0)


def test_without_rollouts_only_the_last_step_has_a_label(tmp_path: Path) -> None:
    engine = ScriptedEngine([RIGHT, WRONG])
    labels = [each.labels for each in _attempts(engine, tmp_path, samples=2, rollouts=0)]
    assert labels == [(None, 1.0), (None, 0.0)]
    assert len(engine.calls) == 1


def test_equal_in_value_is_right(tmp_path: Path) -> None:
    (attempt,) = _attempts(
        ScriptedEngine(["The answer is 3.0."]), tmp_path, samples=1, rollouts=0, task="number"
    )
    assert attempt.right


def test_a_chain_shows_each_attempt_the_last_four_before_it(tmp_path: Path) -> None:
    def say(prompt: Prompt, index: int, seed: int) -> str:
        return f"The answer is {sum(message['role'] == 'assistant' for message in prompt.messages)}."

    engine = ScriptedEngine(say)
    attempts = _attempts(engine, tmp_path, samples=1, rollouts=0, chain_length=6)
    said = [f"The answer is {count}." for count in (0, 1, 2, 3, 4, 4)]
    assert [each.text for each in attempts] == said
    assert [each.history for each in attempts] == [tuple(said[max(0, at - 4) : at]) for at in range(6)]
    assert [each.right for each in attempts] == [False, False, False, True, False, False]
    messages = engine.calls[2][0][0].messages
    assert [message["content"] for message in messages] == ["1 + 2", said[0], REVISE, said[1], REVISE]


def test_an_attempt_without_an_answer_is_shown_but_not_kept(tmp_path: Path) -> None:
    engine = ScriptedEngine(
        lambda prompt, index, seed: "I do not know" if len(prompt.messages) == 1 else RIGHT
    )
    (attempt,) = _attempts(engine, tmp_path, samples=1, rollouts=0, chain_length=2, task="number")
    assert attempt.history == ("I do not know",)


def test_a_chain_that_no_longer_fits_ends(tmp_path: Path) -> None:
    engine = ScriptedEngine([RIGHT], context_tokens=70)
    attempts = _attempts(engine, tmp_path, samples=1, rollouts=0, chain_length=5)
    assert len(attempts) == len(engine.calls) == 2


def test_steps_of_a_chain_are_rolled_out_in_their_conversation(tmp_path: Path) -> None:
    engine = ScriptedEngine([RIGHT])
    attempts = _attempts(engine, tmp_path, samples=1, rollouts=2, chain_length=2)
    assert [each.labels for each in attempts] == [(1.0, 1.0), (1.0, 1.0)]
    rolled = engine.calls[-1][0]
    assert [len(prompt.messages) for prompt in rolled] == [1, 1, 3, 3]


def test_a_model_that_cannot_go_on_with_a_turn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--set rollouts=0"):
        _attempts(ScriptedEngine([RIGHT], continues_turns=False), tmp_path)
    other = ScriptedEngine([RIGHT], continues_turns=False)
    assert _attempts(other, tmp_path / "whole", rollouts=0)


def test_a_model_that_never_answers_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no sample has an answer"):
        _attempts(ScriptedEngine(["Hello"]), tmp_path, task="number")
