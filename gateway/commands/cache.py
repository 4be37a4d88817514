"""`gradus cache`: what a running gateway keeps of answers, and having it forget them."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.client import DEFAULT_URL, There, Url, call
from gateway.commands.stored import AsJson

app = typer.Typer(no_args_is_help=True, help="The cache of a running gateway.")

PATH: Final = "/v1/gradus/admin/cache"

AdminKey = Annotated[
    str | None,
    typer.Option(help="The admin's key.", envvar="GRADUS_ADMIN_KEY", metavar="KEY", show_default=False),
]
OfKey = Annotated[str | None, typer.Option(help="Answers to this key, its id or name.", metavar="KEY")]
OfTeam = Annotated[str | None, typer.Option(help="Answers to this team's keys.", metavar="TEAM")]
OfModel = Annotated[
    str | None, typer.Option(help="What this model or verifier may have had a part in.", metavar="NAME")
]
Everything = Annotated[bool, typer.Option("--everything", help="All that is kept.")]


@app.command(
    epilog="Examples:\n\n  gradus cache purge --key ci\n\n  gradus cache purge --model abacus-large\n\n"
    "  gradus cache purge --everything"
)
def purge(
    key: OfKey = None,
    team: OfTeam = None,
    model: OfModel = None,
    everything: Everything = False,
    url: Url = DEFAULT_URL,
    admin_key: AdminKey = None,
) -> None:
    """Forget answers and candidates, at once in every gateway and worker."""
    named = {"key": key, "team": team, "model": model}
    given = {name: value for name, value in named.items() if value is not None}
    if len(given) + everything != 1:
        raise typer.BadParameter("give one of --key, --team, --model and --everything")
    said = call(There(url, admin_key), "DELETE", PATH, given)
    typer.echo(f"forgotten: {', '.join(said['spaces']) or 'nothing, since there are no keys'}")


@app.command(epilog="Example:\n\n  gradus cache stats")
def stats(url: Url = DEFAULT_URL, admin_key: AdminKey = None, as_json: AsJson = False) -> None:
    """Show how often the cache of one gateway process helped, since its configuration was read."""
    found = call(There(url, admin_key), "GET", PATH)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    for name, value in found.items():
        if name != "object":
            table.add_row(name.replace("_", " "), "unknown" if value is None else f"{value:g}")
    Console().print(table)
