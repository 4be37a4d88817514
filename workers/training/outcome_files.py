"""The files of `gradus train outcomes`: JSON lines, Parquet, and a card with a table by action."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from cost_model.prices import add_usd
from workers.training import files
from workers.training.datasets import OUTCOMES, TURNS, read_log, write_card
from workers.training.errors import MissingExtraError

ROWS = "outcomes.jsonl"

_SCALE = 18
"""Digits after the point of US dollars in Parquet, of 38."""

_ABOUT = """What every way to answer {questions} questions got right and took, written by `gradus train
outcomes`: `outcomes.jsonl` and the Parquet have a row a question and action, `turns.jsonl` one a sample of
the small model, as `gradus quality` reads them. Accuracy ± its standard error; all else is the mean of an
answer, the probe included. Seconds are wall time while several questions were answered at once.

{table}"""
_HEAD = (
    "| action | right | USD | prompt tokens | completion tokens | verifier tokens | MFLOPs | seconds |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def write_outcomes(log: Path, title: str, recipe: str) -> None:
    """What ``log`` holds, beside it, for who fits to it, and a card.

    Raises :class:`workers.training.errors.MissingExtraError`.
    """
    folder = log.parent
    files.write_json_lines(folder / ROWS, (row for line in read_log(log) for row in line["actions"]))
    files.write_json_lines(folder / TURNS, (row for line in read_log(log) for row in line["turns"]))
    rows = list(files.read_json_lines(folder / ROWS))
    _write_parquet(folder / OUTCOMES, rows)
    questions = len({row["id"] for row in rows})
    about = _ABOUT.format(questions=questions, table=table(rows))
    write_card(folder, title, about, {"questions": questions, "rows": len(rows)}, recipe)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """By action, as Markdown. An unknown price or size of one answer leaves the mean unknown."""
    lines = []
    for action in dict.fromkeys(row["action"] for row in rows):
        those = [row for row in rows if row["action"] == action]
        right = [row["right"] for row in those]
        error = stdev(right) / sqrt(len(right)) if len(right) > 1 else None
        costs = [None if row["cost_usd"] is None else Decimal(row["cost_usd"]) for row in those]
        total = add_usd(*costs)
        flops = [row["flops"] for row in those]
        cells = [
            action,
            f"{fmean(right):.3f}" + ("" if error is None else f" ± {error:.3f}"),
            "unknown" if total is None else f"{total / len(those):.3g}",
            *(_mean(row[f"{kind}_tokens"] for row in those) for kind in ("prompt", "completion", "verifier")),
            "unknown" if None in flops else f"{fmean(flops) / 1e6:.4g}",
            f"{fmean(row['seconds'] for row in those):.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(lines)


def _mean(counts: Iterator[float]) -> str:
    return f"{fmean(counts):.1f}"


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow") from error
    text, whole, real, money = pa.string(), pa.int64(), pa.float64(), pa.decimal128(38, _SCALE)
    tokens = [("prompt_tokens", real), ("completion_tokens", real), ("verifier_tokens", real)]
    bill = [*tokens, ("flops", real), ("cost_usd", money), ("seconds", real)]
    counts = ("calls", "prompt_tokens", "completion_tokens", "cached_prompt_tokens", "reasoning_tokens")
    line = [("purpose", text), ("model", text), *((name, whole) for name in counts)]
    usage = pa.list_(pa.struct([*line, ("seconds", real), ("flops", real), ("cost_usd", money)]))
    sample = [("answer", text), ("right", pa.bool_()), ("score", real), ("step_scores", pa.list_(real))]
    samples = pa.list_(pa.struct([*sample, ("completion_tokens", whole), ("finish_reason", text)]))
    schema = pa.schema(
        [
            *((name, text) for name in ("id", "question", "answer", "action", "model", "strategy")),
            *((name, whole) for name in ("samples", "runs")),
            *((name, real) for name in ("right", "score", "agreement", "confidence")),
            ("candidates", whole),
            ("text", text),
            ("after_probe_usd", money),
            *bill,
            ("usage", usage),
            ("probe", pa.struct([("samples", samples), *bill, ("usage", usage)])),
        ]
    )
    made = pa.Table.from_pylist([_with_decimals(row) for row in rows], schema=schema)
    files.replace_file(path, lambda target: parquet.write_table(made, target))


def _with_decimals(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _with_decimals(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_decimals(each) for each in value]
    if key.endswith("_usd") and value is not None:
        return Decimal(value).quantize(Decimal(1).scaleb(-_SCALE), ROUND_HALF_EVEN)
    return value
