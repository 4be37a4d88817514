"""The example on a real model: its script writes questions, and its recipes and configuration are read."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.types import Task
from workers import settings
from workers.answers import answers_for
from workers.answers.reference import are_right
from workers.training.questions import Question, read_questions
from workers.training.recipes import load_recipe
from workers.training.recipes.learning import PrmRecipe
from workers.training.rollouts import RolloutsRecipe

EXAMPLE = Path(__file__).parents[3] / "examples" / "smollm2"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Question]]:
    """Runs the script with these arguments, as from a shell; returns what it wrote."""

    def run(*arguments: str) -> list[Question]:
        output = tmp_path / "questions.jsonl"
        monkeypatch.setattr(sys, "argv", ["questions.py", *arguments, "--output", str(output)])
        runpy.run_path(str(EXAMPLE / "questions.py"), run_name="__main__")
        return read_questions(output)

    return run


def test_two_stretches_of_questions_share_none(write: Callable[..., list[Question]]) -> None:
    whole = write("sums", "--count", "6")
    rest = write("sums", "--count", "4", "--skip", "2")
    assert len({each.question for each in whole}) == 6
    assert [each.question for each in whole[2:]] == [each.question for each in rest]


def test_the_examples_in_a_question_answer_as_answers_are_read(
    write: Callable[..., list[Question]],
) -> None:
    (question,) = write("sums", "--count", "1")
    shown = question.question.split("Q: ")[1]
    assert shown.startswith("What is 4 + 9?")
    answers = answers_for(Task("number"))
    assert are_right(answers, [answers.extract(shown)], "13") == (True,)


def test_answers_of_gsm8k_stand_after_their_mark(
    write: Callable[..., list[Question]], tmp_path: Path
) -> None:
    file = tmp_path / "test.jsonl"
    row = {"question": "How many?", "answer": "3 * 6 = <<3*6=18>>18\n#### 18"}
    file.write_text(json.dumps(row) + "\n", "utf-8")
    (question,) = write("gsm8k", "--file", str(file))
    assert question.question.endswith("Q: How many?\nA:")
    assert question.answer == "18"


def test_recipes_and_configuration_name_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADUS_CONFIG", raising=False)
    drawn = load_recipe(RolloutsRecipe, str(EXAMPLE / "rollouts.yaml"))
    learned = load_recipe(PrmRecipe, str(EXAMPLE / "prm.yaml"))
    served = settings.load(str(EXAMPLE / "gradus.yaml")).models["smollm2-135m"]
    assert served.engine == drawn.model.engine == "transformers"
    assert served.path == drawn.model.path == learned.base
    assert learned.task == drawn.task
