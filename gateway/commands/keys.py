"""`gradus keys`: who may ask a gateway, for what, and for how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    moment,
    opened,
    show_json,
    table_console,
    unless_none,
)
from gateway.commands.teams import show_spent

if TYPE_CHECKING:
    from gateway.api.admin_schemas import KeyObject

app = typer.Typer(no_args_is_help=True, help="Keys: who may ask a gateway, for what, and for how much.")

KeyName = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, or a name that no other key has.")]
Team = Annotated[str | None, typer.Option(help="A team, whose limits hold too; none: no team.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", help="A model it may ask for by name (again for more); none: all.", metavar="NAME"
    ),
]
Policies = Annotated[
    list[str] | None,
    typer.Option("--policy", help="A policy it may ask for (again for more); none: all.", metavar="NAME"),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="What it is filed under.", metavar="NAME=VALUE")
]
Expires = Annotated[
    str | None, typer.Option(help="A day or moment (UTC), 30d for so many days from now, or none.")
]
WithoutRedis = Annotated[
    str | None,
    typer.Option(help="While budgets cannot be looked up: refuse, or lease (spend up to --lease-usd)."),
]
LeaseUsd = Annotated[str | None, typer.Option(help="USD that each gateway may spend then.", metavar="USD")]


@app.command(
    epilog="Examples:\n\n  gradus keys create ci --usd-per-day 5 --expires 90d\n\n"
    "  gradus keys create alice --team research --policy default --policy cheap --requests-per-minute 60"
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    team: Team = None,
    usd_total: UsdTotal = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    max_concurrent_requests: MaxConcurrentRequests = None,
    model: Models = None,
    policy: Policies = None,
    tag: Tags = None,
    expires: Expires = None,
    without_redis: WithoutRedis = None,
    lease_usd: LeaseUsd = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Create a key. Its secret is shown now, and never again."""
    from gateway.api.admin_schemas import KeyCreate, key_object
    from gateway.store import keys

    given = limits(
        usd_total,
        usd_per_day,
        usd_per_month,
        requests_per_minute,
        tokens_per_minute,
        max_concurrent_requests,
    )
    more = _given(team, model, policy, tag, expires, without_redis, lease_usd)
    wanted = checked(KeyCreate, {"name": name, "limits": given, **more}).fields()
    with opened(config) as database:
        stored, secret = keys.create_key(database, wanted)
    _show_secret(key_object(stored, secret), as_json)


@app.command("list", epilog="Examples:\n\n  gradus keys list\n\n  gradus keys list --team research --json")
def list_(
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List keys, revoked ones too."""
    from gateway.api.admin_schemas import key_object
    from gateway.store import keys

    with opened(config) as database:
        found = [key_object(each) for each in keys.list_keys(database, team)]
    if as_json:
        show_json(*found, many=True)
        return
    table = Table("id", "name", "key", "limits", "state", box=box.SIMPLE_HEAD)
    for each in found:
        table.add_row(each.id, escape(each.name), each.hint, limits_text(each.limits), _state(each))
    table_console().print(table)


@app.command(epilog="Example:\n\n  gradus keys show ci")
def show(key: KeyName, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one key, and what it spent."""
    from gateway.api.admin_schemas import key_object
    from gateway.store import keys

    with opened(config) as database:
        found = key_object(keys.get_key(database, key))
        _show(found, as_json)
        if not as_json:
            show_spent(Console(), database, f"key:{found.id}")


@app.command(
    epilog="Examples:\n\n  gradus keys change ci --usd-per-day 10\n\n"
    "  gradus keys change ci --usd-per-day none --expires none"
)
def change(
    key: KeyName,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    team: Team = None,
    usd_total: UsdTotal = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    max_concurrent_requests: MaxConcurrentRequests = None,
    model: Models = None,
    policy: Policies = None,
    tag: Tags = None,
    expires: Expires = None,
    without_redis: WithoutRedis = None,
    lease_usd: LeaseUsd = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; the rest stays. Gateways hear of it within two seconds."""
    from gateway.api.admin_schemas import KeyChange, key_object
    from gateway.store import keys

    given = limits(
        usd_total,
        usd_per_day,
        usd_per_month,
        requests_per_minute,
        tokens_per_minute,
        max_concurrent_requests,
    )
    more = _given(team, model, policy, tag, expires, without_redis, lease_usd)
    named = {} if name is None else {"name": name}
    wanted = checked(KeyChange, {**named, "limits": given, **more}).fields()
    with opened(config) as database:
        _show(key_object(keys.change_key(database, key, wanted)), as_json)


@app.command(epilog="Example:\n\n  gradus keys rotate ci")
def rotate(key: KeyName, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Give a key another secret, shown now and never again; the old one ends."""
    from gateway.api.admin_schemas import key_object
    from gateway.store import keys

    with opened(config) as database:
        stored, secret = keys.rotate_key(database, key)
    _show_secret(key_object(stored, secret), as_json)


@app.command(epilog="Example:\n\n  gradus keys revoke ci")
def revoke(key: KeyName, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Revoke a key, for ever. What it spent stays in the journal."""
    from gateway.api.admin_schemas import key_object
    from gateway.store import keys

    with opened(config) as database:
        _show(key_object(keys.revoke_key(database, key)), as_json)


def _given(
    team: str | None,
    models: list[str] | None,
    policies: list[str] | None,
    tags: list[str] | None,
    expires: str | None,
    without_redis: str | None,
    lease_usd: str | None,
) -> dict[str, Any]:
    """What was given besides limits, as the admin interface takes it."""
    given: dict[str, Any] = {"without_redis": without_redis, "lease_usd": lease_usd}
    given = {name: value for name, value in given.items() if value is not None}
    if team is not None:
        given["team"] = unless_none(team)
    if models:
        given["models"] = None if models == ["none"] else models
    if policies:
        given["policies"] = None if policies == ["none"] else policies
    if tags:
        given["tags"] = dict(_tag(each) for each in tags)
    if expires is not None:
        given["expires_at"] = moment(expires)
    return given


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--tag: write NAME=VALUE, not {text!r}")
    return name, value


def _show_secret(key: KeyObject, as_json: bool) -> None:
    if as_json:
        show_json(key)
        return
    typer.echo(f"{key.id} ({key.name}): keep this, it is not shown again:\n\n  {key.secret}\n")


def _show(key: KeyObject, as_json: bool) -> None:
    if as_json:
        show_json(key)
        return
    said = {
        "id": key.id,
        "name": key.name,
        "key": key.hint,
        "state": _state(key),
        "team": key.team or "none",
        "limits": limits_text(key.limits),
        "models": "all" if key.models is None else ", ".join(key.models) or "none",
        "policies": "all" if key.policies is None else ", ".join(key.policies) or "none",
        "tags": ", ".join(f"{name}={value}" for name, value in key.tags.items()) or "none",
        "expires": "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M} UTC",
        "without Redis": f"lease ${key.lease_usd}" if key.without_redis == "lease" else "refuse",
    }
    for name, value in said.items():
        typer.echo(f"{name + ':':<15}{value}")


def _state(key: KeyObject) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    return "expired" if key.expired else "live"
