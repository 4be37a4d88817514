"""What routing is worth on every set of published outcomes, and across sets.

    python -m benchmarks.routing --data FOLDER --output docs/routing.md

FOLDER holds the sets as benchmarks/routing/sets.py reads them. Every finished row is kept (--rows), so a run
that was killed goes on, and a pair that is to be measured anew is one file to delete.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

from rich.console import Console

from benchmarks.routing.measure import LARGE, pair_row, transfer_row
from benchmarks.routing.pairs import PAIRS, TRANSFERS, Pair
from benchmarks.routing.report import render
from router.errors import RouterError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", metavar="SET", help='some sets only; "across" is those across')
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument(
        "--embeddings", type=Path, help='of prompts: <set, "/" as "_">.npz of ids and vectors'
    )
    parser.add_argument("--rows", type=Path, default=Path("bench-routing"))
    parser.add_argument("--output", type=Path, default=Path("docs/routing.md"))
    given = parser.parse_args()
    console = Console(stderr=True)
    given.rows.mkdir(parents=True, exist_ok=True)
    rows = []
    for each in (*PAIRS, *TRANSFERS):
        name = each.set if isinstance(each, Pair) else "across"
        if given.sets and name not in given.sets:
            continue
        kept = given.rows / f"{each.file}-{given.seeds}.json"
        if not kept.is_file():
            began = time.monotonic()
            with console.status(each.title) as status:

                def tell(what: str, title: str = each.title) -> None:
                    status.update(f"{title}: {what}")

                try:
                    row = (
                        pair_row(given.data, each, given.embeddings, given.seeds, given.resamples, tell)
                        if isinstance(each, Pair)
                        else transfer_row(given.data, each, given.seeds, given.resamples, tell)
                    )
                except RouterError as error:
                    console.print(f"[red]{each.title}: {error}")
                    continue
            seconds = time.monotonic() - began
            kept.write_text(json.dumps({**row, "measured_in_s": seconds}, indent=1) + "\n", "utf-8")
            console.print(f"{each.title}: {seconds:.0f} s")
        rows.append(json.loads(kept.read_text("utf-8")))
        render(rows, _about(given.seeds, given.resamples, rows), given.output)


def _about(seeds: int, resamples: int, rows: list[dict[str, float]]) -> str:
    minutes = sum(row["measured_in_s"] for row in rows) / 60
    return (
        f"`python -m benchmarks.routing --data FOLDER --seeds {seeds} --resamples {resamples}`: five folds "
        f"that split no story, {seeds} times; every fold centred on its training mean; whatever is chosen is "
        "chosen inside the training folds; 95% intervals by resampling groups of questions, differences "
        "paired, in bold where they are clear of 0. APGR and CPT as RouteLLM computes them. Where a method "
        "looks at the weak run's candidates, that run is paid for first. From "
        f"{LARGE} questions on SVM and MLP are left out, and a fifth of the resamples is drawn. "
        f"{minutes:.0f} minutes of wall time, one core, {platform.machine()}."
    )


if __name__ == "__main__":
    main()
