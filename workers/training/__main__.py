"""`python -m workers.training`: the training commands; `gradus train` runs this."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from workers.training.cli import app


def main() -> NoReturn:
    """Run the command; what the user can mend ends as one line on stderr and exit code 2."""
    try:
        code = app(prog_name="gradus train", standalone_mode=False)
    except TyperException as error:
        typer.echo("gradus train: " + " ".join(error.format_message().split()), err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
