"""`python -m workers`: run a worker, or train the embedded models (`gradus worker`, `gradus train`)."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from workers.bench.cli import app as bench
from workers.quality_cli import quality
from workers.training.cli import app as training

DEFAULT_CONCURRENCY = 32
"""Jobs at once. A waiting job is only a thread; what decodes together is up to the engine."""

app = typer.Typer(
    help="A worker runs models: it samples, judges and searches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(training, name="train")
app.command(epilog="Example:\n\n  gradus quality outcomes.jsonl --verifier abacus-prm --output quality.json")(
    quality
)
app.add_typer(bench, name="bench")


@app.command(
    "worker", epilog="Example:\n\n  GRADUS_REDIS_URL=redis://queue:6379 gradus worker --config gradus.yaml"
)
def serve(
    config: Annotated[
        str | None, typer.Option(help="YAML file or preset; else GRADUS_CONFIG, else the embedded models.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Jobs at once.")] = DEFAULT_CONCURRENCY,
) -> None:
    """Load the configured models, then take jobs until SIGTERM; running jobs are finished first."""
    from router.errors import RouterError
    from router.logs import log_to_stderr
    from router.tracing import turn_on
    from workers import settings
    from workers.errors import WorkerError

    started_s = time.monotonic()

    def ready(worker_id: str) -> None:
        typer.echo(f"worker {worker_id} is ready after {time.monotonic() - started_s:.1f} s")

    try:
        loaded = settings.load(config)
        log_to_stderr("gradus-worker", loaded.telemetry)
        turn_on("gradus-worker", os.environ)
        from workers import bootstrap  # once the configuration is known to be right: it takes seconds

        exit_code = bootstrap.serve(loaded, concurrency, ready)
    except (RouterError, WorkerError) as error:
        typer.echo(f"gradus: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(exit_code)
