"""Whether verifiers are as good as a configuration asks, by the files that `gradus quality` wrote.

A file holds what was measured on labelled outcomes (``embedded:`` names one that comes with Gradus)::

    {"version": 1, "verifier": "abacus-prm", "outcomes": 640, "questions": 40,
     "auc": 0.83, "gain_over_majority": 0.07, "weights_sha256": null, ...}

``auc`` is ``null`` where all outcomes were right, or all wrong. Unknown keys are allowed: they are notes for
people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from router.artifacts import read_artifact, weights_sha256
from router.config import Config, Quality
from router.errors import ArtifactInvalid

CONSEQUENCE = "answers are chosen by majority"


class MeasuredQuality(BaseModel):
    model_config = ConfigDict(frozen=True)
    version: Literal[1]
    verifier: str | None = None
    auc: Annotated[float, Field(ge=0, le=1)] | None
    gain_over_majority: Annotated[float, Field(ge=-1, le=1)] | None
    weights_sha256: str | None = None


def load_shortfalls(config: Config) -> Mapping[str, str]:
    """The verifiers that are not as good as configured, and why, in words for clients.

    Raises :class:`router.errors.ArtifactInvalid` for a file that is missing, wrong, or another verifier's.
    """
    found = {}
    for name, verifier in config.verifiers.items():
        if verifier.quality is not None:
            shortfall = _shortfall(name, verifier.quality, getattr(verifier, "path", None))
            if shortfall is not None:
                found[name] = f"{shortfall}: {CONSEQUENCE}"
    return found


def _shortfall(name: str, quality: Quality, path: str | None) -> str | None:
    try:
        measured = read_artifact(quality.file, MeasuredQuality, "quality", "gradus quality")
    except FileNotFoundError as error:
        raise ArtifactInvalid(
            f"{quality.file}: no such file, but verifiers.{name}.quality.file names it; measure it with "
            "`gradus quality`, or leave out quality"
        ) from error
    if measured.verifier not in (None, name):
        raise ArtifactInvalid(
            f"{quality.file}: quality of verifier {measured.verifier!r}, but verifiers.{name}.quality.file "
            "names it; measure this one with `gradus quality`"
        )
    weights = None if path is None else weights_sha256(path)
    if weights is not None and measured.weights_sha256 not in (None, weights):
        return f"the quality of {name} was measured with other weights"
    for what, reached, least in (
        ("AUC", measured.auc, quality.min_auc),
        ("gain over majority", measured.gain_over_majority, quality.min_gain_over_majority),
    ):
        if least is not None and reached is None:
            return f"the {what} of {name} is unknown"
        if least is not None and reached is not None and reached < least:
            return f"{name} reaches {what} {reached:.2f}, below {least:.2f}"
    return None
