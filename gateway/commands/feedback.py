"""`gradus feedback`: what users said of answers, as labels to fit predictors on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import from_json

from gateway.commands.files import writable
from gateway.commands.stored import ConfigFile, opened
from router.errors import OutcomesInvalid

app = typer.Typer(no_args_is_help=True, help="What users said of answers.")
app.callback()(lambda: None)  # or typer would drop the name of a group's only command

Output = Annotated[Path, typer.Option(callback=writable, help="The labels.", metavar="FILE.csv")]
Recorded = Annotated[
    list[Path] | None,
    typer.Option(
        "--for",
        help="Only of answers in these records (again for more).",
        metavar="RECORDS.jsonl",
        exists=True,
    ),
]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The first day (UTC).")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day (UTC).")]


@app.command(
    epilog="Example:\n\n  gradus feedback export --for records.jsonl --output labels.csv\n\n"
    "  gradus fit records.jsonl --labels labels.csv --output predictor/"
)
def export(
    output: Output,
    recorded: Recorded = None,
    since: Since = None,
    until: Until = None,
    config: ConfigFile = None,
) -> None:
    """Write what was right: rows of id and right (0 to 1), as `gradus fit --labels` reads them."""
    from gateway.store.feedback import given

    known = None if not recorded else {each for file in recorded for each in _ids(file)}
    rows = left_out = 0
    with opened(config) as database, output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "right"))
        for feedback in given(database, since and since.date(), until and until.date()):
            if known is None or feedback.request_id in known:
                writer.writerow((feedback.request_id, f"{feedback.score:.10g}"))
                rows += 1
            else:
                left_out += 1
    others = f"; {left_out} of answers that are not in the records were left out" if left_out else ""
    typer.echo(f"wrote {rows} {'label' if rows == 1 else 'labels'} to {output}{others}")


def _ids(file: Path) -> Iterator[str]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield str(from_json(line)["id"])
            except (ValueError, KeyError, TypeError):
                raise OutcomesInvalid(f"{file}:{number}: is no record of the gateway") from None
