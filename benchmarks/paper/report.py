"""docs/paper.md and its figures, from results.json alone; what they mean is written by hand in notes/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from benchmarks.paper.tables import table

NOTES = Path(__file__).parent / "notes"


class Experiment(Protocol):
    """A module of this package: ``run`` measures, the others render what it returned."""

    TITLE: str

    def run(self, setting: Any) -> dict[str, Any]: ...
    def section(self, results: Mapping[str, Any]) -> str: ...
    def draw(self, results: Mapping[str, Any], folder: Path) -> None: ...


class Part(NamedTuple):
    """One section: its module, what the paper reports on it, and its figures."""

    name: str
    paper: str
    figures: Sequence[str]


PARTS = (
    Part(
        "coverage",
        "Coverage grows about as alpha log k: a constant gain costs an exponential number of samples.",
        ["coverage"],
    ),
    Part(
        "search",
        "Beam search wins at low budgets and in the middle bins, and over-optimises on easy bins at high "
        "budgets (best-of-N 15% to 35% from N = 4 to 256, beam 18% to 33%, falling after a peak); nothing "
        "helps the hardest bin; lookahead is worst at equal cost; best-of-N weighted beats majority.",
        ["search", "search-cost"],
    ),
    Part(
        "ratios",
        "Easy questions want sequential revisions only, hard ones a ratio of sequential to parallel in "
        "between.",
        ["ratios"],
    ),
    Part(
        "optimal",
        "About 4 times less compute than best-of-N: 16 generations against 64 in search, 64 against 256 with "
        "revisions. Predicted difficulty does nearly as well as oracle difficulty. The cost of estimating "
        "difficulty is not counted there.",
        ["compute-optimal"],
    ),
    Part(
        "exchange",
        "Against a model about 14 times larger at equal FLOPs: with R = 0.16 search gains on easy and middle "
        "questions (+22% to +12%) and loses on hard ones (-24%); with R = 22 the larger model wins from the "
        "middle on (-12% to -36%).",
        ["exchange"],
    ),
    Part(
        "noise",
        "With 20% of its labels flipped the verifier's search still wins; a random verifier falls back to "
        "majority (appendix K).",
        ["noise"],
    ),
    Part("scale", "Not in the paper: it has one policy and one verifier.", ["verifier-quality"]),
)


def render(results: Mapping[str, Any], file: Path) -> None:
    """Write the report to ``file`` and its figures to the folder beside it that is named like it."""
    from benchmarks.paper.experiments import load

    folder = file.with_suffix("")
    parts = [_about(results["about"])]
    for number, part in enumerate((part for part in PARTS if part.name in results), start=1):
        module = load(part.name)
        module.draw(results[part.name], folder)
        # A part that was skipped has no figure.
        figures = [name for name in part.figures if (folder / f"{name}.png").is_file()]
        pictures = [f"![{module.TITLE}]({folder.name}/{name}.png)" for name in figures]
        parts.append(
            "\n\n".join(
                [
                    f"## {number}. {module.TITLE}",
                    *pictures,
                    f"*The paper:* {part.paper}",
                    *_note(part.name),
                    module.section(results[part.name]).strip(),
                ]
            )
        )
    parts.append(_commands(results))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n\n".join(parts) + "\n", "utf-8")


def _about(about: Mapping[str, Any]) -> str:
    head = (
        "# The paper, reproduced on Abacus\n\n"
        "Snell et al. 2024, *Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling "
        "Model Parameters* (arXiv 2408.03314), at a scale that two CPU cores can do: "
        f"{about['questions']} held-out questions, {about['small']} searched and judged by "
        f"{about['verifier']}, {about['large']} as the larger model. Everything here is rendered from the "
        "results of one command; only the notes are written by hand."
    )
    return "\n\n".join([head, *_note("summary")])


def _commands(results: Mapping[str, Any]) -> str:
    about = results["about"]
    rows = [[name, f"{seconds / 60:.1f}"] for name, seconds in about["seconds"].items()]
    return (
        "## How it was made\n\nSection 6 trains verifiers on rollouts (25 minutes on one core, once):\n\n"
        "    gradus train abacus data\n"
        "    gradus train abacus questions --count 3000 --output questions.jsonl\n"
        "    gradus train rollouts abacus-rollouts --questions questions.jsonl "
        "--output ~/.cache/gradus/abacus/rollouts\n"
        f"    gradus bench paper --size {about['size']}\n\n"
        f"{about['difficulty_samples']} samples a question tell its oracle difficulty, {about['probes']} "
        "probes its predicted one. All draws are kept on disk and shared by all searches (common random "
        "numbers: benchmarks/paper/deck.py); within one search they are independent. Weights: "
        + ", ".join(f"{name} {digest}" for name, digest in about["weights"].items())
        + f". Machine: {about['machine']}. Minutes, each part after the ones before it (what they have drawn "
        "is not drawn again):\n\n" + table(["part", "minutes"], rows)
    ).strip()


def _note(name: str) -> list[str]:
    """What was written by hand about a section, if anything was."""
    file = NOTES / f"{name}.md"
    return [file.read_text("utf-8").strip()] if file.is_file() else []
