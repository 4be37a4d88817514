"""Where the training keeps its files, and writes that a kill -9 cannot tear."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DEFAULT_DATA_DIR = Path("~/.cache/gradus/abacus")
MODELS_DIR = Path(__file__).resolve().parent.parent / "models"
SIZES = ("small", "large")
_BLOCKS = 16
_BLOCK_BYTES = 65_536


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    write(beside)
    os.replace(beside, path)


def replace_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Fill a new folder, then move its files over those of `path` one by one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    write(beside)
    path.mkdir(parents=True, exist_ok=True)
    for file in sorted(beside.iterdir()):
        os.replace(file, path / file.name)
    beside.rmdir()


def weights_digest(path: str) -> str | None:
    """What tells the weights of a model folder, or of an ``embedded:`` model, from others, quickly.

    A hash of names, sizes and 16 blocks of each file, so that gigabytes need not be read. ``None`` where
    ``path`` names something else.
    """
    kind, _, name = path.partition(":")
    folder = MODELS_DIR / name if kind == "embedded" else Path(path).expanduser()
    found = sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for file in found:
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as weights:
            for block in range(_BLOCKS):
                weights.seek(max(0, size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
                digest.update(weights.read(_BLOCK_BYTES))
    return digest.hexdigest() if found else None


def write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    replace_file(path, lambda target: target.write_text(text))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def write_json_lines(path: Path, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> None:
    def write(target: Path) -> None:
        with target.open("w") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")

    replace_file(path, write)


def append_json_line(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON-lines file; a last line that a kill cut short is left out."""
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
