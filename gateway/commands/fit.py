"""`gradus fit`: from outcomes to a predictor of how hard prompts are."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from gateway.commands.files import drawable, folder, writable
from gateway.embeddings import load_embedder
from router.artifacts import files_sha256
from router.config import load_config
from router.errors import OutcomesInvalid, UnknownPolicy
from router.outcome_files import read_outcomes
from router.outcome_table import OutcomeTable
from router.outcomes import SMALL
from router.predictor.card import COLUMNS, metric_rows, notes, stage_rows
from router.predictor.manifest import Identities, Manifest

STRATEGIES: Final = "strategies.json"
EPILOG: Final = (
    "Examples:\n\n  gradus fit outcomes/outcomes.jsonl --output predictor/\n\n"
    "  gradus fit outcomes.jsonl --output predictor/ --config gradus.yaml --policy cheap --plot fit.png\n\n"
    "  gradus fit records.jsonl.gz --labels feedback.csv --output predictor/"
)

Outcomes = Annotated[
    list[Path],
    typer.Argument(
        help="JSON lines or CSV, also .gz (docs/outcomes.md).", metavar="OUTCOMES...", show_default=False
    ),
]
Output = Annotated[Path, typer.Option(callback=folder, help="The predictor's folder.", metavar="FOLDER")]
Labels = Annotated[
    Path | None, typer.Option(help="What was right, said later: rows of id and right.", metavar="FILE")
]
Method = Annotated[str, typer.Option(help='A text model; "auto" chooses by inner cross-validation.')]
CalibrationShare = Annotated[
    float, typer.Option(help="Share of the questions that is held out.", min=0.05, max=0.9)
]
ConfigFile = Annotated[
    str | None, typer.Option(help="Whose models and verifier these are: a YAML file or a preset.")
]
Policy = Annotated[str, typer.Option(help="The policy of that configuration.")]
Seed = Annotated[int, typer.Option(help="Of the split and the folds.", min=0)]
Embedder = Annotated[
    Path | None,
    typer.Option(
        "--embedder", help="A sentence encoder (ONNX) whose embeddings refine it.", metavar="FOLDER"
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", callback=drawable, help="Draw predicted against observed.", metavar="FILE.png"),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", callback=writable, help="Write the manifest, with all metrics.", metavar="FILE"),
]


def command(
    outcomes: Outcomes,
    output: Output,
    labels: Labels = None,
    method: Method = "auto",
    calibration_share: CalibrationShare = 0.3,
    config: ConfigFile = None,
    policy: Policy = "default",
    seed: Seed = 0,
    embedder: Embedder = None,
    plot: Plot = None,
    json_file: Json = None,
) -> None:
    """Fit a predictor of P(right) and length for every action, calibrated, and of what probes add."""
    console = Console()
    configured = None if config is None else load_config(config, os.environ)
    if configured is not None and policy not in configured.policies:
        raise UnknownPolicy(f"--policy: there is no {policy!r}; there are {', '.join(configured.policies)}")
    with console.status("reading outcomes") as status:
        from router.fitting.fit import fit_predictor  # scikit-learn takes seconds to load
        from router.predictor.files import save_predictor
        from router.predictor.identity import check_fits, weights_of

        table = read_outcomes(outcomes, labels)
        _check_small(table)
        predictor = fit_predictor(
            table,
            method=method,
            calibration_share=calibration_share,
            seed=seed,
            identities=Identities(
                verifier=configured.policies[policy].verifier if configured else None,
                weights=weights_of(configured, policy) if configured else {},
                files=tuple(path.name for path in outcomes),
                embedding=None if embedder is None else str(embedder),
                sha256=files_sha256([*outcomes, *([labels] if labels else [])]),
            ),
            embed=None if embedder is None else load_embedder(embedder),
            on_step=status.update,
        )
        if configured is not None:
            check_fits(predictor, configured, policy)
        manifest = save_predictor(predictor, output)
        status.update("choosing searches by bin")
        has_table = _learn_strategies(table, manifest, output)
        is_stale = not has_table and (output / STRATEGIES).exists()
        if is_stale:  # it is of outcomes that this predictor knows nothing of
            (output / STRATEGIES).unlink()
    _show(console, manifest, output)
    for note in (*table.notes, *notes(manifest)):
        typer.echo(f"note: {note}", err=True)
    if has_table:
        console.print(
            f"Wrote {output / STRATEGIES}: which search suits a bin (`strategies:`).", soft_wrap=True
        )
    if is_stale:
        typer.echo(
            f"note: removed {output / STRATEGIES}, which was of an earlier fit: these outcomes give no table "
            "(that takes searches, probes, and --config for the verifier's name)",
            err=True,
        )
    if json_file:
        json_file.write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
    if plot:
        from gateway.commands.fit_figure import draw  # matplotlib, only where something is drawn

        draw(plot, manifest)


def _check_small(table: OutcomeTable) -> None:
    """Refuse outcomes without the small model: no policy could use what is fitted to them."""
    if all(action.route == "large" for action in table.actions):
        names = ", ".join(action.name for action in table.actions)
        raise OutcomesInvalid(
            f"no action is of the small model (there are {names}), and no policy decides without: call the "
            f'small model\'s single answer "action": "{SMALL}", with the model\'s name under "model" '
            "(docs/outcomes.md)"
        )


def _learn_strategies(table: OutcomeTable, manifest: Manifest, output: Path) -> bool:
    """Beside the predictor, where there are searches to choose among and a probe to tell the bin."""
    from router.strategy_table import fit_strategy_table, save_strategy_table

    if manifest.small is None or manifest.verifier is None:
        return False
    names = (manifest.small, manifest.verifier)
    try:
        learned = fit_strategy_table(
            table.only([action.name for action in manifest.actions]),
            model=manifest.small,
            verifier=manifest.verifier,
            weights={name: digest for name, digest in manifest.weights.items() if name in names},
            data_sha256=manifest.data.sha256,
            created=date.today().isoformat(),
        )
    except OutcomesInvalid:
        return False
    save_strategy_table(learned, output / STRATEGIES)
    return True


def _show(console: Console, manifest: Manifest, output: Path) -> None:
    data = manifest.data
    console.print(
        f"{manifest.method} on {data.fitted} questions; measured on {data.calibration} others, that nothing "
        "was fitted to",
        soft_wrap=True,
    )
    shown = [column for column, name in enumerate(COLUMNS) if name != "log loss"]  # 80 columns are not more
    table = Table(
        *(Column(COLUMNS[column], no_wrap=True) for column in shown), box=SIMPLE, padding=(0, 1, 0, 0)
    )
    for row in metric_rows(manifest):
        table.add_row(*(row[column] for column in shown))
    console.print(table)
    if manifest.probe:
        console.print(_probe_table(manifest))
    if manifest.small and manifest.verifier is None:
        console.print(
            "Whose scores the probes have is not recorded: give --config and --policy.", soft_wrap=True
        )
    console.print(
        f"Wrote {output}. Next: `predictor: {output}` in the configuration, then `gradus policy check`.",
        soft_wrap=True,
    )


def _probe_table(manifest: Manifest) -> Table:
    columns = ("samples", "n", "AUC", "Brier", "log loss", "ECE")
    title = f"after a probe (before it: Brier {manifest.probe[0].prior_brier:.4f})"
    table = Table(*columns, title=title, title_justify="left", box=SIMPLE)
    for row in stage_rows(manifest):
        table.add_row(*row)
    return table
