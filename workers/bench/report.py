"""The table and the plot of `gradus bench search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from router.types import Bin
from workers.bench.search import Row
from workers.training.errors import MissingExtraError

_COLOURS = 10


def markdown(rows: Sequence[Row], bins: Mapping[int, str], *, head: str, plot: str) -> str:
    """A table of accuracy by bin and of what an answer consumes, one line a strategy and budget."""
    held = [each for each in Bin if each in bins.values()]
    sizes = {each: list(bins.values()).count(each) for each in held}
    columns = ["strategy", "N", "right", *(f"{each} ({sizes[each]})".replace("_", " ") for each in held)]
    columns += ["candidates", "tokens read", "tokens written", "verifier reads", "GFLOPs"]
    lines = [head, "", f"![Accuracy by budget, overall and by difficulty bin]({plot})", ""]
    lines += [_line(columns), _line(["---"] * len(columns))]
    for (way, samples), group in _groups(rows).items():
        by_bin = [_right([row for row in group if bins[row.question] == each]) for each in held]
        spent = [
            f"{fmean(row.candidates for row in group):.1f}",
            f"{fmean(row.prompt_tokens for row in group):.0f}",
            f"{fmean(row.completion_tokens for row in group):.0f}",
            f"{fmean(row.verifier_tokens for row in group):.0f}",
            _gflops(group),
        ]
        lines.append(_line([way, str(samples), _right(group), *by_bin, *spent]))
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[Row], bins: Mapping[int, str], path: Path) -> None:
    """Accuracy against the budget, overall and in each bin; and against FLOPs, where sizes are known.

    Raises :class:`workers.training.errors.MissingExtraError` without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    held = [each for each in Bin if each in bins.values()]
    figure, panels = pyplot.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    axes = iter(panels.flat)
    ways = list(dict.fromkeys(row.way for row in rows))
    for title, members in [("all questions", set(bins)), *((each, _members(bins, each)) for each in held)]:
        panel = next(axes)
        for at, way in enumerate(ways):
            points = _points([row for row in rows if row.way == way and row.question in members])
            panel.plot(*zip(*points, strict=True), _style(at), color=f"C{at % _COLOURS}", label=way)
        panel.set_xscale("log", base=2)
        panel.set_title(f"{title} ({len(members)})".replace("_", " "))
        panel.set_xlabel("budget N")
    panel = next(axes)
    for at, way in enumerate(ways):
        groups = [group for (name, _), group in _groups(rows).items() if name == way]
        if all(row.flops for group in groups for row in group):
            spent = [fmean(row.flops or 0.0 for row in group) for group in groups]
            right = [fmean(row.right for row in group) for group in groups]
            panel.plot(spent, right, _style(at), color=f"C{at % _COLOURS}")
    panel.set_xscale("log")
    panel.set_title("all questions, by what they cost")
    panel.set_xlabel("mean FLOPs an answer")
    for each in panels.flat:
        each.set_ylabel("share right")
        each.grid(alpha=0.3)
        each.spines[["top", "right"]].set_visible(False)
        each.set_visible(each.has_data())
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _groups(rows: Sequence[Row]) -> dict[tuple[str, int], list[Row]]:
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.way, row.samples), []).append(row)
    return groups


def _members(bins: Mapping[int, str], name: str) -> set[int]:
    return {question for question, each in bins.items() if each == name}


def _points(rows: Sequence[Row]) -> list[tuple[int, float]]:
    return [(samples, fmean(row.right for row in group)) for (_, samples), group in _groups(rows).items()]


def _style(at: int) -> str:
    return "o-" if at < _COLOURS else "s--"


def _right(rows: Sequence[Row]) -> str:
    """A share with its standard error."""
    share = fmean(row.right for row in rows)
    return f"{share:.3f} ± {(share * (1 - share) / len(rows)) ** 0.5:.3f}"


def _gflops(rows: Sequence[Row]) -> str:
    known = [row.flops for row in rows if row.flops is not None]
    return f"{fmean(known) / 1e9:.2f}" if len(known) == len(rows) else "unknown"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
