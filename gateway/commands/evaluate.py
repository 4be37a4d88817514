"""`gradus evaluate`: what routing is worth on recorded outcomes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway.commands.files import drawable, writable

if TYPE_CHECKING:  # these load scikit-learn, which takes seconds
    from router.evaluation.bootstrap import Interval
    from router.evaluation.policies import Router
    from router.evaluation.report import Report, Row
    from router.evaluation.setting import Setting
    from router.predictor.predictor import Predictor

EPILOG: Final = (
    "Examples:\n\n  gradus evaluate outcomes/outcomes.jsonl\n\n"
    "  gradus evaluate mine.jsonl.gz more.csv --weak mixtral --strong gpt-4 --plot routing.png\n\n"
    "  gradus evaluate held-out.jsonl --predictor predictor/ --json routing.json\n\n"
    "  gradus evaluate outcomes.jsonl --actions small,majority@16,large"
)

Data = Annotated[
    list[Path],
    typer.Argument(
        help="JSON lines or CSV, also .gz (docs/outcomes.md).", metavar="DATA...", show_default=False
    ),
]
Labels = Annotated[
    Path | None, typer.Option(help="What was right, said later: rows of id and right.", metavar="FILE")
]
Weak = Annotated[
    str | None,
    typer.Option(help="The action to leave: else the cheapest.", metavar="ACTION", show_default=False),
]
Strong = Annotated[
    str | None,
    typer.Option(
        help="The action to call instead: else the most accurate.", metavar="ACTION", show_default=False
    ),
]
Actions = Annotated[
    str,
    typer.Option(help="Route between these too, with commas; or all.", metavar="A,B,...", show_default=False),
]
PredictorFolder = Annotated[
    Path | None,
    typer.Option(help="Measure this predictor, on data that it never saw; else one is fitted, by folds."),
]
Method = Annotated[str, typer.Option(help='The text model that is fitted; "auto" chooses inside each fold.')]
Folds = Annotated[int, typer.Option(help="How often the questions are divided.", min=2, max=10)]
Seeds = Annotated[int, typer.Option(help="How many divisions to average over.", min=1)]
Resamples = Annotated[int, typer.Option(help="Of the bootstrap behind the intervals.", min=100)]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", callback=drawable, help="Draw curves and reliability.", metavar="FILE.png"),
]
Json = Annotated[
    Path | None, typer.Option("--json", callback=writable, help="Write every number.", metavar="FILE")
]


def command(
    data: Data,
    labels: Labels = None,
    weak: Weak = None,
    strong: Strong = None,
    actions: Actions = "",
    predictor: PredictorFolder = None,
    method: Method = "auto",
    folds: Folds = 5,
    seeds: Seeds = 5,
    resamples: Resamples = 1000,
    plot: Plot = None,
    json_file: Json = None,
) -> None:
    """Measure what routing is worth on recorded outcomes, against always one action, chance and an oracle."""
    console = Console()
    with console.status("reading outcomes"):
        from router.evaluation.report import report  # scikit-learn takes seconds to load
        from router.evaluation.setting import prepare
        from router.outcome_files import read_outcomes
        from router.predictor.files import load_predictor
        from router.predictor.identity import questions_seen

        table = read_outcomes(data, labels)
        wanted = [each.name for each in table.actions] if actions == "all" else actions.split(",")
        setting = prepare(table, weak=weak, strong=strong, actions=[each for each in wanted if each])
        fitted = None if predictor is None else load_predictor(str(predictor))
        if fitted and (seen := questions_seen(fitted, setting.table.prompts)):
            setting = replace(setting, notes=(seen, *setting.notes))
    routers = _routers(console, setting, fitted, method, folds, seeds)
    with console.status("resampling"):
        found = report(setting, routers, resamples=resamples)
    show(console, found)
    if json_file:
        json_file.write_text(json.dumps(found.json(), indent=1) + "\n", "utf-8")
    if plot:
        from gateway.commands.evaluate_figure import draw  # matplotlib, only where something is drawn

        draw(plot, found)


def _routers(
    console: Console, setting: Setting, fitted: Predictor | None, method: str, folds: int, seeds: int
) -> list[Router]:
    from router.evaluation.crossval import cross_validate
    from router.evaluation.measures import LENGTH
    from router.evaluation.policies import Router, by_length
    from router.evaluation.product import apply_predictor, fit_and_forecast, halves
    from router.fitting.minimum import check_enough

    if fitted is None:
        check_enough(setting.table, folds)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("fitting, fold by fold", total=folds * seeds)
        length = cross_validate(setting.table, by_length, fold_count=folds, seeds=range(seeds))
        if fitted is not None:
            predicted = apply_predictor(fitted, setting.table)
        else:
            predicted = cross_validate(
                setting.table,
                fit_and_forecast(method),
                fold_count=folds,
                seeds=range(seeds),
                on_fold=lambda: progress.advance(task),
            )
    text, probed = halves(predicted)
    routers = [Router(LENGTH, length), Router("predictor, text", text)]
    if setting.probed_cost is not None and not (probed.right == text.right).all():
        routers.append(Router("predictor, text and probe", probed, probes=True))
    return routers


def show(console: Console, found: Report) -> None:
    """Two tables, the calibration, what was left out, and the verdict."""
    money = found.unit == "usd"
    paid = "USD" if money else f"calls of {found.strong}"
    policies = Table(title=f"{found.questions} questions in {found.groups} groups", title_justify="left")
    for head in ("policy", "right", "against the best single"):
        policies.add_column(head)
    if found.unit:
        for head in (paid, "against mixes at equal cost"):
            policies.add_column(head)
    policies.add_column("quality lost")
    if found.unit:
        policies.add_column(f"wasted {paid}")
    for row in found.rows:
        policies.add_row(*_policy_cells(row, found))
    console.print(policies)
    routers = Table(title=f"{found.weak} or {found.strong}", title_justify="left")
    for head in ("router", "APGR", "over length", "CPT(20%)", "CPT(50%)", "CPT(80%)", "AIQ", "ECE", "Brier"):
        routers.add_column(head)
    for row in found.rows:
        if row.kind == "router":
            routers.add_row(*_router_cells(row, found))
    console.print(routers)
    for note in found.notes:
        console.print(f"note: {note}", style="yellow", markup=False)
    console.print(found.verdict.reason, style="bold", markup=False)


def _policy_cells(row: Row, found: Report) -> list[str]:
    names = ["accuracy", "over_best", "quality_lost"]
    if found.unit:
        names = ["accuracy", "over_best", "cost", "over_mix", "quality_lost", "wasted"]
    digits = {"cost": 3, "wasted": 3} if found.unit == "usd" else {}
    return [row.name, *(_cell(row.measures.get(name), significant=digits.get(name)) for name in names)]


def _router_cells(row: Row, found: Report) -> list[str]:
    names = ("apgr", "apgr_over_length", "cpt20", "cpt50", "cpt80", "aiq")
    believed = [each for each in found.calibration if each.router == row.name]
    return [
        row.name,
        *(_cell(row.measures.get(name)) for name in names),
        "/".join(f"{each.ece:.3f}" for each in believed),
        "/".join(f"{each.brier:.3f}" for each in believed),
    ]


def _cell(value: Interval | None, *, significant: int | None = None) -> str:
    if value is None:
        return "-"
    if value.value != value.value:
        return "–"
    form = f".{significant}g" if significant else ".3f"
    return f"{value.value:{form}} [{value.low:{form}}, {value.high:{form}}]"
