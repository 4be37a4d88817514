"""docs/routing.md and its figures, from the measured rows; what they mean is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.tables import table
from benchmarks.routing.baselines import TFIDF

Row = Mapping[str, Any]

NOTES = Path(__file__).parent / "notes.md"
_WEAKER = f"{TFIDF}, alpha 1"
"""What rows measured before 2026-11-22, 12:00 are compared with."""
_LEFT_OUT = "–"
_RUN_ALONE = {"routellm/mmlu: mixtral-8x7b / gpt-4": "**+0.019 [+0.008, +0.031]**, in a run of its own"}
"""Over the stronger tf-idf, of rows measured with the weaker one: notes.md has the command."""
_FIGURE_COLUMNS = 3
_DRAWN = ("prompt length", "gradus, text", "gradus, probe", "gradus, text and probe")


def render(rows: Sequence[Row], about: str, file: Path) -> None:
    """Write the report to ``file`` and its figure to the folder beside it that is named like it."""
    own = [row for row in rows if row["set"] != "across"]
    across = [row for row in rows if row["set"] == "across"]
    parts = ["# Routing on outcomes that nobody here made", about]
    if NOTES.is_file():
        parts.append(NOTES.read_text("utf-8").strip())
    if own:
        figure = file.with_suffix("") / "calls.png"
        _draw(own, figure)
        parts.append("## In short")
        if any(map(_which_tfidf, rows)):
            parts.append(
                "Where tf-idf is at *alpha 1* it is the weaker one: a difference to it would flatter, and is "
                "left out (–), here and below."
            )
        parts += [_summary(rows), f"![Quality by calls]({figure.parent.name}/{figure.name})"]
        parts += ["## Fitted and measured on the same set, by folds", *(_section(row) for row in own)]
    if across:
        parts += ["## Fitted on one set, measured on another", *(_section(row) for row in across)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n\n".join(parts) + "\n", "utf-8")


def _summary(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        policies = {each["name"]: each for each in row["policies"]}
        best = next(
            policies[name]
            for name in ("gradus, text and probe", "gradus, probe", "gradus, text")
            if name in policies
        )
        length = policies["prompt length"]
        tfidf = policies.get(TFIDF, policies.get(_WEAKER))
        lines.append(
            [
                _cell(row["title"]),
                str(row["questions"]),
                _number(length.get("apgr")),
                _number(tfidf.get("apgr")) + _which_tfidf(row) if tfidf else "",
                f"{best['name']} {_interval(best.get('apgr'))}",
                _interval(best.get("apgr_over_length"), signed=True),
                _RUN_ALONE.get(row["title"], _LEFT_OUT)
                if _which_tfidf(row)
                else _interval(best.get("apgr_over_tfidf"), signed=True),
                "route" if row["verdict"]["router"] else _cell(f"always {row['verdict']['choice']}"),
            ]
        )
    heads = ["pair", "n", "length", "tf-idf", "APGR of Gradus", "over length", "over tf-idf", "verdict"]
    return table(heads, lines)


def _section(row: Row) -> str:
    singles = [each for each in row["policies"] if each["kind"] in ("single", "oracle")]
    known = ", ".join(f"{each['name']} {_number(each['accuracy'])}" for each in singles)
    lines = [
        [
            each["name"],
            _interval(each.get("apgr")),
            _interval(each.get("apgr_over_length"), signed=True),
            _LEFT_OUT if _which_tfidf(row) else _interval(each.get("apgr_over_tfidf"), signed=True),
            *(_number(each.get(name)) for name in ("cpt20", "cpt50", "cpt80")),
            _interval(each.get("over_best"), signed=True),
        ]
        for each in sorted(row["policies"], key=_apgr)
        if each["kind"] == "router"
    ]
    heads = [
        "router",
        "APGR",
        "over length",
        "over tf-idf",
        "CPT20",
        "CPT50",
        "CPT80",
        "right over best single",
    ]
    return "\n\n".join(
        [
            f"### {row['title']}",
            f"{row['questions']} questions in {row['groups']} groups. {known}.",
            table(heads, lines),
            f"**{row['verdict']['reason']}.**",
        ]
    )


def _which_tfidf(row: Row) -> str:
    """Said where it is the weaker one."""
    names = [each["name"] for each in row["policies"]]
    return ", alpha 1" if _WEAKER in names and TFIDF not in names else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _apgr(policy: Row) -> float:
    value = (policy.get("apgr") or {}).get("value")
    return -1.0 if value is None else float(value)


def _number(found: Mapping[str, float | None] | None) -> str:
    return "" if not found or found["value"] is None else f"{found['value']:.3f}"


def _interval(found: Mapping[str, float | None] | None, *, signed: bool = False) -> str:
    if not found or found["value"] is None or found["low"] is None:
        return ""
    sign = "+" if signed else ""
    text = f"{found['value']:{sign}.3f} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"
    return f"**{text}**" if signed and found["low"] > 0 else text


def _draw(rows: Sequence[Row], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = -(-len(rows) // _FIGURE_COLUMNS)
    figure, axes = pyplot.subplots(lines, _FIGURE_COLUMNS, figsize=(15, 3.6 * lines), squeeze=False)
    for axis in axes.flat[len(rows) :]:
        axis.remove()
    for axis, row in zip(axes.flat, rows, strict=False):
        calls, quality = row["oracle_calls"]
        axis.plot(calls, quality, color="0.7", linestyle=":", label="oracle")
        for name in (*_DRAWN, _WEAKER if _which_tfidf(row) else TFIDF):
            if name in row["calls"]:
                axis.plot(*row["calls"][name], marker=".", label=name)
        axis.set_title(row["title"], fontsize=8)
        axis.set_xlabel(f"share of calls to {row['strong']}", fontsize=8)
        axis.set_ylabel("right", fontsize=8)
        axis.legend(fontsize=6)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)
    pyplot.close(figure)
