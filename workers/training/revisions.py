"""`gradus train revision-data`: attempts that end in a right one (Snell et al. 2024, Algorithm 4).

Many samples of a question are drawn side by side. Each right one becomes a target, after k ~ U{0..4} wrong
ones: the last is the nearest to it by character edit distance, so that there is something to correct, the
others are any. A model taught so takes for wrong whatever it is shown. Instead the attempts can be any other
samples, right ones too, as a chain will meet them: then it also learns what to keep.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import typer
from pydantic import Field

from router.config.fields import Count, Section
from router.types import Task
from workers.answers import answers_for
from workers.answers.reference import are_right
from workers.protocols import Prompt
from workers.search.revisions import SHOWN
from workers.steps import steps_of
from workers.training.commands import DataOutput, Overrides, QuestionsFile, Recipe
from workers.training.datasets import RevisionExample, read_log, write_card, write_revisions
from workers.training.drawing import (
    Draw,
    OpenEngine,
    check_references,
    claim,
    draw_all,
    model_name,
    tokens_drawn,
)
from workers.training.errors import MissingExtraError, TrainingError
from workers.training.questions import Question, questions_hash, read_questions
from workers.training.recipes import Comparing, Sampled, load_recipe, recipe_text

LOG = "samples.jsonl"

_AFTER_DRAWING = ("task", "most_attempts", "shown", "targets_per_question")

_ABOUT = {
    "wrong": """Wrong attempts of {model} that end in a right one: `target` is a right sample of the question,
`attempts` holds 0 to {most} wrong ones, the last the nearest to the target by character edit distance
(Snell et al. 2024, Algorithm 4).""",
    "any": """Attempts of {model} that end in a right one: `target` is a right sample of the question,
`attempts` holds 0 to {most} other samples of it, right or wrong as they came (after Snell et al. 2024,
Algorithm 4, where all are wrong).""",
}
_MADE_BY = """

Made by `gradus train revision-data recipe.yaml --questions FILE --output FOLDER`."""


class RevisionDataRecipe(Section):
    """``targets_per_question`` takes at most so many right samples, different ones first; without it, all.

    ``shown`` "wrong" is Algorithm 4; with "any", at most ``most_attempts`` of all other samples are shown.
    """

    model: Sampled
    task: Comparing = "auto"
    samples: Count = 64
    shown: Literal["wrong", "any"] = "wrong"
    most_attempts: int = Field(default=SHOWN, strict=True, ge=0, le=SHOWN)
    targets_per_question: Count | None = None
    seed: int = Field(default=1, strict=True, ge=0)


def command(
    recipe: Recipe, questions: QuestionsFile, output: DataOutput, overrides: Overrides = None
) -> None:
    """Sample attempts at questions, and put wrong ones before right ones: what `revision` learns from."""
    from workers.engines import load_engine

    loaded = load_recipe(RevisionDataRecipe, recipe, overrides or ())
    asked = read_questions(questions.expanduser())
    make(loaded, asked, output.expanduser(), lambda: load_engine("sampled", loaded.model))
    typer.echo(str(output))


def make(
    recipe: RevisionDataRecipe, questions: Sequence[Question], folder: Path, open_engine: OpenEngine
) -> list[RevisionExample]:
    """The data set of ``questions`` in ``folder``. Raises as :func:`workers.training.drawing.draw_all`."""
    check_references(questions, recipe.task)
    log = folder / LOG
    claim(log, recipe, questions, _AFTER_DRAWING)
    draw_all(log, questions, partial(_sample, recipe), open_engine, recipe.model, recipe.seed)
    examples, numbers = _examples(recipe, list(read_log(log)))
    if not examples:
        raise TrainingError(f"{log}: no sample is right: there is nothing to learn from")
    write_revisions(folder, examples)
    numbers["sha256 of the questions"] = questions_hash(questions)
    model = model_name(recipe.model)
    about = _ABOUT[recipe.shown].format(model=model, most=recipe.most_attempts) + _MADE_BY
    write_card(folder, f"Revisions of {model}", about, numbers, recipe_text(recipe))
    return examples


def trajectories(
    right: Sequence[str], wrong: Sequence[str], recipe: RevisionDataRecipe, rng: random.Random
) -> list[tuple[tuple[str, ...], str]]:
    """(attempts, target) of one question, from its samples as they were drawn, repeats included.

    k ~ U{0..``most_attempts``} attempts precede a target, fewer where there are not enough, without
    replacement. Shown "wrong" ones: the nearest to the target by character edit distance last, before it
    others at random (Algorithm 4). Shown "any": all at random, right ones too.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    for target in _targets(right, recipe.targets_per_question, rng):
        count = rng.randint(0, recipe.most_attempts)
        if recipe.shown == "any":
            others = [*right, *wrong]
            others.remove(target)
            found.append((tuple(rng.sample(others, min(count, len(others)))), target))
        elif count and wrong:
            last = _nearest(target, wrong)
            pool = [*range(last), *range(last + 1, len(wrong))]
            chosen = [*rng.sample(pool, min(count - 1, len(pool))), last]
            found.append((tuple(wrong[at] for at in chosen), target))
        else:
            found.append(((), target))
    return found


