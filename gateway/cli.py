"""The `gradus` command; what runs models is handed over to the process `python -m workers`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

import typer
from rich.console import Console
from typer.exceptions import TyperException

from gateway import client
from gateway.client import DEFAULT_URL, Url
from gateway.commands import cache, db, evaluate, feedback, fit, keys, plan, policy, replay, teams, usage
from gateway.processes import ProcessGaveUp
from gateway.redis_server import RedisMissing
from router.config import load_config
from router.errors import ArtifactInvalid, RouterError
from router.types import StrategyName

app = typer.Typer(
    name="gradus",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="A difficulty-aware gateway between small and large language models.",
)
config_app = typer.Typer(no_args_is_help=True, help="Look at a configuration file.")
app.add_typer(config_app, name="config")

HAND_OVER = {"allow_extra_args": True, "ignore_unknown_options": True}

Models = Annotated[str, typer.Option(help="A preset: abacus (embedded, the default) or smollm2.")]
ConfigFile = Annotated[
    Path | None, typer.Option(help="A configuration file, instead of a preset.", metavar="FILE")
]
ApiKey = Annotated[
    str | None, typer.Option("--key", help="Your API key, if it asks for one.", envvar="GRADUS_API_KEY")
]
Strategy = Annotated[
    str | None, typer.Option(help=f"Search the small model this way: {', '.join(get_args(StrategyName))}.")
]
Budget = Annotated[int | None, typer.Option(help="N: how many whole answers the search may generate.")]
BeamWidth = Annotated[str | None, typer.Option(help="M, or sqrt: searches by beams keep N/M.", metavar="M")]
MaxRounds = Annotated[int | None, typer.Option(help="Steps of a turn, in searches by steps.")]
LookaheadSteps = Annotated[int | None, typer.Option(help="Steps that lookahead rolls on.")]
ChainLength = Annotated[
    int | None, typer.Option(help="Attempts one after another, in revisions and reflect.")
]
MaxDrop = Annotated[float | None, typer.Option(help="By how much a step may score lower, in backtrack.")]
Task = Annotated[
    str | None, typer.Option(help="What the answer is: math, number, choice, text, code or json.")
]
Model = Annotated[str, typer.Option(help='"gradus", "gradus/<policy>", or a configured model.')]


@app.command(epilog="Examples:\n\n  gradus up\n\n  gradus up --port 9000\n\n  gradus up --models smollm2")
def up(
    models: Models = "",
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
) -> None:
    """Run everything on this machine: private Redis, one worker with the models, the gateway."""
    from gateway.up import up as run_up  # signals and processes, only for this command

    source = _source(models, config)
    server = load_config(source, os.environ).server
    run_up(source, host or server.host, port or server.port, server, _say)


@app.command(
    epilog="Example:\n\n  GRADUS_REDIS_URL=redis://queue:6379 gradus serve --config gradus.yaml --port 8080"
)
def serve(
    models: Models = "",
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
) -> None:
    """Run one gateway process; Redis and the workers run elsewhere."""
    from gateway import server  # the web framework, only for this command
    from gateway.settings import load_settings

    source = _source(models, config)
    environment = dict(os.environ)
    if host:
        environment["GRADUS__SERVER__HOST"] = host
    if port:
        environment["GRADUS__SERVER__PORT"] = str(port)
    server.run(load_settings(source, environment))


@app.command(context_settings=HAND_OVER, add_help_option=False)
def worker(context: typer.Context) -> None:
    """Run one worker process (see `gradus worker --help`)."""
    _become_worker(["worker", *context.args])


@app.command(context_settings=HAND_OVER, add_help_option=False)
def train(context: typer.Context) -> None:
    """Make data and train models (see `gradus train --help`)."""
    _become_worker(["train", *context.args])


@app.command(context_settings=HAND_OVER, add_help_option=False)
def quality(context: typer.Context) -> None:
    """Measure a verifier on labelled answers (see `gradus quality --help`)."""
    _become_worker(["quality", *context.args])


@app.command(context_settings=HAND_OVER, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Measure strategies on your own models and questions (see `gradus bench --help`)."""
    _become_worker(["bench", *context.args])


@app.command(
    epilog='Examples:\n\n  gradus ask "Calculate ( 7 + 5 ) * 3."\n\n'
    '  gradus ask --model gradus/cheap "..."\n\n  gradus ask --strategy beam --budget 16 "..."'
)
def ask(
    question: str,
    model: Model = "gradus",
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
    strategy: Strategy = None,
    budget: Budget = None,
    beam_width: BeamWidth = None,
    max_rounds: MaxRounds = None,
    lookahead_steps: LookaheadSteps = None,
    chain_length: ChainLength = None,
    max_drop: MaxDrop = None,
    task: Task = None,
) -> None:
    """Ask a running gateway, and say how the answer was found and what it cost."""
    options = _options(
        strategy, budget, beam_width, max_rounds, lookahead_steps, chain_length, max_drop, task
    )
    client.ask(Console(), client.There(url, key), model, question, options)


