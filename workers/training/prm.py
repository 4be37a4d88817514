"""`gradus train prm`: a process reward model on soft labels of steps (Snell et al. 2024, section 5.1)."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workers.engines.loading import stay_offline
from workers.errors import WorkerError
from workers.steps import Steps
from workers.training import exporting, files
from workers.training.commands import Data, ModelOutput, Overrides, Recipe
from workers.training.datasets import Attempt, read_attempts
from workers.training.errors import TrainingError
from workers.training.measuring import Conversations, choose_aggregation, score, shown
from workers.training.recipes import load_recipe
from workers.training.recipes.learning import PrmRecipe
from workers.verifiers.format import FORMAT_FILE, Format

if TYPE_CHECKING:
    from workers.training.learning.examples import Example
    from workers.verifiers.layouts import TokenClassification

_ABOUT = (
    "A process reward model: at the end of each step of a solution it says how likely the solution ends in "
    "the right answer. Trained on the share of rollouts from there that were right (Snell et al. 2024, "
    "Algorithm 1)."
)


def command(recipe: Recipe, data: Data, output: ModelOutput, overrides: Overrides = None) -> None:
    """Train a verifier of steps, on what `rollouts` wrote."""
    loaded = load_recipe(PrmRecipe, recipe, overrides or ())
    train(loaded, data.expanduser(), output.expanduser())
    typer.echo(str(output))


def train(recipe: PrmRecipe, data: Path, output: Path) -> dict[str, Any]:
    """Train on what `gradus train rollouts` wrote to ``data``; returns the numbers of the card.

    Raises :class:`TrainingError`.
    """
    stay_offline()
    from workers.training.learning import models, rules, run, trainer
    from workers.verifiers.layouts import TokenClassification
    from workers.verifiers.prm import load_prm

    if (done := run.begin(recipe, data, output)) is not None:
        return done
    config = {"num_labels": 1, "classifier_dropout": recipe.dropout}
    base = models.open_base(
        recipe, models.Kind("AutoModelForTokenClassification", "TOKEN_CLS", config=config)
    )
    tokenizer, context_tokens = base.tokenizer(), base.context_tokens()
    end = base.end_of_turn(tokenizer)
    last = None if end is None else tokenizer.convert_ids_to_tokens(end)
    described = Format(recipe.step_separator, "sigmoid", 0, last, "last")
    layout = TokenClassification(tokenizer, recipe.base, described)
    rows = flipped(read_attempts(data), recipe.flip_labels, recipe.seed)
    held = rules.held_out([row.question for row in rows], recipe.validation_share, recipe.seed)
    kept_back = [row for row in rows if row.question in held]
    training, validation = (
        encode(part, layout, tokenizer, recipe.steps, context_tokens)
        for part in ([row for row in rows if row.question not in held], kept_back)
    )
    run.check_split(training, validation)
    rule = rules.lowest(recipe.patience_evaluations)
    learned = run.learn(run.Lesson(base, trainer.step_losses, rule, training, validation), output)
    if learned is None:
        return {}
    model = learned.model

    def write(target: Path) -> dict[str, Any]:
        exporting.write_model(target, model, tokenizer, base.dtype())
        _write_format(target, described)
        verifier = load_prm(output.name, target, "gradus", context_tokens=context_tokens)
        scored = score(verifier, kept_back, Conversations(None), recipe)
        verifier.close()
        how, table = choose_aggregation(kept_back, [steps for steps, _ in scored], recipe)
        _write_format(target, Format(recipe.step_separator, "sigmoid", 0, last, how))
        numbers = {
            **run.counts(recipe, model, rows, held),
            **learned.numbers,
            "aggregation": how,
            **shown(table[how]),
            **{f"weighted best-of-N by {name}": table[name].weighted_right for name in table},
        }
        section = {
            "kind": "prm",
            "path": str(output),
            "context_tokens": context_tokens,
            "parameters": model.num_parameters(),
        }
        exporting.write_section(target, "verifiers", output.name, section)
        exporting.write_card(target, output.name, _ABOUT, numbers, recipe, run.command("prm", data, output))
        return numbers

    return run.finish(output, write)


def encode(
    rows: Sequence[Attempt], layout: TokenClassification, tokenizer: Any, steps: Steps, context_tokens: int
) -> list[Example]:
    """Each attempt as the verifier will read it, labelled at the places that it will be scored at.

    An attempt that is too long, or that has no label, is left out. Raises :class:`TrainingError`.
    """
    from workers.training.learning.examples import Example

    conversations = Conversations(None)
    made = []
    for row in rows:
        try:
            reading = layout.reading(conversations.before(row), steps.judged(row.text))
        except WorkerError as error:
            raise TrainingError(f"attempt of {row.id}: {error}") from error
        labels = labels_at(reading.tokens, reading.places, row, tokenizer, steps)
        known = [(at, label) for at, label in zip(reading.places, labels, strict=True) if label is not None]
        if known and len(reading.tokens) <= context_tokens:
            places, wanted = zip(*known, strict=True)
            made.append(Example(reading.tokens, places, wanted, float(row.count)))
    return made


def labels_at(
    tokens: Sequence[int], places: Sequence[int], row: Attempt, tokenizer: Any, steps: Steps
) -> list[float | None]:
    """The label of the step that each place stands in: known by how many separators came before it.

    A step with several separators at its end may have several places. Raises :class:`TrainingError` where
    the attempt was cut into other steps.
    """
    pieces = Steps(steps.separator).split(steps.judged(row.text))
    if places and len(pieces) != len(row.labels):
        raise TrainingError(
            f"attempt of {row.id}: it has {len(row.labels)} labels and {len(pieces)} steps; step_separator "
            "and thinking must be those that it was drawn with"
        )
    ends = list(accumulate(piece.count(steps.separator) for piece in pieces))
    labels = []
    seen = 0
    for place in places:
        found = tokenizer.decode([tokens[place]], clean_up_tokenization_spaces=False).count(steps.separator)
        seen += found
        # The last place may be no separator: there the last step ends.
        labels.append(row.labels[min(bisect_left(ends, seen), len(pieces) - 1) if found else -1])
    return labels


def flipped(rows: Sequence[Attempt], share: float, seed: int) -> list[Attempt]:
    """The attempts with that share of all labels turned around: right for wrong (Snell et al., appendix K).

    Whether an attempt is ``right``, by which verifiers are measured, stays as it is.
    """
    rng = random.Random(seed)

    def turned(label: float | None) -> float | None:
        return 1.0 - label if label is not None and rng.random() < share else label

    return [replace(row, labels=tuple(map(turned, row.labels))) for row in rows]


def _write_format(folder: Path, described: Format) -> None:
    files.write_json(folder / FORMAT_FILE, {"kind": "token_classification", **asdict(described)})
