"""`gradus replay`: what policies would have done with recorded traffic."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.commands.files import drawable, writable
from gateway.embeddings import load_embedder

if TYPE_CHECKING:  # these load scipy, which takes a while
    from router.evaluation.bootstrap import Interval
    from router.replay.report import Measure, Replay

EPILOG: Final = (
    "Examples:\n\n  gradus replay last-week.jsonl --policy gradus.yaml --policy gradus.yaml:cheap\n\n"
    "  gradus replay outcomes/outcomes.jsonl --policy now.yaml --policy next.yaml --plot replay.png\n\n"
    "  gradus replay traffic.jsonl.gz --policy abacus --json replay.json"
)
_SEGMENTS: Final = 12
"""So many differences are shown; the JSON has all."""
_WAYS: Final = 6

Traffic = Annotated[
    list[Path],
    typer.Argument(
        help="JSON lines or CSV, also .gz (docs/outcomes.md).", metavar="TRAFFIC...", show_default=False
    ),
]
Policies = Annotated[
    list[str],
    typer.Option(
        "--policy",
        help="A configuration or preset, and one of its policies. Others are compared with the first.",
        metavar="FILE[:POLICY]",
        show_default=False,
    ),
]
Processes = Annotated[
    int | None, typer.Option(help="How many work on it; else by size and cores.", min=1, show_default=False)
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", callback=drawable, help="Draw accuracy over cost.", metavar="FILE.png"),
]
Json = Annotated[
    Path | None, typer.Option("--json", callback=writable, help="Write every number.", metavar="FILE")
]


def command(
    traffic: Traffic,
    policy: Policies,
    processes: Processes = None,
    plot: Plot = None,
    json_file: Json = None,
) -> None:
    """Replay recorded traffic: what each policy would have decided, and what would have come of it."""
    console = Console()
    found, seconds = _replayed(console, policy, traffic, processes)
    show(console, found)
    console.print(
        f"{found.questions:,} questions in {seconds:.1f} s, {found.questions / seconds:,.0f} a second"
    )
    if json_file:
        json_file.write_text(json.dumps({**found.json(), "seconds": seconds}, indent=1) + "\n", "utf-8")
    if plot:
        from gateway.commands.replay_figure import draw  # matplotlib, only where something is drawn

        draw(plot, found)


def _replayed(
    console: Console, policies: Sequence[str], traffic: Sequence[Path], processes: int | None
) -> tuple[Replay, float]:
    """What came of it, and in how many seconds."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("reading configurations and predictors")
        from router.errors import OutcomesInvalid
        from router.replay.contenders import fitted_to, open_contenders
        from router.replay.report import report
        from router.replay.run import processes_for, replay, replay_in_processes

        contenders = open_contenders(policies, os.environ, load_embedder)
        for warning in dict.fromkeys(each for contender in contenders for each in contender.warnings):
            console.print(f"note: {warning}", style="yellow", markup=False, soft_wrap=True)
        began = time.monotonic()

        def tell(questions: int) -> None:
            rate = questions / (time.monotonic() - began)
            progress.update(task, description=f"{questions:,} questions, {rate:,.0f} a second")

        processes = processes or processes_for(traffic)
        if processes > 1:
            tally = replay_in_processes(contenders, traffic, processes, tell)
        else:
            tally = replay(contenders, traffic, on_questions=tell)
        if not tally.counts:
            raise OutcomesInvalid(f"{', '.join(map(str, traffic))}: no outcomes")
        seconds = time.monotonic() - began
    found = report(tally, [each.name for each in contenders])
    if seen := fitted_to(contenders, traffic, found.questions):
        console.print(f"note: {seen}", style="bold yellow", markup=False, soft_wrap=True)
    return found, seconds


def show(console: Console, found: Replay) -> None:
    """What came of each policy, what it did, the single actions, and where policies differ."""
    table = Table(title=f"{found.questions:,} questions", title_justify="left")
    for head in ("policy", "right", "USD", "recorded", "others, estimated", "quality lost", "USD wasted"):
        table.add_column(head)
    for each in found.policies:
        table.add_row(
            each.name,
            _share(each.came.right),
            _usd(each.came.cost_usd),
            f"{each.came.questions / each.questions:.1%}",
            _share(each.estimated.right) if each.estimated.questions else "-",
            _share(each.to_oracle.right),
            _usd(each.to_oracle.cost_usd),
        )
    for name, measure in [*found.actions.items(), ("oracle", found.oracle)]:
        title = name if name == "oracle" else f"always {name}"
        table.add_row(
            title,
            _share(measure.right),
            _usd(measure.cost_usd),
            f"{measure.questions / found.questions:.1%}",
            style="bold" if name == found.best else "dim",
        )
    console.print(table)
    _show_deeds(console, found)
    _show_segments(console, found)


def _show_deeds(console: Console, found: Replay) -> None:
    first = found.policies[0].name
    table = Table("policy", "probes", "samples", "then large", "unseen", "refused", "ways")
    others = len(found.policies) > 1
    if others:
        table.add_column(f"right over {first}")
        table.add_column(f"USD over {first}")
    if found.best:
        table.add_column(f"right over always {found.best}")
    for each in found.policies:
        shown = list(each.ways.items())[:_WAYS]
        cells = [
            each.name,
            f"{each.probed:.1%}",
            f"{each.samples:.1f}",
            f"{each.escalated:.1%}",
            f"{each.unseen:.1%}",
            f"{each.refused:.1%}",
            ", ".join(f"{name} {share:.1%}" for name, share in shown),
        ]
        if others:
            cells += ["-", "-"] if each.over_first is None else _pair(each.over_first)
        if each.over_best is not None:
            cells.append(_share(each.over_best.right, signed=True))
        table.add_row(*cells)
    console.print(table)


def _show_segments(console: Console, found: Replay) -> None:
    if not found.differences:
        return
    first = found.policies[0].name
    table = Table("segment", "questions", "policy", f"right over {first}", f"USD over {first}", "clear")
    for each in found.differences[:_SEGMENTS]:
        table.add_row(
            each.segment or "(none)",
            f"{each.questions:,}",
            each.policy,
            *_pair(each.over_first),
            "yes" if each.clear else "",
            style=None if each.clear else "dim",
        )
    console.print(table)
    if len(found.differences) > _SEGMENTS:
        console.print(f"{len(found.differences) - _SEGMENTS} smaller differences: see --json")


def _pair(measure: Measure) -> list[str]:
    return [_share(measure.right, signed=True), _usd(measure.cost_usd, signed=True)]


def _share(interval: Interval, *, signed: bool = False) -> str:
    plus = "+" if signed else ""
    if interval.value != interval.value:
        return "-"
    return f"{interval.value:{plus}.1%} [{interval.low:{plus}.1%}, {interval.high:{plus}.1%}]"


def _usd(interval: Interval, *, signed: bool = False) -> str:
    plus = "+" if signed else ""
    if interval.value != interval.value:
        return "-"
    return f"{interval.value:{plus}.3g} [{interval.low:{plus}.3g}, {interval.high:{plus}.3g}]"
