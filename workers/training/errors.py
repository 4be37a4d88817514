"""Errors of the training commands that a user can act on."""

from __future__ import annotations


class TrainingError(Exception):
    """A one-line message and exit code 2."""


class MissingExtraError(TrainingError):
    """A package of the optional extra [train] is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed; install the extra: pip install 'gradus[train]'")
