"""The commands of `gradus train`."""

from __future__ import annotations

from typing import Annotated

import typer

from workers.training import orm, outcomes, prm, revision, revisions, rollouts
from workers.training.abacus.cli import app as abacus
from workers.training.commands import DEVICES, one_line_errors

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make data and models for search. Every command is seeded and goes on where a killed one stopped.",
)

_ROLLOUTS = """Examples:

  gradus train rollouts rollouts --questions questions.jsonl --output rollouts/

  gradus train rollouts mine.yaml --questions gsm8k.parquet --output rollouts/ --set model.temperature=0.7"""
_REVISION_DATA = """Examples:

  gradus train revision-data revision-data --questions questions.jsonl --output revisions/

  gradus train revision-data mine.yaml --questions questions.jsonl --output revisions/ --set samples=32"""
_PRM = f"""Examples:

  gradus train prm prm --data rollouts/ --output my-prm/ --set base=path/of/a/model

  gradus train prm mine.yaml --data rollouts/ --output my-prm/ --set lora.rank=16

{DEVICES.format(command="prm mine.yaml --data rollouts/ --output my-prm/")}"""
_ORM = f"""Examples:

  gradus train orm orm --data rollouts/ --output my-orm/ --set base=path/of/a/model

  gradus train orm mine.yaml --data chains/ --output my-orm/ --set reads_history=true

{DEVICES.format(command="orm mine.yaml --data rollouts/ --output my-orm/")}"""
_REVISION = f"""Examples:

  gradus train revision revision --data revisions/ --output my-revision/ --set base=path/of/a/model

  gradus train revision mine.yaml --data revisions/ --output my-revision/ --set lora.rank=16

{DEVICES.format(command="revision mine.yaml --data revisions/ --output my-revision/")}"""
_OUTCOMES = """Examples:

  gradus train outcomes outcomes --questions questions.jsonl --output outcomes/

  gradus train outcomes mine.yaml --questions q.jsonl --output outcomes/ --config mine.yaml --policy cheap"""

app.command("rollouts", epilog=_ROLLOUTS)(one_line_errors(rollouts.command))
app.command("revision-data", epilog=_REVISION_DATA)(one_line_errors(revisions.command))
app.command("prm", epilog=_PRM)(one_line_errors(prm.command))
app.command("orm", epilog=_ORM)(one_line_errors(orm.command))
app.command("revision", epilog=_REVISION)(one_line_errors(revision.command))
app.command("outcomes", epilog=_OUTCOMES)(one_line_errors(outcomes.command))


@app.command(
    epilog="Examples:\n\n  gradus train recipes\n\n  gradus train recipes rollouts > mine.yaml   (to edit)"
)
@one_line_errors
def recipes(
    name: Annotated[str | None, typer.Argument(help="The one to print, to be saved and edited.")] = None,
) -> None:
    """List the recipes that come with Gradus, or print one."""
    from workers.training.recipes import recipe_names, shipped_text

    typer.echo("\n".join(recipe_names()) if name is None else shipped_text(name).rstrip("\n"))


app.add_typer(abacus, name="abacus")