@app.command(epilog='Example:\n\n  gradus explain "Calculate 48 * 97 - 12."')
def explain(
    question: str,
    model: Model = "gradus",
    url: Url = DEFAULT_URL,
    key: ApiKey = None,
    strategy: Strategy = None,
    budget: Budget = None,
    beam_width: BeamWidth = None,
    max_rounds: MaxRounds = None,
    lookahead_steps: LookaheadSteps = None,
    chain_length: ChainLength = None,
    max_drop: MaxDrop = None,
    task: Task = None,
) -> None:
    """Show the plan for a question, priced; nothing is generated."""
    options = _options(
        strategy, budget, beam_width, max_rounds, lookahead_steps, chain_length, max_drop, task
    )
    client.explain(Console(), client.There(url, key), model, question, options)


@config_app.command(epilog="Example:\n\n  gradus config check gradus.yaml")
def check(
    file: Annotated[str, typer.Argument(help="A file, or a preset; by default what `up` would run.")] = "",
) -> None:
    """Validate a configuration with the environment's overrides; a fault is one line and exit code 2."""
    source = file or _source("", None)
    config = load_config(source, os.environ)
    from router.opening import open_untuned, strangers  # scipy, only for this command

    untuned = open_untuned(config)  # a gateway would not start with what is wrong there
    unfit = strangers(untuned)
    if len(unfit) == len(config.policies):
        raise ArtifactInvalid(next(iter(unfit.values())))
    for missing in (*untuned.warnings, *unfit.values()):
        typer.echo(f"gradus: {missing}", err=True)
    typer.echo(
        f"{source} is right: {_count(config.models, 'model')}, {_count(config.verifiers, 'verifier')}, "
        f"{_count(config.policies, 'policy')} ({', '.join(config.policies)})"
    )


app.command("fit", epilog=fit.EPILOG)(fit.command)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.command)
app.command("replay", epilog=replay.EPILOG)(replay.command)
app.command("plan", epilog=plan.EPILOG)(plan.command)
policy_app = typer.Typer(no_args_is_help=True, help="Look at the policies of a configuration.")
policy_app.callback()(lambda: None)  # or typer would drop the name of a group's only command
policy_app.command("check", epilog=policy.EPILOG)(policy.command)
app.add_typer(policy_app, name="policy")
app.add_typer(keys.app, name="keys")
app.add_typer(teams.app, name="teams")
app.add_typer(usage.app, name="usage")
app.add_typer(feedback.app, name="feedback")
app.add_typer(cache.app, name="cache")
app.add_typer(db.app, name="db")


def _options(
    strategy: str | None,
    budget: int | None,
    beam_width: str | None,
    max_rounds: int | None,
    lookahead_steps: int | None,
    chain_length: int | None,
    max_drop: float | None,
    task: str | None,
) -> dict[str, Any]:
    """The ``gradus`` object of a request; the gateway checks it."""
    options = {
        "strategy": strategy,
        "budget": budget,
        "beam_width": int(beam_width) if beam_width and beam_width.isdecimal() else beam_width,
        "max_rounds": max_rounds,
        "lookahead_steps": lookahead_steps,
        "chain_length": chain_length,
        "max_drop": max_drop,
        "task": task,
    }
    return {name: value for name, value in options.items() if value is not None}


def _source(models: str, config: Path | None) -> str:
    """What names the configuration: the file, else the preset, else ``GRADUS_CONFIG``, else abacus.

    A file's path is made absolute, for child processes.
    """
    return str(config.resolve()) if config else models or os.environ.get("GRADUS_CONFIG") or "abacus"


def _count(things: Sized, noun: str) -> str:
    number = len(things)
    plural = noun if number == 1 else (noun[:-1] + "ies" if noun.endswith("y") else noun + "s")
    return f"{number} {plural}"


def _say(message: str) -> None:
    typer.echo(message)


def _become_worker(arguments: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    # -P: a file named router.py or workers.py in the current folder is not ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "workers", *arguments])


def main() -> NoReturn:
    """Run the command; what the user can mend ends as one line on stderr and exit code 2."""
    from gateway.up import CannotStart

    try:
        app(standalone_mode=False)
    except TyperException as error:
        _fail(error.format_message())
    except (RouterError, RedisMissing, CannotStart, client.GatewayRefused) as error:
        _fail(str(error))
    except ProcessGaveUp as error:
        _fail(str(error), code=1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(0)


def _fail(message: str, code: int = 2) -> NoReturn:
    typer.echo(f"gradus: {message}", err=True)
    sys.exit(code)
