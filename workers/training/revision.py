"""`gradus train revision`: a model that corrects its own answers (Snell et al. 2024, Algorithm 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from workers.engines.chat import Chat
from workers.engines.loading import stay_offline
from workers.errors import WorkerError
from workers.protocols import Prompt
from workers.search.revisions import revision_conversation
from workers.training import exporting
from workers.training.commands import Data, ModelOutput, Overrides, Recipe
from workers.training.datasets import RevisionExample, read_revisions
from workers.training.errors import TrainingError
from workers.training.recipes import load_recipe
from workers.training.recipes.learning import RevisionRecipe

_ABOUT = (
    "A language model fine-tuned to correct its own answers: after up to four wrong attempts, the last the "
    "nearest to the right one, it was taught the right answer (Snell et al. 2024, Algorithm 4)."
)


def command(recipe: Recipe, data: Data, output: ModelOutput, overrides: Overrides = None) -> None:
    """Train a model to correct its own answers, on what `revision-data` wrote."""
    loaded = load_recipe(RevisionRecipe, recipe, overrides or ())
    train(loaded, data.expanduser(), output.expanduser())
    typer.echo(str(output))


def train(recipe: RevisionRecipe, data: Path, output: Path) -> dict[str, Any]:
    """Train on what `gradus train revision-data` wrote to ``data``; returns the numbers of the card.

    Raises :class:`TrainingError`.
    """
    stay_offline()
    from workers.training.learning import models, rules, run, trainer

    if (done := run.begin(recipe, data, output)) is not None:
        return done
    base = models.open_base(recipe, models.Kind("AutoModelForCausalLM", "CAUSAL_LM", is_whole=True))
    tokenizer, context_tokens = base.tokenizer(), base.context_tokens()
    rows = read_revisions(data)
    held = rules.held_out([row.question for row in rows], recipe.validation_share, recipe.seed)
    chat, end = Chat(tokenizer, recipe.base), base.end_of_turn(tokenizer)
    training, validation = (
        encode(
            [row for row in rows if (row.question in held) is is_held],
            chat,
            end,
            recipe.revise_prompt,
            context_tokens,
        )
        for is_held in (False, True)
    )
    run.check_split(training, validation)
    lesson = run.Lesson(
        base, trainer.text_losses, rules.after_rise(recipe.evaluations_after_rise), training, validation
    )
    learned = run.learn(lesson, output)
    if learned is None:
        return {}
    model = learned.model
    numbers = {
        **run.counts(recipe, model, rows, held),
        "too long, left out": len(rows) - len(training) - len(validation),
        **learned.numbers,
    }
    section = {
        "engine": "transformers",
        "path": str(output),
        "context_tokens": context_tokens,
        "max_tokens": context_tokens // 2,
        "parameters": model.num_parameters(),
        "revise_prompt": recipe.revise_prompt,
    }

    def write(target: Path) -> dict[str, Any]:
        exporting.write_model(target, model, tokenizer, base.dtype())
        exporting.write_section(target, "models", output.name, section)
        exporting.write_card(
            target, output.name, _ABOUT, numbers, recipe, run.command("revision", data, output)
        )
        return numbers

    return run.finish(output, write)


def encode(
    rows: Sequence[RevisionExample], chat: Chat, end: int | None, revise: str, context_tokens: int
) -> list[Any]:
    """The conversations as they are served, and the tokens of the target after them: only these are learned.

    One that is too long loses its oldest attempts; one that is too long without any is left out.
    """
    made = (_example(row, chat, end, revise, context_tokens) for row in rows)
    return [example for example in made if example is not None]


def _example(row: RevisionExample, chat: Chat, end: int | None, revise: str, context_tokens: int) -> Any:
    from workers.training.learning.examples import Example

    asked = ({"role": "user", "content": row.question},)
    for left_out in range(len(row.attempts) + 1):
        messages = revision_conversation(asked, row.attempts[left_out:], revise)
        try:
            head = len(chat.encode(Prompt(messages)))
            tokens = chat.encode(Prompt(messages, row.target))
        except WorkerError as error:
            raise TrainingError(f"{row.id}: {error}") from error
        if end is not None:
            tokens.append(end)
        if len(tokens) <= context_tokens:
            return Example(tuple(tokens), tuple(range(head - 1, len(tokens) - 1)), tuple(tokens[head:]))
    return None
