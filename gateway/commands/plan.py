"""`gradus plan`: a larger model for all, a search on a small one for all, or each for whom it suits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from cost_model.crossings import Exchange, VolumeCrossing, WorthCrossing, exchange, volumes, worths
from cost_model.planner import Option, is_mix, options
from cost_model.situation import Situation
from gateway.commands.files import drawable, writable
from router.traffic import load_traffic

EPILOG: Final = (
    "Examples:\n\n  gradus plan examples/plan-10m-queries.yaml\n\n"
    "  gradus plan traffic.yaml --plot plan.png --json plan.json"
)

File = Annotated[
    Path, typer.Argument(help="The question, in YAML (docs/planning.md).", metavar="FILE", show_default=False)
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        callback=drawable,
        help="Draw cost against accuracy, and cost by volume.",
        metavar="FILE.png",
    ),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", callback=writable, help="Write all of it for machines.", metavar="FILE"),
]


def command(file: File, plot: Plot = None, json_file: Json = None) -> None:
    """Answer the deployment question: what every option costs a year, how often it is right, what tips it."""
    console = Console()
    with console.status(f"reading {file}"):
        traffic, situation, mix_source = load_traffic(file)
    found = options(situation, traffic.mixes)
    at_volumes, at_worths = volumes(found), list(worths(situation, found))
    tokens = traffic.pretraining_tokens
    exchanged = None if tokens is None else exchange(situation, float(tokens))
    console.print(_bins(situation))
    console.print(f"difficulty mix from {mix_source}", soft_wrap=True, highlight=False, markup=False)
    console.print(_options(situation, found))
    for line in _said(found):
        console.print(line, soft_wrap=True, highlight=False)
    if at_volumes:
        console.print(_volumes(at_volumes))
    if at_worths:
        console.print(_worths(at_worths))
    if exchanged:
        console.print(_ratio(exchanged), soft_wrap=True, highlight=False)
    if json_file:
        told = {"mix_from": mix_source, **_as_json(found, at_volumes, at_worths, exchanged)}
        json_file.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if plot:
        from gateway.commands.plan_figure import draw  # matplotlib, only where something is drawn

        draw(plot, situation, found, at_volumes)


def _bins(situation: Situation) -> Table:
    bins = situation.bins
    table = _table(
        "P(right) by difficulty", "way", *(f"{name} ({each.share:.1%})" for name, each in bins.items())
    )
    for way in situation.ways:
        table.add_row(way, *(f"{each.right[way]:.3f}" for each in bins.values()))
    return table


def _options(situation: Situation, found: list[Option]) -> Table:
    title = (
        f"{situation.queries_per_day:,f} queries a day, a right answer worth "
        f"${situation.usd_per_right_answer:f}"
    )
    heads = ("P(right)", "$ a query", "$ a year", "paid once", "worth a year", "seconds")
    table = _table(title, "option", *heads)
    best = _best(found)
    for each in found:
        table.add_row(
            each.name,
            f"{each.right:.3f}",
            _short(each.usd_per_query),
            _usd(each.usd_per_year),
            _usd(each.fixed_usd) if each.fixed_usd else "–",
            _usd(each.value_usd_per_year),
            _seconds(each.seconds),
            style="bold" if each is best else None,
        )
    return table


def _said(found: list[Option]) -> Iterator[str]:
    """What else there is to say of each option, a line each."""
    for each in found:
        busy = [f"{count:,.1f} of {model}" for model, count in each.busy_machines.items()]
        said = [
            "worth most" if each is _best(found) else "",
            ", ".join(f"{name} by {way}" for name, way in each.choice.items()) if is_mix(each) else "",
            "" if each.flops_per_year is None else f"{each.flops_per_year:.2e} FLOPs a year",
            f"busy machines: {', '.join(busy)}" if busy else "",
        ]
        if any(said):
            yield f"{each.name}: {'; '.join(part for part in said if part)}"


def _volumes(crossings: list[VolumeCrossing]) -> Table:
    table = _table("What costs less a year, by queries a day", "up to", "cheaper below", "cheaper above")
    for each in crossings:
        table.add_row(f"{each.queries_per_day:,.0f}", each.below, each.above)
    return table


def _worths(crossings: list[WorthCrossing]) -> Table:
    table = _table(
        "Where a mix is worth as much as one way for all (–: nowhere)",
        *("mix", "against", "a right answer", "its model's price", "share"),
    )
    for each in crossings:
        share, factor, usd = each.share, each.price_factor, each.usd_per_right_answer
        table.add_row(
            each.mix,
            each.other,
            "–" if usd is None else f"${_short(usd)}",
            "–" if factor is None else f"{each.model} x {factor:.3g}",
            "–" if share is None else f"{share:.1%} {each.bin}",
        )
    return table


def _table(title: str, first: str, *heads: str) -> Table:
    table = Table(first, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _best(found: list[Option]) -> Option:
    return max(found, key=lambda each: each.value_usd_per_year)


def _ratio(exchanged: Exchange) -> str:
    up_to = exchanged.break_even_ratio
    within = "whatever R is" if up_to is None else f"as long as R is below {up_to:.3g}"
    return (
        f"R = {exchanged.ratio:.3g} (tokens inferred over tokens of pretraining). At the FLOPs of "
        f"{exchanged.large}, {exchanged.times_larger:.3g} times larger, {exchanged.small} may do "
        f"{exchanged.allowed:.3g} times its inference; the search does {exchanged.growth:.3g} times, within "
        f"that {within}."
    )


def _short(amount: Decimal) -> str:
    """Three digits; a plain 0, however many places it came with."""
    return f"{amount:.3g}" if amount else "0"


def _usd(amount: Decimal) -> str:
    return f"{amount / 1_000_000:,.2f}M" if abs(amount) >= 1_000_000 else f"{amount:,.2f}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.3g}" if isfinite(seconds) else "overloaded"


def _as_json(
    found: list[Option],
    at_volumes: list[VolumeCrossing],
    at_worths: list[WorthCrossing],
    exchanged: Exchange | None,
) -> dict[str, Any]:
    """Money is a decimal string; what is unknown is ``null``."""
    told: dict[str, Any] = {
        "options": [asdict(each) for each in found],
        "volume_crossings": [asdict(each) for each in at_volumes],
        "worth_crossings": [asdict(each) for each in at_worths],
        "exchange": None if exchanged is None else asdict(exchanged),
    }
    plain: dict[str, Any] = _plain(told)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float) and not isfinite(value):
        return None  # more arrives than can be served
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
