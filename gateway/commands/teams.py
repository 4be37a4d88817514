"""`gradus teams`: groups of keys that share a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.commands.stored import (
    AsJson,
    ConfigFile,
    MaxConcurrentRequests,
    RequestsPerMinute,
    TokensPerMinute,
    UsdPerDay,
    UsdPerMonth,
    UsdTotal,
    checked,
    limits,
    limits_text,
    opened,
    show_json,
    table_console,
)

if TYPE_CHECKING:
    from gateway.store.teams import StoredTeam

app = typer.Typer(no_args_is_help=True, help="Teams: keys that share a budget.")

TeamName = Annotated[str, typer.Argument(metavar="TEAM", help="The team's id or name.")]
_NEW_NAME: Final = "Another name."


@app.command(epilog="Example:\n\n  gradus teams create research --usd-per-month 200")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    usd_total: UsdTotal = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    max_concurrent_requests: MaxConcurrentRequests = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Create a team."""
    from gateway.api.admin_schemas import TeamCreate
    from gateway.store import teams

    given = limits(
        usd_total,
        usd_per_day,
        usd_per_month,
        requests_per_minute,
        tokens_per_minute,
        max_concurrent_requests,
    )
    wanted = checked(TeamCreate, {"name": name, "limits": given}).fields()
    with opened(config) as database:
        _show([teams.create_team(database, wanted)], as_json)


@app.command("list", epilog="Example:\n\n  gradus teams list --json")
def list_(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all teams, revoked ones too."""
    from gateway.store import teams

    with opened(config) as database:
        _show(teams.list_teams(database), as_json, many=True)


@app.command(epilog="Example:\n\n  gradus teams show research")
def show(team: TeamName, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one team, and what it spent."""
    from gateway.store import teams

    with opened(config) as database:
        found = teams.get_team(database, team)
        _show([found], as_json)
        if not as_json:
            show_spent(Console(), database, f"team:{found.team.id}")


@app.command(epilog="Example:\n\n  gradus teams change research --usd-per-month 500 --usd-total none")
def change(
    team: TeamName,
    name: Annotated[str | None, typer.Option(help=_NEW_NAME)] = None,
    usd_total: UsdTotal = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    max_concurrent_requests: MaxConcurrentRequests = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; the rest stays. Gateways hear of it within two seconds."""
    from gateway.api.admin_schemas import TeamChange
    from gateway.store import teams

    given = limits(
        usd_total,
        usd_per_day,
        usd_per_month,
        requests_per_minute,
        tokens_per_minute,
        max_concurrent_requests,
    )
    named = {} if name is None else {"name": name}
    wanted = checked(TeamChange, {**named, "limits": given}).fields()
    with opened(config) as database:
        _show([teams.change_team(database, team, wanted)], as_json)


@app.command(epilog="Example:\n\n  gradus teams revoke research")
def revoke(team: TeamName, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Revoke a team and all of its keys, for ever."""
    from gateway.store import teams

    with opened(config) as database:
        _show([teams.revoke_team(database, team)], as_json)


def show_spent(console: Console, database: Any, scope: str) -> None:
    """What the journal says of today, this month and all time."""
    from datetime import UTC, datetime

    from cost_model.budget import windows
    from gateway.bill import decimal_text
    from gateway.store.journal import spent_by

    now = datetime.now(UTC)
    spent = spent_by(database, scope, now)
    total, month, day = (decimal_text(spent[each]) if each in spent else "0" for each in windows(now))
    said = f"spent: ${day} today, ${month} this month, ${total} in all"
    console.print(said, highlight=False, soft_wrap=True)


def _show(found: list[StoredTeam], as_json: bool, *, many: bool = False) -> None:
    from gateway.api.admin_schemas import team_object

    teams = [team_object(each) for each in found]
    if as_json:
        show_json(*teams, many=many)
        return
    table = Table("id", "name", "limits", "state", box=box.SIMPLE_HEAD)
    for each in teams:
        state = "live" if each.revoked_at is None else f"revoked {each.revoked_at:%Y-%m-%d}"
        table.add_row(each.id, escape(each.name), limits_text(each.limits), state)
    table_console().print(table)
