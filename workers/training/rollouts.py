"""`gradus train rollouts`: attempts with a soft label a step (Snell et al. 2024, Algorithm 1).

A question's samples are drawn, those without an answer dropped. From the end of each step the model goes on
a number of times; the step's label is the share of those rollouts that were right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import typer
from pydantic import Field

from router.config.fields import Count, Section
from router.types import Task
from workers.answers import Answers, answers_for
from workers.answers.reference import are_right
from workers.protocols import Prompt
from workers.search.revisions import SHOWN, revision_conversation
from workers.steps import Steps, steps_of
from workers.training import files
from workers.training.commands import DataOutput, Overrides, QuestionsFile, Recipe
from workers.training.datasets import TURNS, Attempt, read_log, write_attempts, write_card
from workers.training.drawing import (
    Draw,
    OpenEngine,
    check_references,
    claim,
    draw_all,
    model_name,
    tokens_drawn,
)
from workers.training.errors import TrainingError
from workers.training.questions import Question, questions_hash, read_questions
from workers.training.recipes import Comparing, Sampled, load_recipe, recipe_text

LOG = "rollouts.jsonl"

_ABOUT = """Attempts of {model}: a row a distinct sample that has an answer, drawn `count` times. `history`
holds the earlier attempts that it was shown. `labels` has one number a step: the last step's is 1 or 0, right
or wrong, any other's {others} (Snell et al. 2024, Algorithm 1).

Made by `gradus train rollouts recipe.yaml --questions FILE --output FOLDER`."""


class RolloutsRecipe(Section):
    """``rollouts`` 0 labels only whole attempts. A sample is a chain of ``chain_length`` attempts."""

    model: Sampled
    task: Comparing = "auto"
    samples: Count = 16
    rollouts: int = Field(default=16, strict=True, ge=0)
    chain_length: Count = 1
    seed: int = Field(default=1, strict=True, ge=0)


def command(
    recipe: Recipe, questions: QuestionsFile, output: DataOutput, overrides: Overrides = None
) -> None:
    """Sample attempts at questions and label their steps by rollouts: what `prm` and `orm` learn from."""
    from workers.engines import load_engine

    loaded = load_recipe(RolloutsRecipe, recipe, overrides or ())
    asked = read_questions(questions.expanduser())
    make(loaded, asked, output.expanduser(), lambda: load_engine("sampled", loaded.model))
    typer.echo(str(output))


def make(
    recipe: RolloutsRecipe, questions: Sequence[Question], folder: Path, open_engine: OpenEngine
) -> list[Attempt]:
    """The data set of ``questions`` in ``folder``. Raises as :func:`workers.training.drawing.draw_all`."""
    check_references(questions, recipe.task)
    log = folder / LOG
    claim(log, recipe, questions)
    draw_all(log, questions, partial(label, recipe), open_engine, recipe.model, recipe.seed)
    rows = list(read_log(log))
    attempts = [attempt for row in rows for attempt in _attempts(row)]
    if not attempts:
        raise TrainingError(f"{log}: no sample has an answer that task {recipe.task!r} can read")
    write_attempts(folder, attempts)
    files.write_json_lines(folder / TURNS, (turn for one in attempts for turn in _turns(recipe, one)))
    _write_card(folder, recipe, questions, attempts, tokens_drawn(rows))
    return attempts


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: how attempts at it are asked for, cut into steps and judged."""

    recipe: RolloutsRecipe
    question: Question
    steps: Steps
    answers: Answers

    def prompt(self, history: Sequence[str], prefix: str = "") -> Prompt:
        messages = ({"role": "user", "content": self.question.question},)
        return Prompt(revision_conversation(messages, history, self.recipe.model.revise_prompt), prefix)

    def answer(self, text: str) -> str | None:
        return self.answers.extract(self.steps.answer(text))

    def right(self, texts: Sequence[str]) -> tuple[bool, ...]:
        return are_right(self.answers, [self.answer(text) for text in texts], self.question.answer)

    def beginnings(self, text: str) -> list[str]:
        """The text up to the end of each step but the last, which needs no rollout."""
        return list(accumulate(self.steps.split(text)))[:-1]


_Begun = tuple[tuple[str, ...], str]
"""The earlier attempts that were shown, and the text of an attempt or its beginning."""


