"""What the commands that work on the database share: opening it, options, and how limits are shown."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console

from router.config import load_config

if TYPE_CHECKING:  # SQLAlchemy, only where a command runs
    from gateway.store.database import Database

S = TypeVar("S", bound=BaseModel)

NONE: Final = "none"
_UNWRAPPED: Final = 10_000
_DAYS: Final = re.compile(r"(\d{1,4})d")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration whose database it is (or $GRADUS_DATABASE_URL).", metavar="FILE"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _limit(help_: str, metavar: str) -> Any:
    return typer.Option(help=f"{help_}; none: no limit.", metavar=metavar, show_default=False)


UsdTotal = Annotated[str | None, _limit("USD that may be spent, ever", "USD")]
UsdPerDay = Annotated[str | None, _limit("USD a day (UTC)", "USD")]
UsdPerMonth = Annotated[str | None, _limit("USD a month (of the calendar, UTC)", "USD")]
RequestsPerMinute = Annotated[str | None, _limit("Requests a minute", "N")]
TokensPerMinute = Annotated[str | None, _limit("Tokens a minute, prompt and completion of every model", "N")]
MaxConcurrentRequests = Annotated[str | None, _limit("Requests at once", "N")]


@contextmanager
def opened(config: Path | None) -> Iterator[Database]:
    """The configured database. Raises :class:`router.errors.RouterError`."""
    from gateway.store.opening import open_database

    database = open_database(load_config(config, os.environ).database)
    try:
        yield database
    finally:
        database.close()


def table_console() -> Console:
    """For tables with names: as wide as the terminal; a pipe or a file gets whole lines, for grep and awk."""
    return Console(width=None if sys.stdout.isatty() else _UNWRAPPED)


def limits(
    usd_total: str | None,
    usd_per_day: str | None,
    usd_per_month: str | None,
    requests_per_minute: str | None,
    tokens_per_minute: str | None,
    max_concurrent_requests: str | None,
) -> dict[str, Any]:
    """The limits that were given, as the admin interface takes them."""
    money = {"usd_total": usd_total, "usd_per_day": usd_per_day, "usd_per_month": usd_per_month}
    counts = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "max_concurrent_requests": max_concurrent_requests,
    }
    given = {name: unless_none(value) for name, value in money.items() if value is not None}
    return given | {name: _count(value) for name, value in counts.items() if value is not None}


def unless_none(value: str) -> str | None:
    return None if value.lower() == NONE else value


def moment(text: str) -> str | None:
    """An expiry: ``30d`` from now, a day (its beginning in UTC), a moment, or none."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return (datetime.now(UTC) + timedelta(days=int(days[1]))).isoformat()
    try:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).isoformat()
    except ValueError:
        return unless_none(text)


def checked(schema: type[S], values: Mapping[str, Any]) -> S:
    """``values`` as the admin interface has them.

    Raises :class:`typer.BadParameter` that names the option.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [str(part) for part in first["loc"] if isinstance(part, str)]
        name = place[-1] if place[0] == "limits" else place[0]
        option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
        said = first["msg"][0].lower() + first["msg"][1:]
        raise typer.BadParameter(f"{option}: {said}, not {first['input']!r}") from None


def show_json(*objects: BaseModel, many: bool = False) -> None:
    """One object, or a list."""
    plain = [json.loads(each.model_dump_json()) for each in objects]
    typer.echo(json.dumps(plain if many else plain[0], indent=1, ensure_ascii=False))


def limits_text(given: Mapping[str, str | int]) -> str:
    """``$5 a day, 60 requests a minute``."""
    return ", ".join(_WORDS[name].format(value) for name, value in given.items()) or "none"


_OPTIONS: Final = {
    "name": "NAME",
    "models": "--model",
    "policies": "--policy",
    "tags": "--tag",
    "expires_at": "--expires",
}
_WORDS: Final = {
    "usd_total": "${} in all",
    "usd_per_day": "${} a day",
    "usd_per_month": "${} a month",
    "requests_per_minute": "{} requests a minute",
    "tokens_per_minute": "{} tokens a minute",
    "max_concurrent_requests": "{} at once",
}


def _count(value: str) -> int | str | None:
    return int(value) if value.isdecimal() else unless_none(value)
