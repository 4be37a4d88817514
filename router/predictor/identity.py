"""What a predictor is about: the models and the verifier of a policy, and the questions of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from router.artifacts import files_sha256, weights_sha256
from router.config import Config
from router.errors import ArtifactInvalid
from router.predictor.predictor import Predictor


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
        "their answers, and what comes of them is too good to be true; take others"
    )


def weights_of(config: Config, policy_name: str) -> dict[str, str]:
    """SHA-256 of the weights that a policy's models and verifier have, by name, where known."""
    policy = config.policies[policy_name]
    used = {name: config.models[name] for name in (policy.small, *policy.larges)}
    paths = {name: getattr(model, "path", "") for name, model in used.items()}
    paths[policy.verifier] = getattr(config.verifiers[policy.verifier], "path", "")
    return {name: weights for name, path in paths.items() if (weights := weights_sha256(path)) is not None}
