"""The commands of `gradus bench`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from router.types import Task, TaskKind

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measure strategies on a model, a verifier and questions of your own.",
)

_HEAD = """# Every strategy on {small}

Written by `{command}`: {questions} questions, sampled at temperature {temperature:g} and judged by
{verifier}. N is the budget in whole answers. The bins are those of the router: the mean verifier score of 16
probes of their own. "±" is one standard error. Tokens are means an answer; what is read counts a prompt again
for every step that continues it."""


@app.command(
    epilog="Examples:\n\n  gradus bench search\n\n  gradus bench search --questions mine.jsonl --config "
    "gradus.yaml --task math --budgets 4,16\n\n  gradus bench search --strategies majority,beam --count 40"
)
def search(
    config: Annotated[str | None, typer.Option(help="YAML file or preset; else as `gradus up`.")] = None,
    policy: Annotated[str, typer.Option(help="Whose small model and verifier are measured.")] = "default",
    questions: Annotated[
        Path | None,
        typer.Option(
            help='JSON lines or Parquet of {"question", "answer"}; else held-out ones of the embedded models.'
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many questions.")] = 200,
    budgets: Annotated[str, typer.Option(help="Budgets N, by commas.")] = "4,16,64",
    strategies: Annotated[str, typer.Option(help="Names, by commas; else all.")] = "",
    task: Annotated[
        str, typer.Option(help="How answers are compared: auto, math, number, choice, text.")
    ] = "auto",
    output: Annotated[Path, typer.Option(help="The Markdown file; its plot lies beside it.")] = Path(
        "bench-search.md"
    ),
    rows: Annotated[Path, typer.Option(help="Folder of raw results: what it holds is not run again.")] = Path(
        "bench-search"
    ),
) -> None:
    """Every strategy at every budget, by difficulty bin: a table in Markdown, and a plot."""
    from router.errors import RouterError
    from workers.bench.errors import BenchError
    from workers.errors import WorkerError
    from workers.training.errors import TrainingError

    try:
        _search(config, policy, questions, count, budgets, strategies, task, output, rows)
    except (BenchError, RouterError, TrainingError, WorkerError) as error:
        typer.echo(f"gradus: {error}", err=True)
        raise typer.Exit(2) from error


@app.command(
    epilog="Examples:\n\n  gradus bench paper --size small\n\n  gradus bench paper --count 12 --only "
    "coverage,search\n\n  gradus bench paper --draw-only"
)
def paper(
    size: Annotated[str, typer.Option(help="small (under an hour on 2 CPU cores) or full.")] = "small",
    output: Annotated[
        Path, typer.Option(help="The Markdown file; its figures lie in a folder beside it.")
    ] = Path("paper.md"),
    rows: Annotated[
        Path, typer.Option(help="Folder of raw samples and results: what it holds is not drawn again.")
    ] = Path("bench-paper"),
    rollouts: Annotated[
        Path,
        typer.Option(help="What `gradus train rollouts` wrote: verifiers of noisy labels learn from it."),
    ] = Path("~/.cache/gradus/abacus/rollouts"),
    only: Annotated[str, typer.Option(help="Parts, by commas; else all.")] = "",
    count: Annotated[int | None, typer.Option(min=4, help="Fewer questions, to try it.")] = None,
    draw_only: Annotated[bool, typer.Option(help="Render the results that are there.")] = False,
) -> None:
    """Reproduce Snell et al. 2024 on the embedded models: all figures and tables. Needs a checkout."""
    from router.errors import RouterError
    from workers.errors import WorkerError
    from workers.training.errors import TrainingError

    try:
        from benchmarks.paper import experiments
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("benchmarks"):
            raise
        typer.echo(
            "gradus: the experiments are not in the installed package; clone the repository and run it there",
            err=True,
        )
        raise typer.Exit(2) from error
    names = [name.strip() for name in only.split(",") if name.strip()]
    try:
        experiments.run(
            size,
            folder=rows,
            rollouts=rollouts.expanduser(),
            output=output,
            only=names,
            count=count,
            draw_only=draw_only,
        )
    except (RouterError, TrainingError, WorkerError) as error:
        typer.echo(f"gradus: {error}", err=True)
        raise typer.Exit(2) from error


def _search(
    config: str | None,
    policy_name: str,
    file: Path | None,
    count: int,
    budgets: str,
    strategies: str,
    task: str,
    output: Path,
    folder: Path,
) -> None:
    from router.market import open_market
    from workers import settings
    from workers.bench import report
    from workers.bench.questions import abacus_questions
    from workers.bench.search import Bench, run
    from workers.bootstrap import load_models, load_verifiers
    from workers.training.questions import read_questions

    loaded = settings.load(config)
    policy = loaded.policies.get(policy_name)
    if policy is None:
        raise _wrong(f"--policy: there is no policy {policy_name!r}; there are {', '.join(loaded.policies)}")
    asked = abacus_questions(count) if file is None else read_questions(file)[:count]
    ways, numbers, kind = _ways(strategies), _numbers(budgets), _task(task)
    with ExitStack() as resources:
        model = load_models(loaded, resources)[policy.small]
        verifier = load_verifiers(loaded, resources)[policy.verifier]
        bench = Bench(open_market(loaded), model, verifier, Task(kind), asked, numbers, ways)
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns) as progress:
            rows, bins = run(bench, folder, progress)
    plot = output.with_suffix(".png")
    report.draw(rows, bins, plot)
    head = _HEAD.format(
        small=policy.small,
        command="gradus bench search",
        questions=len(asked),
        temperature=model.config.temperature,
        verifier=policy.verifier,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(report.markdown(rows, bins, head=head, plot=plot.name), "utf-8")
    typer.echo(f"{output} and {plot}")


def _ways(names: str):  # type: ignore[no-untyped-def]
    from workers.bench.search import WAYS

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = dict.fromkeys(way.name for way in WAYS)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise _wrong(f"--strategies: there is no {unknown[0]!r}; there are {', '.join(known)}")
    return [way for way in WAYS if not wanted or way.name in wanted]


def _numbers(budgets: str) -> list[int]:
    try:
        numbers = [int(each) for each in budgets.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise _wrong(f"--budgets: {budgets!r}; give whole numbers of at least 1, like 4,16,64")
    return numbers


def _task(name: str) -> TaskKind:
    known: tuple[TaskKind, ...] = ("auto", "math", "number", "choice", "text")
    for kind in known:
        if name == kind:
            return kind
    raise _wrong(f"--task: there is no {name!r}; there are {', '.join(known)}")


def _wrong(message: str) -> Exception:
    from workers.bench.errors import BenchError

    return BenchError(message)
