"""`gradus usage`: what was used and what it came to, and whether a provider's bill says the same."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from gateway.commands.files import writable
from gateway.commands.stored import ConfigFile, opened, table_console

if TYPE_CHECKING:
    from gateway.store.reconcile import Compared, Reconciled
    from gateway.store.usage import Dimension, Wanted

app = typer.Typer(help="What was used, and what it came to.")

_EXAMPLES: Final = (
    "Examples:\n\n  gradus usage\n\n  gradus usage --by key,day --since 7d\n\n"
    "  gradus usage --by model,purpose --since 2026-11-01 --until 2026-11-30 --csv november.csv"
)
_DAYS: Final = re.compile(r"(\d{1,4})d")
_SHOWN: Final = {
    "requests": "requests",
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "usd": "USD",
}

By = Annotated[
    str, typer.Option(help="Any of key, team, model, policy, route, purpose and day, with commas.")
]
Since = Annotated[str | None, typer.Option(help="The first day (UTC), or 7d: so many days, with today.")]
Until = Annotated[str | None, typer.Option(help="The last day (UTC).")]
OfKey = Annotated[str | None, typer.Option("--key", help="Only this key's.")]
OfTeam = Annotated[str | None, typer.Option("--team", help="Only this team's.")]
Csv = Annotated[
    Path | None, typer.Option("--csv", callback=writable, help="Write the table.", metavar="FILE")
]
Json = Annotated[
    Path | None, typer.Option("--json", callback=writable, help="Write every number.", metavar="FILE")
]


@app.callback(invoke_without_command=True, epilog=_EXAMPLES)
def usage(
    context: typer.Context,
    by: By = "model",
    since: Since = None,
    until: Until = None,
    key: OfKey = None,
    team: OfTeam = None,
    csv_file: Csv = None,
    json_file: Json = None,
    config: ConfigFile = None,
) -> None:
    """Say what was used, and what it came to."""
    if context.invoked_subcommand is not None:
        return
    from gateway.store import keys, teams
    from gateway.store.report import as_csv, report, total
    from gateway.store.usage import Wanted

    groups = _groups(by)
    first, last = _day("--since", since), _day("--until", until)
    with opened(config) as database:
        key_id = None if key is None else keys.get_key(database, key).key.id
        team_id = None if team is None else teams.get_team(database, team).team.id
        wanted = Wanted(first, last, key_id, team_id)
        rows, everything = report(database, groups, wanted), total(database, wanted)
    _show(groups, rows, everything, wanted)
    if csv_file:
        csv_file.write_text(as_csv(rows, groups), "utf-8")
    if json_file:
        said = {"from": since and str(first), "to": until and str(last), "group_by": groups}
        json_file.write_text(
            json.dumps({**said, "data": rows, "total": everything}, indent=1) + "\n", "utf-8"
        )


@app.command(
    epilog="Examples:\n\n  gradus usage reconcile invoice.csv\n\n"
    "  gradus usage reconcile invoice.csv --model gpt-4o-2024-08-06=gpt --adjust"
)
def reconcile(
    invoice: Annotated[
        Path, typer.Argument(metavar="INVOICE.csv", help="A provider's bill: docs/keys.md lists its columns.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="What the invoice calls one of our models (again for more).", metavar="THEIRS=OURS"
        ),
    ] = None,
    adjust: Annotated[
        bool, typer.Option("--adjust", help="Book the differences: the journal then says what the bill does.")
    ] = False,
    json_file: Json = None,
    config: ConfigFile = None,
) -> None:
    """Say line by line where a provider's bill differs from the journal."""
    from gateway.store import journal
    from gateway.store.invoices import read_invoice
    from gateway.store.provider_names import ProviderNames
    from gateway.store.reconcile import adjustments
    from gateway.store.reconcile import reconcile as compare
    from router.config import load_config

    configured = load_config(config, os.environ)
    names = ProviderNames(configured, dict(_renamed(each) for each in model or []))
    lines = read_invoice(invoice)
    with opened(config) as database:
        found = compare(database, lines, names.ours)
        booked = journal.append(database, adjustments(found, datetime.now(UTC))) if adjust else 0
    _show_compared(found)
    if adjust:
        typer.echo(f"booked: {booked} adjustment{'' if booked == 1 else 's'}")
        if booked:
            _count_again(configured.server.redis_url)
    if json_file:
        json_file.write_text(json.dumps(_plain(found), indent=1) + "\n", "utf-8")


def _count_again(redis_url: str) -> None:
    """Budgets are counted in Redis, which does not see what is booked here."""
    from redis import RedisError

    from gateway.ledger.recount import recount

    try:
        recount(redis_url)
    except (RedisError, OSError) as error:
        typer.echo(
            f"gradus: budgets do not count it yet: {redis_url} cannot be reached ({error}); they will when "
            "the gateways' Redis is restarted, or run this where it can be reached (GRADUS_REDIS_URL)",
            err=True,
        )


