"""The commands of `gradus train`."""

from __future__ import annotations

import typer

from workers.training.abacus.cli import app as abacus

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make data and models for search. Every command is seeded and goes on where a killed one stopped.",
)
app.add_typer(abacus, name="abacus")
