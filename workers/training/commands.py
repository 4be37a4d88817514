"""What the commands of `gradus train` share: their options, and how they fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

P = ParamSpec("P")

Recipe = Annotated[str, typer.Argument(help="A YAML file, or a name that `gradus train recipes` lists.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Over the recipe: key.of.recipe=value; repeatable.")
]
QuestionsFile = Annotated[
    Path, typer.Option("--questions", help='JSON lines or Parquet of {"question", "answer"[, "id"]}.')
]
DataOutput = Annotated[
    Path, typer.Option("--output", help="Folder of the data set; what it holds is not drawn again.")
]
Data = Annotated[Path, typer.Option("--data", help="Folder of the data set.")]
ModelOutput = Annotated[
    Path, typer.Option("--output", help="Folder of the model; a training that was killed goes on there.")
]
DEVICES = """Several GPUs, one process each:

  accelerate launch -m workers.training {command}

  torchrun --nproc-per-node 4 -m workers.training {command}"""


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """What a user can act on is one line and exit code 2."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from router.errors import RouterError
        from workers.errors import WorkerError
        from workers.training.errors import TrainingError

        try:
            command(*args, **kwargs)
        except (RouterError, TrainingError, WorkerError) as error:
            typer.echo(f"gradus: {error}", err=True)
            raise typer.Exit(2) from error

    return run
