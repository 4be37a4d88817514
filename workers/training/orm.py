"""`gradus train orm`: an outcome reward model, which may read the attempts before (Snell et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workers.engines.loading import stay_offline
from workers.errors import WorkerError
from workers.steps import Steps
from workers.training import exporting
from workers.training.commands import Data, ModelOutput, Overrides, Recipe
from workers.training.datasets import Attempt, read_attempts
from workers.training.errors import TrainingError
from workers.training.measuring import Conversations, quality, score, shown
from workers.training.recipes import load_recipe
from workers.training.recipes.learning import OrmRecipe

if TYPE_CHECKING:
    from workers.training.learning.examples import Example
    from workers.verifiers.layouts import Outcome

_ABOUT = "An outcome reward model: it says how likely it is that the answer of a whole solution is right."
_HISTORY = (
    " It was shown the earlier attempts of a revision chain in the conversation, as searches by revising "
    "show them (Snell et al. 2024, section 6)."
)


def command(recipe: Recipe, data: Data, output: ModelOutput, overrides: Overrides = None) -> None:
    """Train a verifier of whole solutions, on what `rollouts` wrote."""
    loaded = load_recipe(OrmRecipe, recipe, overrides or ())
    train(loaded, data.expanduser(), output.expanduser())
    typer.echo(str(output))


def train(recipe: OrmRecipe, data: Path, output: Path) -> dict[str, Any]:
    """Train on what `gradus train rollouts` wrote to ``data``; returns the numbers of the card.

    Raises :class:`TrainingError`.
    """
    stay_offline()
    from workers.training.learning import models, rules, run, trainer
    from workers.verifiers.layouts import Outcome
    from workers.verifiers.orm import load_orm

    if (done := run.begin(recipe, data, output)) is not None:
        return done
    kind = models.Kind("AutoModelForSequenceClassification", "SEQ_CLS", pads=True, config={"num_labels": 1})
    base = models.open_base(recipe, kind)
    tokenizer, context_tokens = base.tokenizer(), base.context_tokens()
    layout = Outcome(tokenizer, recipe.base)
    rows = read_attempts(data)
    held = rules.held_out([row.question for row in rows], recipe.validation_share, recipe.seed)
    kept_back = [row for row in rows if row.question in held]
    conversations = Conversations(recipe.revise_prompt if recipe.reads_history else None)
    training, validation = (
        encode(part, layout, conversations, recipe.steps, context_tokens)
        for part in ([row for row in rows if row.question not in held], kept_back)
    )
    run.check_split(training, validation)
    rule = rules.lowest(recipe.patience_evaluations)
    learned = run.learn(run.Lesson(base, trainer.outcome_losses, rule, training, validation), output)
    if learned is None:
        return {}
    model = learned.model

    def write(target: Path) -> dict[str, Any]:
        exporting.write_model(target, model, tokenizer, base.dtype())
        verifier = load_orm(
            output.name, target, context_tokens=context_tokens, reads_history=recipe.reads_history
        )
        scored = score(verifier, kept_back, conversations, recipe)
        verifier.close()
        found = quality(kept_back, [value for _, value in scored], recipe)
        numbers = {**run.counts(recipe, model, rows, held), **learned.numbers, **shown(found)}
        section = {
            "kind": "orm",
            "path": str(output),
            "context_tokens": context_tokens,
            "parameters": model.num_parameters(),
            "reads_history": recipe.reads_history,
        }
        about = _ABOUT + (_HISTORY if recipe.reads_history else "")
        exporting.write_section(target, "verifiers", output.name, section)
        exporting.write_card(target, output.name, about, numbers, recipe, run.command("orm", data, output))
        return numbers

    return run.finish(output, write)


def encode(
    rows: Sequence[Attempt], layout: Outcome, conversations: Conversations, steps: Steps, context_tokens: int
) -> list[Example]:
    """Each attempt as the verifier will read it, labelled right or wrong; one that is too long is left out.

    Raises :class:`TrainingError`.
    """
    from workers.training.learning.examples import Example

    made = []
    for row in rows:
        try:
            reading = layout.reading(conversations.before(row), steps.answer(row.text))
        except WorkerError as error:
            raise TrainingError(f"attempt of {row.id}: {error}") from error
        if reading.places and len(reading.tokens) <= context_tokens:
            made.append(Example(reading.tokens, reading.places, (float(row.right),), float(row.count)))
    return made
