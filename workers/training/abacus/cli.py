"""`gradus train abacus`: data, lm, grow, questions, publish, report, and all, which runs them in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workers.training import files
from workers.training.commands import one_line_errors

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make the embedded Abacus models. Every command is seeded and goes on where a killed one stopped.",
)
DEFAULT_PROBLEMS = 150_000
DEFAULT_HELD_OUT = 400


class Size(StrEnum):
    small = "small"
    large = "large"


class Split(StrEnum):
    train = "train"
    validation = "validation"
    calibration = "calibration"
    test = "test"


DataDir = Annotated[Path, typer.Option(help="Where data, checkpoints and samples are kept.")]
ModelsDir = Annotated[Path, typer.Option(help="Where the model folders are written.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads of a process.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes that share a training step.")]
Problems = Annotated[int, typer.Option(min=200, help="Distinct problems over all splits.")]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Training steps, decay included; by default what the size wants.")
]
HeldOut = Annotated[int, typer.Option(min=20, help="Held-out questions to measure.")]


def _say(result: object) -> None:
    typer.echo(json.dumps(result, default=str))


@app.command(epilog="Example: gradus train abacus data --problems 150000 --seed 1")
@one_line_errors
def data(
    data_dir: DataDir = files.DEFAULT_DATA_DIR, seed: Seed = 1, problems: Problems = DEFAULT_PROBLEMS
) -> None:
    """Generate the problems, split them, train the tokenizer."""
    from workers.training.abacus.data import build

    _say(build(data_dir.expanduser(), seed, problems))


@app.command(epilog="Example: gradus train abacus questions --count 3000 --output questions.jsonl")
@one_line_errors
def questions(
    output: Annotated[Path, typer.Option(help='The JSON lines of {"id", "question", "answer"}.')],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 2_000,
    split: Annotated[
        Split, typer.Option(help="train: new problems, which no language model was trained on.")
    ] = Split.train,
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    seed: Seed = 1,
) -> None:
    """Write questions with their answers for the recipes of `gradus train`."""
    from workers.training.abacus.data import write_questions

    _say({"questions": write_questions(data_dir.expanduser(), output, split.value, seed, count)})


@app.command(epilog="Example: gradus train abacus lm --size large --processes 2")
@one_line_errors
def lm(
    size: Annotated[Size, typer.Option(help="Which model.")],
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    models_dir: ModelsDir = files.MODELS_DIR,
    seed: Seed = 1,
    steps: Steps = None,
    processes: Processes = 2,
    threads: Threads = 1,
) -> None:
    """Train one language model and export it; the same examples in the same order for both sizes.

    The large model is grown first: gradus train abacus grow.
    """
    from workers.training.abacus.exporting import export_lm
    from workers.training.abacus.lm import train
    from workers.training.abacus.schedule import settings_for

    folder = data_dir.expanduser()
    settings = settings_for(size.value, seed, steps)
    result = train(folder, size.value, settings, processes=processes, threads=threads)
    _say({**result, "exported": export_lm(folder, size.value, models_dir)})


@app.command(epilog="Example: gradus train abacus grow   (after gradus train abacus lm --size small)")
@one_line_errors
def grow(data_dir: DataDir = files.DEFAULT_DATA_DIR, seed: Seed = 1) -> None:
    """Start the large model as a wider, deeper one that computes what the trained small one computes."""
    from workers.training.abacus.growth import grow as write

    _say({"parameters": write(data_dir.expanduser(), seed)})


@app.command(epilog="Example: gradus train abacus publish ~/.cache/gradus/abacus/abacus-prm")
@one_line_errors
def publish(
    made: Annotated[Path, typer.Argument(metavar="FOLDER", help="What a recipe made, under its name.")],
    models_dir: ModelsDir = files.MODELS_DIR,
) -> None:
    """Copy a model that a recipe made into the folder of the embedded models."""
    from workers.training.abacus.exporting import publish as copy

    _say({"published": copy(made.expanduser(), models_dir)})


@app.command(epilog="Example: gradus train abacus report --questions 400")
@one_line_errors
def report(
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    models_dir: ModelsDir = files.MODELS_DIR,
    output: Annotated[Path, typer.Option(help="The report; its plots go into a folder of that name.")] = Path(
        "docs/abacus.md"
    ),
    seed: Seed = 1,
    questions: HeldOut = DEFAULT_HELD_OUT,
) -> None:
    """Measure the models in their folders on held-out problems; write docs/abacus.md and calibration.json.

    GRADUS_TORCH_THREADS says how many threads may be used.
    """
    from workers.training.abacus.report import ReportSettings, make

    _say(make(data_dir.expanduser(), models_dir, output, ReportSettings(seed=seed, questions=questions)))


@app.command("all", epilog="Example: gradus train abacus all --processes 2   (some hours on two cores)")
@one_line_errors
def everything(
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    seed: Seed = 1,
    problems: Problems = DEFAULT_PROBLEMS,
    processes: Processes = 2,
) -> None:
    """Make all embedded models from nothing, in the folders of this installation, and measure them.

    Data, both language models, then by the recipes the verifiers and the revision model, then the report.
    """
    from workers.training.abacus.making import make_all, steps
    from workers.training.cli import app as train

    def call(arguments: Sequence[str]) -> int:
        typer.echo("gradus train " + " ".join(arguments), err=True)
        return train(list(arguments), prog_name="gradus train", standalone_mode=False) or 0

    folder = data_dir.expanduser()
    code = make_all(steps(seed, problems, processes), folder, call)
    if code:
        raise typer.Exit(code)
