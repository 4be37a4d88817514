"""`gradus quality`: measure a verifier on labelled outcomes."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from router.config import Config
    from workers.protocols import Verifier
    from workers.verifiers.quality import Quality

FORMAT_VERSION = 1


def quality(
    data: Annotated[Path, typer.Argument(metavar="DATA.jsonl", help="Rows of question, text and right.")],
    output: Annotated[Path, typer.Option(help="Where the measurement is written.")] = Path("quality.json"),
    verifier: Annotated[
        str | None,
        typer.Option(help="A verifier of the configuration; not needed where all rows have scores."),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="YAML file or preset; else GRADUS_CONFIG, else the embedded models.")
    ] = None,
) -> None:
    """Measure a verifier: does it rank right above wrong, are its scores probabilities, does it beat votes?

    Name the file it writes as `quality` of a verifier, with what it must reach: below that, searches choose
    by majority.
    """
    from router.errors import RouterError
    from workers.errors import WorkerError

    if not output.parent.is_dir():
        typer.echo(f"gradus: --output {output}: {output.parent} is no folder", err=True)
        raise typer.Exit(2)
    try:
        measured = _measure(data, verifier, config)
    except (RouterError, WorkerError) as error:
        typer.echo(f"gradus: {error}", err=True)
        raise typer.Exit(2) from error
    output.write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    typer.echo(f"wrote {output}")


def _measure(data: Path, name: str | None, source: str | None) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from router.artifacts import weights_sha256
    from workers import settings
    from workers.errors import ModelUnavailable
    from workers.verifiers.outcomes import OutcomesInvalid, judge, read_outcomes
    from workers.verifiers.quality import measure

    questions = read_outcomes(data)
    unscored = sum(one.score is None for question in questions for one in question.outcomes)
    weights = None
    with ExitStack() as resources:
        loaded = None
        if name is not None:
            config = settings.load(source)
            if name not in config.verifiers:
                raise ModelUnavailable(f"--verifier {name}: there are {', '.join(config.verifiers)}")
            weights = weights_sha256(getattr(config.verifiers[name], "path", ""))
            loaded = _load(config, name, resources) if unscored else None
        elif unscored:
            raise OutcomesInvalid(
                f"{data}: {unscored} rows have no score; give --verifier NAME to score them"
            )
        progress = resources.enter_context(Progress(console=Console(stderr=True), transient=True))
        bar = progress.add_task("judging questions", total=len(questions))
        judged = judge(questions, loaded, lambda: progress.advance(bar))
    found = measure(judged)
    _show(found, Console())
    return {"version": FORMAT_VERSION, "verifier": name} | asdict(found) | {"weights_sha256": weights}


def _load(config: Config, name: str, resources: ExitStack) -> Verifier:
    """The verifier, and where it is an ensemble its members."""
    from workers.bootstrap import load_verifiers

    needed = {name, *getattr(config.verifiers[name], "weights", {})}
    wanted = {each: verifier for each, verifier in config.verifiers.items() if each in needed}
    return load_verifiers(config.model_copy(update={"verifiers": wanted}), resources)[name]


def _show(found: Quality, console: Any) -> None:
    from rich.table import Table

    table = Table("measured", "value", title=f"{found.outcomes} outcomes of {found.questions} questions")
    low, high = found.gain_interval
    for what, value in (
        ("AUC", _number(found.auc)),
        ("AUC within a question", _number(found.within_question_auc)),
        ("calibration error (ECE)", _number(found.ece)),
        ("Brier score", _number(found.brier)),
        ("right by majority", f"{found.majority_right:.1%}"),
        ("right by weighted vote", f"{found.weighted_right:.1%}"),
        ("right by best of n", f"{found.best_of_n_right:.1%}"),
        ("gain over majority", f"{found.gain_over_majority:+.1%} ({low:+.1%} to {high:+.1%})"),
    ):
        table.add_row(what, value)
    console.print(table)
    scores = Table("score", "outcomes", "mean score", "share right")
    for one in found.reliability:
        scores.add_row(
            f"{one.low:.1f} to {one.high:.1f}",
            str(one.outcomes),
            f"{one.mean_score:.2f}",
            f"{one.share_right:.2f}",
        )
    console.print(scores)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
