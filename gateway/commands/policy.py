"""`gradus policy check`: what the policies of a configuration mean, and what is to be expected of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.commands.files import drawable, writable
from gateway.embeddings import load_embedder
from router.config import Config, load_config
from router.errors import ArtifactInvalid, CannotTune, UnknownPolicy

if TYPE_CHECKING:  # these load scipy and scikit-learn, which take seconds
    from router.predictor.predictor import Predictor
    from router.review import Review
    from router.trials import Trial
    from router.tuning import Tuned

EPILOG: Final = (
    "Examples:\n\n  gradus policy check gradus.yaml\n\n"
    "  gradus policy check gradus.yaml --policy sure --plot sure.png\n\n"
    "  gradus policy check gradus.yaml --outcomes last-week.jsonl --json policies.json"
)
_ROWS: Final = 8
"""So many multipliers are shown of those that were tried."""
_WOULD: Final = (
    "this is what would be chosen on these outcomes: a gateway tunes on its predictor's calibration questions"
)
_SEEN: Final = "the predictor was fitted to these questions"

File = Annotated[str, typer.Argument(help="A configuration, or a preset.", metavar="FILE")]
Only = Annotated[
    str | None, typer.Option("--policy", help="Only this one.", metavar="NAME", show_default=False)
]
Outcomes = Annotated[
    list[Path] | None,
    typer.Option(
        help="Tune on these outcomes, instead of the predictor's calibration questions.",
        metavar="FILE",
        show_default=False,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", callback=drawable, help="Draw accuracy over cost.", metavar="FILE.png"),
]
Json = Annotated[
    Path | None, typer.Option("--json", callback=writable, help="Write every number.", metavar="FILE")
]


def command(
    file: File,
    policy: Only = None,
    outcomes: Outcomes = None,
    plot: Plot = None,
    json_file: Json = None,
) -> None:
    """Say what each policy wants, how it was tuned, whether that is certified, and what to expect of it."""
    console = Console()
    config = load_config(file, os.environ)
    if policy is not None and policy not in config.policies:
        raise UnknownPolicy(f"--policy: there is no {policy!r}; there are {', '.join(config.policies)}")
    with console.status("reading") as status:
        reviews = list(
            _reviews(config, [policy] if policy else list(config.policies), outcomes or [], status.update)
        )
    for each in reviews:
        _show(console, each)
    if json_file:
        json_file.write_text(json.dumps([asdict(each) for each in reviews], indent=1) + "\n", "utf-8")
    if plot:
        from gateway.commands.policy_figure import draw  # matplotlib, only where something is drawn

        draw(plot, reviews)


def _reviews(
    config: Config, names: Sequence[str], outcomes: Sequence[Path], say: Callable[[str], None]
) -> Iterator[Review]:
    from router.opening import open_untuned, tune_by
    from router.review import review

    opened = open_untuned(config, load_embedder)
    market, predictor, missing = opened.market, opened.predictor, list(opened.warnings)
    doubt = None
    if outcomes:
        if predictor is None:
            raise CannotTune("--outcomes: there is no predictor to tune on them; make one by `gradus fit`")
        predictor, doubt = _on_these(predictor, outcomes)
        missing += [doubt] if doubt else []
        missing.append(_WOULD)
    unfit: list[ArtifactInvalid] = []
    for name in names:
        say(f"tuning {name}")
        tuned, warnings = None, list(missing)
        if predictor is not None:
            try:
                tuned = tune_by(market, name, predictor, doubt=doubt and _SEEN)
            except (ArtifactInvalid, CannotTune) as error:
                warnings.append(str(error))
                unfit += [error] if isinstance(error, ArtifactInvalid) else []
        found = review(market, name, tuned)
        yield replace(found, warnings=(*warnings, *found.warnings))
    if len(unfit) == len(config.policies):  # then a gateway would not start
        raise unfit[0]


def _on_these(predictor: Predictor, outcomes: Sequence[Path]) -> tuple[Predictor, str | None]:
    """The predictor with ``outcomes`` as its calibration questions, and why they certify nothing."""
    from router.fitting.fit import calibration_split
    from router.outcome_files import read_outcomes
    from router.predictor.identity import seen_before

    table = read_outcomes(outcomes, None)
    try:
        table = table.only([action.name for action in predictor.actions])
    except KeyError as error:
        raise CannotTune(f"--outcomes: {error.args[0]}") from None
    found = replace(predictor, calibration=calibration_split(predictor, table))
    return found, seen_before([predictor], outcomes)


def _show(console: Console, found: Review) -> None:
    console.print(f"\n[bold]{found.name}[/bold]  {found.wants}", soft_wrap=True, highlight=False)
    console.print(f"  ways: {found.ways}", soft_wrap=True, highlight=False)
    for rule in found.rules:
        console.print(f"  {rule}", soft_wrap=True, highlight=False, markup=False)
    if found.tuned is not None:
        _show_tuned(console, found.tuned, ", but for queries that a rule decides" if found.rules else "")
    for warning in found.warnings:
        console.print(f"  [yellow]note:[/yellow] {escape(warning)}", soft_wrap=True, highlight=False)


def _show_tuned(console: Console, tuned: Tuned, but: str) -> None:
    """``but`` says which queries are not in it."""
    sure = f" (certified{but})" if tuned.chosen.certified else ""
    console.print(f"  does: {tuned.chosen}{sure}: {escape(tuned.reason)}", soft_wrap=True, highlight=False)
    accuracy, cost = tuned.accuracy, tuned.cost_usd
    console.print(
        f"  expected: right in {accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}], "
        f"{_usd(cost.value)} [{_usd(cost.low)}, {_usd(cost.high)}] a query ({tuned.units} questions){but}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    table = Table("considered", "right in", "a query", "certified")
    for trial in considered(tuned):
        certified = "yes" if trial.certified else ""
        style = "bold" if trial == tuned.chosen else None
        table.add_row(str(trial), f"{trial.accuracy:.1%}", _usd(trial.cost_usd), certified, style=style)
    console.print(table)


def considered(tuned: Tuned) -> list[Trial]:
    """The chosen one, the single actions, and of the multipliers a few that differ, dearest first."""
    routing = [trial for trial in tuned.trials if trial.always is None]
    costs = {trial.cost_usd: trial for trial in routing}  # of equal ones the last
    kept = sorted(costs.values(), key=lambda trial: -trial.cost_usd)
    step = max(1, len(kept) // _ROWS)
    alone = [trial for trial in tuned.trials if trial.always is not None]
    shown = {id(trial) for trial in (*kept[::step], *alone, tuned.chosen)}
    return sorted((trial for trial in tuned.trials if id(trial) in shown), key=lambda trial: -trial.cost_usd)


def _usd(amount: float) -> str:
    from router.words import usd

    return usd(Decimal(repr(amount)))
