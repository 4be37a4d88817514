"""What decides an answer besides the request, as one hash: two equal ones answer the same request alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from router.artifacts import artifact_path
from router.config import Config

_NEUTRAL: Final = {"server", "records", "cache", "database", "limits", "telemetry"}
"""Sections that change no answer. One that is forgotten here costs hits, one too many right answers."""
_ARTIFACTS: Final = ("calibration", "embedding", "predictor", "strategies")
_READ_BYTES: Final = 16_000_000
"""Of files up to this size the content counts, of larger ones (weights) size and time of the last change."""


def fingerprint_of(config: Config) -> str:
    """SHA-256 of all that a configuration decides by: models, verifiers, policies, artefacts, the release.

    Reads the files that it names, where they are on this machine; once, when a process starts.
    """
    said = config.model_dump(mode="json", by_alias=True, exclude=_NEUTRAL)
    files = {name: _stamps(getattr(config, name)) for name in _ARTIFACTS}
    paths = {
        name: _paths(each) for section in (config.models, config.verifiers) for name, each in section.items()
    }
    return _hash([_release(), said, files, paths])


def identity_of(*sections: BaseModel) -> str:
    """SHA-256 of what a model or a verifier is: its configuration, and its weights as far as they are here.

    Of an ensemble it takes the members' sections too.
    """
    said = [section.model_dump(mode="json", exclude={"price", "latency"}) for section in sections]
    return _hash([_release(), said, [_paths(section) for section in sections]])


def _hash(value: Any) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()


def _release() -> str:
    try:
        return version("gradus")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0"


def _paths(section: BaseModel) -> list[list[tuple[str, str]]]:
    """What a model or verifier reads: weights, the tokenizer of a server's prompts, its measured quality."""
    quality = getattr(section, "quality", None)
    named = (getattr(section, "path", None), getattr(section, "tokenizer", None))
    return [_stamps(each) for each in (*named, getattr(quality, "file", None))]


def _stamps(reference: str | None) -> list[tuple[str, str]]:
    """(name, content) of the file or of every file in the folder; nothing where there is none."""
    if not reference:
        return []
    return sorted((name, _stamp(file)) for name, file in _files(artifact_path(reference), ""))


def _files(at: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    if at.is_file():
        yield name, at
    elif at.is_dir():
        for each in at.iterdir():
            yield from _files(each, f"{name}/{each.name}")


def _stamp(file: Traversable) -> str:
    if isinstance(file, Path):
        found = file.stat()
        if found.st_size > _READ_BYTES:
            return f"{found.st_size} bytes of {found.st_mtime_ns}"
    return sha256(file.read_bytes()).hexdigest()
