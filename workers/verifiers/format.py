"""What a folder that `gradus train prm` wrote says about how its model judges."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workers.errors import ModelNotLoadable
from workers.verifiers.aggregate import AGGREGATIONS, Aggregation

FORMAT_FILE = "gradus_verifier.json"
"""Lies beside the weights and says how to read them: the fields of :class:`Format`."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a token classifier judges steps.

    A step ends at a token with ``step_separator``; a solution that has stated its answer ends with
    ``final_step_token`` instead. The score there is the ``activation`` of the label ``label_index``.
    """

    step_separator: str
    activation: Literal["sigmoid", "softmax"]
    label_index: int
    final_step_token: str | None
    aggregation: Aggregation


def read_format(folder: Path) -> Format:
    """What :data:`FORMAT_FILE` says. Raises :class:`workers.errors.ModelNotLoadable`."""
    file = folder / FORMAT_FILE
    try:
        fields = json.loads(file.read_text())
        if fields["kind"] != "token_classification":
            raise ModelNotLoadable(f"{file}: kind: {fields['kind']!r}; only token_classification is known")
        found = Format(
            step_separator=fields["step_separator"],
            activation=fields["activation"],
            label_index=fields["label_index"],
            final_step_token=fields["final_step_token"],
            aggregation=fields["aggregation"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelNotLoadable(f"{file}: it does not say how to read the verifier: {error!r}") from error
    if len(found.step_separator) != 1 or not found.step_separator.isascii():
        raise ModelNotLoadable(
            f"{file}: step_separator: {found.step_separator!r}; must be one ASCII character"
        )
    if found.activation not in ("sigmoid", "softmax"):
        raise ModelNotLoadable(f"{file}: activation: {found.activation!r}; must be sigmoid or softmax")
    if found.aggregation not in AGGREGATIONS:
        raise ModelNotLoadable(
            f"{file}: aggregation: {found.aggregation!r}; must be {', '.join(AGGREGATIONS)}"
        )
    return found
