"""`gradus db`: the database's tables."""

from __future__ import annotations

import typer

from gateway.commands.stored import ConfigFile, opened

app = typer.Typer(no_args_is_help=True, help="The database of keys and of what was spent.")
app.callback()(lambda: None)  # or typer would drop the name of a group's only command


@app.command(
    epilog="Examples:\n\n  gradus db upgrade --config gradus.yaml\n\n"
    "  GRADUS_DATABASE_URL=postgresql://gradus@db/gradus gradus db upgrade"
)
def upgrade(config: ConfigFile = None) -> None:
    """Make the tables, or bring them up to date. Gateways do that too, when they start."""
    with opened(config) as database:
        database.upgrade()
        typer.echo(f"{database.name} is up to date")