def label(recipe: RolloutsRecipe, question: Question, draw: Draw) -> dict[str, Any]:
    """The distinct samples of one question: {"text", "count", "labels"}, of chains also "history".

    Equal beginnings of one conversation are rolled out once.
    """
    asked = _Asked(recipe, question, steps_of(recipe.model), answers_for(Task(recipe.task)))
    drawn = Counter(_sample(asked, draw))
    kept = [(history, text) for history, text in drawn if asked.answer(text) is not None]
    begun = [(history, start) for history, text in kept for start in asked.beginnings(text)]
    shares = _roll_out(asked, draw, list(dict.fromkeys(begun))) if recipe.rollouts else {}
    samples = []
    for (history, text), right in zip(kept, asked.right([text for _, text in kept]), strict=True):
        labels = [*(shares.get((history, start)) for start in asked.beginnings(text)), float(right)]
        sample = {"text": text, "count": drawn[history, text], "labels": labels}
        samples.append({**sample, "history": list(history)} if recipe.chain_length > 1 else sample)
    return {"samples": samples}


def _sample(asked: _Asked, draw: Draw) -> list[_Begun]:
    """All attempts that came to their end, chains side by side."""
    chains: list[list[str]] = [[] for _ in range(asked.recipe.samples)]
    found = []
    for _ in range(asked.recipe.chain_length):
        # Long attempts may leave no room for one more; a question that is too long itself is an error.
        chains = [chain for chain in chains if not chain or draw.fits(asked.prompt(chain))]
        done = draw([asked.prompt(chain) for chain in chains])
        for chain, completion in zip(chains, done, strict=True):
            if completion.ended == "stop" and completion.text:
                found.append((tuple(chain[-SHOWN:]), completion.text))
                chain.append(asked.steps.answer(completion.text))
    return found


def _roll_out(asked: _Asked, draw: Draw, begun: Sequence[_Begun]) -> dict[_Begun, float]:
    """The share of rollouts that were right, of each beginning."""
    if begun and not draw.engine.continues_turns:
        raise TrainingError(
            f"model {draw.engine.model} cannot go on with a turn that was begun, as rollouts have to; "
            "label whole attempts only: --set rollouts=0"
        )
    copies = asked.recipe.rollouts
    ends = draw([asked.prompt(history, start) for history, start in begun for _ in range(copies)])
    shares = {}
    for at, (history, start) in enumerate(begun):
        # One that was cut off has no answer yet, whatever its last line says.
        texts = [start + end.text for end in ends[at * copies : (at + 1) * copies] if end.ended == "stop"]
        shares[history, start] = sum(asked.right(texts)) / copies
    return shares


def _attempts(row: dict[str, Any]) -> list[Attempt]:
    return [
        Attempt(
            id=str(row["id"]),
            question=row["question"],
            answer=row["answer"],
            history=tuple(sample.get("history", ())),
            text=sample["text"],
            count=sample["count"],
            labels=tuple(sample["labels"]),
            right=sample["labels"][-1] == 1.0,
        )
        for sample in row["samples"]
    ]


def _turns(recipe: RolloutsRecipe, attempt: Attempt) -> list[dict[str, Any]]:
    """An attempt as an outcome to measure verifiers on, as often as it was drawn."""
    asked = ({"role": "user", "content": attempt.question},)
    messages = revision_conversation(asked, attempt.history, recipe.model.revise_prompt)
    said = {"messages": messages, "text": attempt.text, "right": attempt.right}
    return [said | {"task": {"kind": recipe.task}}] * attempt.count


def _write_card(
    folder: Path,
    recipe: RolloutsRecipe,
    questions: Sequence[Question],
    attempts: Sequence[Attempt],
    tokens: int | None,
) -> None:
    drawn = len(questions) * recipe.samples * recipe.chain_length
    kept = sum(attempt.count for attempt in attempts)
    right = sum(attempt.count for attempt in attempts if attempt.right)
    answered = len({attempt.id for attempt in attempts})
    rolled = sum(label is not None for attempt in attempts for label in attempt.labels[:-1])
    numbers = {
        "questions with an attempt": f"{answered} of {len(questions)}",
        "sha256 of the questions": questions_hash(questions),
        "samples asked for": drawn,
        "attempts: samples with an answer": f"{kept}, {len(attempts)} of them distinct",
        "right, of the samples asked for (pass@1)": f"{right / drawn:.1%}",
        "right, of the attempts": f"{right / kept:.1%}",
        "steps with a label from rollouts": rolled,
        "tokens drawn": "not known" if tokens is None else tokens,
    }
    model = model_name(recipe.model)
    share = f"the share of {recipe.rollouts} rollouts from the step's end that were right"
    about = _ABOUT.format(model=model, others=share if recipe.rollouts else "null: none was rolled out")
    write_card(folder, f"Attempts of {model}", about, numbers, recipe_text(recipe))
