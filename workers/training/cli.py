"""The training commands: data, lm, rollouts, prm, report, and abacus, which runs them in order."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.training import files

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train the embedded Abacus models. Every command is seeded and goes on where a killed one stopped.",
)


class Size(StrEnum):
    small = "small"
    large = "large"


DataDir = Annotated[Path, typer.Option(help="Where data, checkpoints and samples are kept.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes torch's own choice.")]


def _start(data_dir: Path, threads: int) -> Path:
    """Common start: the data folder expanded, torch told how many threads to use."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    return data_dir.expanduser()


@app.command(epilog="Example: gradus train data --problems 100000 --seed 1")
def data(
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    seed: Seed = 1,
    problems: Annotated[int, typer.Option(min=200, help="Distinct problems over all splits.")] = 110_000,
) -> None:
    """Generate the problems, split them, train the tokenizer."""
    from workers.training.data import build

    typer.echo(json.dumps(build(data_dir.expanduser(), seed, problems)))


@app.command(epilog="Example: gradus train lm --size small")
def lm(
    size: Annotated[Size, typer.Option(help="Which model.")],
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    seed: Seed = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 1,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after this many steps (decay included).")] = None,
    threads: Threads = 0,
) -> None:
    """Train one language model; the same examples in the same order for both sizes."""
    from workers.training.lm import LEARNING_RATES, LmSettings, train

    folder = _start(data_dir, threads)
    settings = LmSettings(seed=seed, epochs=epochs, steps=steps, learning_rate=LEARNING_RATES[size.value])
    typer.echo(json.dumps(train(folder, size.value, settings)))