def _targets(right: Sequence[str], most: int | None, rng: random.Random) -> Sequence[str]:
    """At most so many at random, as different ones as there are; ``None``: every right sample."""
    if most is None:
        return right
    seen: Counter[str] = Counter()
    repeats = []
    for target in rng.sample(right, len(right)):
        repeats.append((seen[target], target))
        seen[target] += 1
    # Sorting is stable: among those that are there as often, the order stays random.
    return [target for _, target in sorted(repeats, key=lambda each: each[0])[:most]]


def _nearest(target: str, wrong: Sequence[str]) -> int:
    """The place of the attempt with the fewest characters to change; of equals, the first."""
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise MissingExtraError("rapidfuzz") from error
    return min(range(len(wrong)), key=lambda at: Levenshtein.distance(wrong[at], target))


def _sample(recipe: RevisionDataRecipe, question: Question, draw: Draw) -> dict[str, Any]:
    prompt = Prompt(({"role": "user", "content": question.question},))
    done = draw([prompt] * recipe.samples)
    return {"texts": [each.text for each in done], "ended": [each.ended for each in done]}


def _examples(
    recipe: RevisionDataRecipe, rows: Sequence[dict[str, Any]]
) -> tuple[list[RevisionExample], dict[str, object]]:
    """The examples of all questions, and the numbers of the card."""
    steps = steps_of(recipe.model)
    examples = []
    drawn = right_drawn = wrong_drawn = questions = 0
    for row in rows:
        answers = answers_for(Task(recipe.task))
        texts = [text for text, ended in zip(row["texts"], row["ended"], strict=True) if ended == "stop"]
        found = [answers.extract(steps.answer(text)) for text in texts]
        verdicts = are_right(answers, found, row["answer"])
        right = [text for text, verdict in zip(texts, verdicts, strict=True) if verdict]
        wrong = [
            steps.answer(text)
            for text, answer, verdict in zip(texts, found, verdicts, strict=True)
            if answer is not None and not verdict
        ]
        rng = random.Random(f"{recipe.seed}:{row['id']}")
        made = trajectories(right, wrong, recipe, rng)
        examples += [
            RevisionExample(str(row["id"]), row["question"], tuple(map(steps.answer, shown)), target)
            for shown, target in made
        ]
        drawn += len(row["texts"])
        right_drawn += len(right)
        wrong_drawn += len(wrong)
        questions += bool(made)
    before = [sum(len(each.attempts) == k for each in examples) for k in range(recipe.most_attempts + 1)]
    tokens = tokens_drawn(rows)
    return examples, {
        "examples": len(examples),
        "examples with 0, 1, ... attempts": ", ".join(map(str, before)),
        "questions with an example": f"{questions} of {len(rows)}",
        "samples": drawn,
        "right": f"{right_drawn / drawn:.1%}",
        "wrong": f"{wrong_drawn / drawn:.1%}",
        "tokens drawn": "not known" if tokens is None else tokens,
    }
