"""What a training leaves to look at: metrics.jsonl and loss.png."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.training import files
from workers.training.errors import MissingExtraError

METRICS = "metrics.jsonl"
PLOT = "loss.png"
_TRAINING = ("loss", "learning_rate", "grad_norm")

Log = Sequence[Mapping[str, Any]]
"""What the Trainer remembers of a run, over all its interruptions."""


def validation_losses(log: Log) -> list[tuple[int, float]]:
    """(update, loss) of each evaluation."""
    return [(row["step"], row["eval_loss"]) for row in log if "eval_loss" in row]


def write_records(folder: Path, log: Log) -> None:
    """A line for each entry, and the plot. Raises :class:`workers.training.errors.MissingExtraError`.

    All of it is written anew each time: what a killed run did after its last checkpoint is not there twice.
    """
    files.write_json_lines(folder / METRICS, list(_rows(log)))
    files.replace_file(folder / PLOT, lambda target: _plot(log, target))


def _rows(log: Log) -> Iterator[dict[str, Any]]:
    for row in log:
        at = {"step": row["step"], "epoch": round(row.get("epoch", 0.0), 4)}
        if "eval_loss" in row:
            yield at | {"validation_loss": row["eval_loss"]}
        elif "loss" in row:
            yield at | {name: row[name] for name in _TRAINING if name in row}


def _plot(log: Log, target: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    training = [(row["step"], row["loss"]) for row in log if "loss" in row]
    for points, label, marker in ((training, "training", ""), (validation_losses(log), "validation", "o")):
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker=marker)
    axes.set_xlabel("updates")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(target, dpi=120, format="png")