def _groups(by: str) -> list[Dimension]:
    from gateway.store.usage import Dimension

    words = list(dict.fromkeys(word.strip() for word in by.split(",") if word.strip()))
    known = get_args(Dimension)
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"--by: there is no {word!r}; there are {', '.join(known)}")
    return cast("list[Dimension]", words)


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    days = _DAYS.fullmatch(text)
    if days is not None:
        return datetime.now(UTC).date() - timedelta(days=max(int(days[1]) - 1, 0))
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option}: write a day as 2026-11-22, or 7d, not {text!r}") from None


def _renamed(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.rpartition("=")
    if not equals or not theirs or not ours:
        raise typer.BadParameter(f"--model: write THEIRS=OURS, not {text!r}")
    return theirs, ours


def _show(
    groups: Sequence[Dimension], rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], wanted: Wanted
) -> None:
    days = f"{wanted.since or 'the beginning'} to {wanted.until or 'now'} (UTC)"
    table = Table(title=f"Usage, {days}", title_justify="left", box=box.SIMPLE_HEAD, show_footer=True)
    for group in groups:
        table.add_column(group, overflow="fold")
    # Money is not cut short, and of estimates nothing is said where there are none.
    shown = {**_SHOWN, "estimated_usd": "estimated"} if total["estimated_usd"] != "0" else _SHOWN
    for name, head in shown.items():
        table.add_column(head, justify="right", footer=_number(total[name]), no_wrap=True)
    for row in rows:
        table.add_row(*(_named(row, group) for group in groups), *(_number(row[name]) for name in shown))
    table_console().print(table)


def _named(row: Mapping[str, Any], group: str) -> str:
    """Keys and teams by the names they have now."""
    value = row.get(f"{group}_name") or row[group]
    return "–" if value is None else escape(str(value))


def _number(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _show_compared(found: Reconciled) -> None:
    table = Table(title="The invoice / the journal", title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("line", "of", ""):
        table.add_column(head, overflow="fold")
    for head in ("prompt", "completion", "USD", "higher by"):
        table.add_column(head, justify="right", overflow="fold")
    for each in found.differences:
        table.add_row(*_compared_row(each))
    same = len(found.compared) - len(found.differences)
    if found.differences:
        table_console().print(table)
        more = sum((each.more_usd for each in found.differences), Decimal(0))
        typer.echo(f"{same} agree, {len(found.differences)} differ: by {_usd(more)} USD in all")
    else:
        typer.echo(f"the invoice and the journal agree ({same} compared)")
    for model, usd in found.elsewhere.items():
        typer.echo(f"not in this invoice at all: {model}, {_usd(usd)} USD (of another provider?)")


def _compared_row(each: Compared) -> Iterable[str]:
    ours, theirs = each.ours, each.theirs
    lines = ", ".join(map(str, each.lines)) or "–"
    yield from (lines, escape(each.subject), each.verdict)
    yield _pair(theirs.prompt_tokens, ours.prompt_tokens)
    yield _pair(theirs.completion_tokens, ours.completion_tokens)
    yield _pair(None if theirs.usd is None else _usd(theirs.usd), _usd(ours.usd))
    yield _usd(each.more_usd)


def _pair(theirs: int | str | None, ours: int | str) -> str:
    """What the invoice says, and what the journal says if that is another thing."""
    if theirs == ours:
        return _number(ours)
    return f"{'–' if theirs is None else _number(theirs)} / {_number(ours)}"


def _usd(amount: Decimal) -> str:
    from gateway.bill import decimal_text

    return decimal_text(amount) or "0"


def _plain(found: Reconciled) -> dict[str, Any]:
    def row(each: Compared) -> dict[str, Any]:
        ours, theirs = each.ours, each.theirs
        return {
            "of": each.subject,
            "lines": each.lines,
            "verdict": each.verdict,
            "model": each.model,
            "invoice": {
                "prompt_tokens": theirs.prompt_tokens,
                "completion_tokens": theirs.completion_tokens,
                "cached_tokens": theirs.cached_tokens,
                "usd": None if theirs.usd is None else _usd(theirs.usd),
            },
            "journal": {
                "prompt_tokens": ours.prompt_tokens,
                "completion_tokens": ours.completion_tokens,
                "cached_tokens": ours.cached_tokens,
                "usd": _usd(ours.usd),
            },
            "difference_usd": _usd(each.more_usd),
        }

    return {
        "compared": [row(each) for each in found.compared],
        "elsewhere": {model: _usd(usd) for model, usd in found.elsewhere.items()},
    }
