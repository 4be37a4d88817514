"""What a predictor is about: the models and the verifier of a policy, and the questions of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.artifacts import files_sha256, weights_sha256
from router.config import Config
from router.errors import ArtifactInvalid
from router.outcome_rows import group_of
from router.predictor.predictor import Predictor

_TOO_GOOD = "what comes of them is too good to be true; take others"


def check_fits(predictor: Predictor, config: Config, policy_name: str) -> None:
    """Refuse a predictor that was fitted to other models, another verifier or other weights.

    Only what is known is compared: outcomes may name no verifier, and weights have a hash where they come
    with the package. Raises :class:`ArtifactInvalid`.
    """
    policy, manifest = config.policies[policy_name], predictor.manifest
    about = f"{config.predictor or 'the predictor'} does not fit policy {policy_name!r}"
    mend = "fit one to outcomes of this configuration with `gradus fit`, or leave predictor out"
    if manifest.small not in (None, policy.small):
        raise ArtifactInvalid(
            f"{about}: it is about the small model {manifest.small!r}, the policy's is {policy.small!r}; "
            f"{mend}"
        )
    if manifest.verifier not in (None, policy.verifier):
        raise ArtifactInvalid(
            f"{about}: its probes were judged by {manifest.verifier!r}, the policy's are by "
            f"{policy.verifier!r}; {mend}"
        )
    for name in (policy.small, policy.verifier, *policy.larges):
        configured = config.models.get(name) or config.verifiers.get(name)
        measured = manifest.weights.get(name)
        if measured is None or configured is None:
            continue
        weights = weights_sha256(getattr(configured, "path", ""))
        if weights not in (None, measured):
            raise ArtifactInvalid(f"{about}: the weights of {name!r} have changed since; {mend}")
    unknown = [name for name in policy.larges if name not in {action.model for action in predictor.actions}]
    if unknown:
        raise ArtifactInvalid(f"{about}: it has no outcomes of {', '.join(unknown)}; {mend}")


def seen_before(predictors: Sequence[object], files: Sequence[Path]) -> str | None:
    """What to say where these are the very files that one of them was fitted to, by hash; else ``None``.

    What is no :class:`Predictor` was fitted to nothing.
    """
    known = {each.manifest.data.sha256 for each in predictors if isinstance(each, Predictor)}
    if not known or not all(file.is_file() for file in files) or files_sha256(files) not in known:
        return None
    return (
        f"{', '.join(map(str, files))} is what the predictor was FITTED TO: it has seen these questions with "
        f"their answers, and {_TOO_GOOD}"
    )


def questions_seen(predictor: Predictor, prompts: Sequence[str]) -> str | None:
    """What to say where some of ``prompts`` are among those that it was fitted to, whatever file they are in.

    ``None`` where none is, or where it kept no fingerprints.
    """
    if predictor.fitted_to is None or not len(prompts):
        return None
    seen = int(np.isin(_fingerprinted(prompts), predictor.fitted_to).sum())
    if not seen:
        return None
    return (
        f"the predictor was FITTED TO {seen} of these {len(prompts)} questions: it has seen them with their "
        f"answers, so these numbers are optimistic; {_TOO_GOOD}"
    )


def fingerprints(prompts: Sequence[str]) -> NDArray[np.uint64]:
    """Hashes that tell whether a prompt was among these, but for case and spaces; they rise."""
    return np.unique(_fingerprinted(prompts))


def _fingerprinted(prompts: Sequence[str]) -> NDArray[np.uint64]:
    """[N]; equal prompts are a group, whose name is a hash of 64 bits."""
    return np.array([int(group_of(each), 16) for each in prompts], dtype=np.uint64)


def weights_of(config: Config, policy_name: str) -> dict[str, str]:
    """SHA-256 of the weights that a policy's models and verifier have, by name, where known."""
    policy = config.policies[policy_name]
    used = {name: config.models[name] for name in (policy.small, *policy.larges)}
    paths = {name: getattr(model, "path", "") for name, model in used.items()}
    paths[policy.verifier] = getattr(config.verifiers[policy.verifier], "path", "")
    return {name: weights for name, path in paths.items() if (weights := weights_sha256(path)) is not None}
