"""Drawing: in order, seeded a question, resumed, and never into the work of something else."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from workers.engines.scripted import ScriptedEngine
from workers.errors import EngineFailed
from workers.protocols import Prompt
from workers.training.errors import TrainingError
from workers.training.questions import Question
from workers.training.recipes import load_recipe
from workers.training.revisions import RevisionDataRecipe, make
from workers.training.rollouts import RolloutsRecipe
from workers.training.rollouts import make as make_rollouts

QUESTIONS = [Question(str(at), f"{at} + 1", str(at + 1)) for at in range(20)]
LOG = "samples.jsonl"


def _recipe(*overrides: str) -> RevisionDataRecipe:
    return load_recipe(RevisionDataRecipe, "revision-data", ["samples=3", *overrides])


def _engine() -> ScriptedEngine:
    """Right or wrong by question and seed; the first questions take longest."""

    def say(prompt: Prompt, index: int, seed: int) -> str:
        at = int(str(prompt.messages[0]["content"]).split()[0])
        time.sleep(0.002 * (3 - at % 4))
        wrong = random.Random(f"{seed}:{index}").randrange(3)
        return f"The answer is {at + 1 + wrong}."

    return ScriptedEngine(say)


def _draw(folder: Path, engine: ScriptedEngine | None = None, *overrides: str) -> list[dict[str, object]]:
    make(_recipe(*overrides), QUESTIONS, folder, lambda: engine or _engine())
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_rows_are_in_the_order_of_the_questions(tmp_path: Path) -> None:
    assert [row["id"] for row in _draw(tmp_path)] == [question.id for question in QUESTIONS]


def test_the_same_seed_draws_the_same_and_another_does_not(tmp_path: Path) -> None:
    rows = _draw(tmp_path / "one")
    assert _draw(tmp_path / "two") == rows
    assert _draw(tmp_path / "three", None, "seed=2") != rows


def test_every_question_has_a_seed_of_its_own(tmp_path: Path) -> None:
    engine = _engine()
    _draw(tmp_path, engine)
    assert len({params.seed for _, params in engine.calls}) == len(QUESTIONS)


@pytest.mark.parametrize("kept", [0, 1, 7, 19])
def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path: Path, kept: int) -> None:
    rows = _draw(tmp_path / "whole")
    lines = (tmp_path / "whole" / LOG).read_text().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / LOG).write_text("".join(lines[:kept]) + lines[kept][:20])
    engine = _engine()
    assert _draw(tmp_path / "cut", engine) == rows
    assert len(engine.calls) == len(QUESTIONS) - kept
    parquet = [(tmp_path / each / "revisions.parquet").read_bytes() for each in ("whole", "cut")]
    assert parquet[0] == parquet[1]


def test_what_was_drawn_before_an_engine_failed_is_kept(tmp_path: Path) -> None:
    engine = _engine()
    failing = ScriptedEngine(lambda prompt, index, seed: _reply_or_fail(engine, prompt, index, seed))
    with pytest.raises(EngineFailed):
        _draw(tmp_path, failing)
    rows = (tmp_path / LOG).read_text().splitlines()
    assert [json.loads(row)["id"] for row in rows] == [question.id for question in QUESTIONS[:10]]
    assert failing.closed
    assert _draw(tmp_path) == _draw(tmp_path / "whole")


def _reply_or_fail(engine: ScriptedEngine, prompt: Prompt, index: int, seed: int) -> str:
    if prompt.messages[0]["content"] == "10 + 1":
        raise EngineFailed("gone")
    return engine._reply(prompt, index, seed)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.temperature=0.5"], r"another recipe: model.temperature is 1.0 there, and 0.5 in this one"),
        (["samples=4"], "another recipe: samples is 3 there, and 4 in this one"),
        (["model.parameters=9"], "another recipe: model.parameters is None there, and 9 in this one"),
    ],
)
def test_the_work_of_another_recipe_is_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    _draw(tmp_path)
    with pytest.raises(TrainingError, match=message):
        _draw(tmp_path, None, *overrides)


def test_a_folder_in_which_nothing_was_drawn_is_free_for_another_recipe(tmp_path: Path) -> None:
    failing = ScriptedEngine([])
    failing.fail_with = "gone"
    with pytest.raises(EngineFailed):
        _draw(tmp_path, failing, "seed=2")
    assert _draw(tmp_path) == _draw(tmp_path / "other")


def test_the_work_on_other_questions_is_refused(tmp_path: Path) -> None:
    _draw(tmp_path)
    with pytest.raises(TrainingError, match="other questions; choose another --output"):
        make(_recipe(), QUESTIONS[1:], tmp_path, _engine)


def test_a_log_of_other_questions_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text(
        '{"id": "0", "question": "9 + 1", "answer": "10", "texts": [], "ended": []}\n'
    )
    with pytest.raises(TrainingError, match=r"samples\.jsonl:1: is not of a question asked for"):
        _draw(tmp_path)


def test_a_reference_that_cannot_be_read_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    engine = _engine()
    with pytest.raises(TrainingError, match="question x: its answer 'lots' cannot be read as task 'number'"):
        make(_recipe("task=number"), [Question("x", "1 + 1", "lots")], tmp_path, lambda: engine)
    assert not engine.calls


def test_a_question_that_is_too_long_is_named(tmp_path: Path) -> None:
    long = Question("x", "1 + " * 300 + "1", "301")
    with pytest.raises(TrainingError, match="question x: the prompt has"):
        make(_recipe(), [long], tmp_path, lambda: ScriptedEngine(["The answer is 1."], context_tokens=50))


def test_the_work_of_another_command_is_not_written_over(tmp_path: Path) -> None:
    _draw(tmp_path)
    about = (tmp_path / "about.json").read_text()
    recipe = load_recipe(RolloutsRecipe, "rollouts")
    with pytest.raises(TrainingError, match=r"holds samples\.jsonl, the work of another command"):
        make_rollouts(recipe, QUESTIONS, tmp_path, lambda: pytest.fail("nothing is to be drawn"))
    assert (tmp_path / "about.json").read_text() == about


def test_samples_of_a_model_that_was_trained_anew_are_not_mixed_with_those_before(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(bytes(5_000_000))
    override = f"model.path={model}"
    _draw(tmp_path / "data", None, override)
    assert _draw(tmp_path / "data", None, override)
    (model / "model.safetensors").write_bytes(bytes(4_990_000) + b"x" * 10_000)
    with pytest.raises(TrainingError, match="weights have changed"):
        _draw(tmp_path / "data", None, override)
