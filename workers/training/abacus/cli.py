"""`gradus train abacus`: data, questions, lm, grow, report, and all, which makes the models from nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from workers.training import files
from workers.training.errors import TrainingError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make the embedded Abacus models. Every command is seeded and goes on where a killed one stopped.",
)
P = ParamSpec("P")
DEFAULT_PROBLEMS = 150_000
DEFAULT_ROLLOUT_QUESTIONS = 656
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


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """What a user can act on is one line and exit code 2."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except TrainingError as error:
            typer.echo(f"gradus: {error}", err=True)
            raise typer.Exit(2) from error

    return run


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
    count: Annotated[int, typer.Option(min=1, help="How many.")],
    output: Annotated[Path, typer.Option(help='The JSON lines of {"id", "question", "answer"}.')],
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


@app.command(epilog="Example: gradus train abacus report --questions 400")
@one_line_errors
def report(
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    models_dir: ModelsDir = files.MODELS_DIR,
    output: Annotated[
        Path, typer.Option(help="The report; its plot goes into a folder of that name.")
    ] = Path("docs/abacus.md"),
    seed: Seed = 1,
    questions: HeldOut = DEFAULT_HELD_OUT,
    threads: Threads = 2,
) -> None:
    """Measure the exported models on held-out problems; write docs/abacus.md and models/calibration.json."""
    from workers.training.abacus.pipeline import make_report

    _say(make_report(data_dir.expanduser(), models_dir, output, seed, questions, threads))


@app.command("all", epilog="Example: gradus train abacus all --processes 2   (a few hours on two cores)")
@one_line_errors
def everything(
    data_dir: DataDir = files.DEFAULT_DATA_DIR,
    models_dir: ModelsDir = files.MODELS_DIR,
    seed: Seed = 1,
    problems: Problems = DEFAULT_PROBLEMS,
    processes: Processes = 2,
) -> None:
    """Everything in order: data, lm (small), grow, lm (large), rollouts, prm, report."""
    from workers.training.abacus.lm import run_dir
    from workers.training.abacus.pipeline import make_prm, make_rollouts

    data(data_dir, seed, problems)
    lm(Size.small, data_dir, models_dir, seed, processes=processes)
    # Grown once: on a later call its training has begun, and goes on.
    if not (run_dir(data_dir.expanduser(), "large") / "checkpoint.pt").exists():
        grow(data_dir, seed)
    lm(Size.large, data_dir, models_dir, seed, processes=processes)
    _say(make_rollouts(data_dir.expanduser(), seed, DEFAULT_ROLLOUT_QUESTIONS, processes))
    _say(make_prm(data_dir.expanduser(), models_dir, seed, processes))
    report(data_dir, models_dir, seed=seed, threads=processes)
