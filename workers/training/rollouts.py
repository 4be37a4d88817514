"""`gradus train rollouts`: attempts with a soft label a step (Snell et al. 2024, Algorithm 1).

A question's samples are drawn, those without an answer dropped. From the end of each step the model goes on
a number of times; the step's label is the share of those rollouts that were right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer
from pydantic import Field

from router.config.fields import Count, Section
from router.types import Task
from workers.answers import answers_for
from workers.answers.reference import are_right
from workers.executor import steps_of
from workers.protocols import Completion, Prompt
from workers.search.revisions import SHOWN, revision_conversation
from workers.training.commands import DataOutput, Overrides, QuestionsFile, Recipe
from workers.training.datasets import Attempt, read_log, write_attempts, write_card
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
from workers.training.questions import Question, read_questions
from workers.training.recipes import Comparing, Sampled, load_recipe, recipe_text

LOG = "rollouts.jsonl"

_ABOUT = """Attempts of {model} at {questions} questions, written by `gradus train rollouts`: a row a distinct
sample that has an answer, drawn `count` times. `history` holds the earlier attempts that it was shown,
`labels` one number a step: the share of {rollouts} rollouts from the step's end that were right, null where
none were made; the last step's is 1 or 0, right or wrong (Snell et al. 2024, Algorithm 1)."""


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
    claim(folder, recipe, questions)
    check_references(questions, recipe.task)
    log = folder / LOG
    draw_all(log, questions, partial(label, recipe), open_engine, recipe.model, recipe.seed)
    rows = list(read_log(log))
    attempts = [attempt for row in rows for attempt in _attempts(row)]
    if not attempts:
        raise TrainingError(f"{log}: no sample has an answer that task {recipe.task!r} can read")
    write_attempts(folder, attempts)
    _write_card(folder, recipe, attempts, tokens_drawn(rows))
    return attempts


def label(recipe: RolloutsRecipe, question: Question, draw: Draw) -> dict[str, Any]:
    """The distinct samples of one question: {"text", "count", "labels"}, of chains also "history".

    Equal beginnings of one conversation are rolled out once.
    """
    if recipe.rollouts and not draw.engine.continues_turns:
        raise TrainingError(
            f"model {draw.engine.model} cannot go on with a turn that was begun, as rollouts have to; "
            "label whole attempts only: --set rollouts=0"
        )
    steps, answers = steps_of(recipe.model), answers_for(Task(recipe.task))
    messages = ({"role": "user", "content": question.question},)

    def judge(texts: Sequence[str]) -> tuple[bool, ...]:
        found = [answers.extract(steps.answer(text)) for text in texts]
        return are_right(answers, found, question.answer)

    def conversation(history: Sequence[str]) -> Any:
        return revision_conversation(messages, history, recipe.model.revise_prompt)

    drawn = Counter(_sample(recipe, draw, conversation))
    kept = [(history, text) for history, text in drawn if answers.extract(steps.answer(text)) is not None]
    prefixes: dict[tuple[tuple[str, ...], str], float | None] = {}
    for history, text in kept:
        parts = steps.split(text)
        prefixes |= {(history, "".join(parts[:end])): None for end in range(1, len(parts))}
    if recipe.rollouts:
        begun = [key for key in prefixes for _ in range(recipe.rollouts)]
        ends = draw([Prompt(conversation(history), prefix) for history, prefix in begun])
        verdicts = judge([prefix + end.text for (_, prefix), end in zip(begun, ends, strict=True)])
        for at, key in enumerate(prefixes):
            rolled = verdicts[at * recipe.rollouts : (at + 1) * recipe.rollouts]
            prefixes[key] = sum(rolled) / recipe.rollouts
    samples = []
    for (history, text), right in zip(kept, judge([text for _, text in kept]), strict=True):
        parts = steps.split(text)
        labels = [prefixes[history, "".join(parts[:end])] for end in range(1, len(parts))]
        sample = {"text": text, "count": drawn[history, text], "labels": [*labels, float(right)]}
        samples.append({**sample, "history": list(history)} if recipe.chain_length > 1 else sample)
    return {"samples": samples}


def _sample(recipe: RolloutsRecipe, draw: Draw, conversation: Any) -> list[tuple[tuple[str, ...], str]]:
    """(earlier attempts shown, text) of all attempts that came to their end, chains side by side."""
    steps = steps_of(recipe.model)
    chains: list[list[str]] = [[] for _ in range(recipe.samples)]
    found = []
    for _ in range(recipe.chain_length):
        prompts = [Prompt(conversation(chain)) for chain in chains]
        # Long attempts may leave no room for one more; a question that is too long itself is an error.
        chains = [c for c, prompt in zip(chains, prompts, strict=True) if not c or draw.fits(prompt)]
        done = draw([Prompt(conversation(chain)) for chain in chains])
        for chain, completion in zip(chains, done, strict=True):
            if _is_whole(completion):
                found.append((tuple(chain[-SHOWN:]), completion.text))
                chain.append(steps.answer(completion.text))
    return found


def _is_whole(completion: Completion) -> bool:
    return completion.ended == "stop" and bool(completion.text)


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


def _write_card(
    folder: Path, recipe: RolloutsRecipe, attempts: Sequence[Attempt], tokens: int | None
) -> None:
    drawn = sum(attempt.count for attempt in attempts)
    right = sum(attempt.count for attempt in attempts if attempt.right)
    questions = len({attempt.id for attempt in attempts})
    rolled = sum(label is not None for attempt in attempts for label in attempt.labels[:-1])
    numbers = {
        "questions with an attempt": questions,
        "attempts": f"{drawn}, {len(attempts)} of them distinct",
        "right": f"{right / drawn:.1%}",
        "steps with a label from rollouts": rolled,
        "tokens drawn": "not known" if tokens is None else tokens,
    }
    model = model_name(recipe.model)
    about = _ABOUT.format(model=model, questions=questions, rollouts=recipe.rollouts)
    write_card(folder, f"Attempts of {model}", about, numbers, recipe_text(recipe))
