"""What a command will write to, checked before it works for minutes: callbacks of options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import typer

_FIGURES: Final = (".png", ".svg", ".pdf")


def writable(file: Path | None) -> Path | None:
    """Raises :class:`typer.BadParameter` where nothing can be written."""
    if file is None:
        return None
    if file.is_dir():
        raise typer.BadParameter(f"{file} is a folder; name a file")
    if not file.parent.is_dir():
        raise typer.BadParameter(f"{file}: there is no folder {file.parent}; make it first")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise typer.BadParameter(f"{file}: may not be written; choose another place")
    return file


def folder(path: Path) -> Path:
    """Where a folder is to be made, or is. Raises :class:`typer.BadParameter` where none can be."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise typer.BadParameter(f"{path}: {there} is no folder; name one that is there, or may be made")
    if not os.access(there, os.W_OK):
        raise typer.BadParameter(f"{path}: nothing may be written in {there}; choose another place")
    return path


def drawable(file: Path | None) -> Path | None:
    """The same for a figure, whose suffix says its form."""
    if file is not None and file.suffix.lower() not in _FIGURES:
        raise typer.BadParameter(f"{file}: a figure is one of {', '.join(_FIGURES)}, by its suffix")
    return writable(file)
