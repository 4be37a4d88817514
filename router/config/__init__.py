"""One YAML file, environment variables over it, validated as a whole: :func:`load_config`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from router.config.environment import override
from router.config.problems import first_problem
from router.config.schema import (
    CheckVerifier,
    Config,
    EnsembleVerifier,
    JudgeVerifier,
    LiteLLMModel,
    MajorityVerifier,
    Model,
    OpenAIModel,
    OrmVerifier,
    Policy,
    PrmVerifier,
    RemoteVerifier,
    SearchedModel,
    Server,
    ThinkingMarks,
    TransformersModel,
    Verifier,
)
from router.config.source import read_yaml
from router.errors import ConfigInvalid

__all__ = [
    "CheckVerifier",
    "Config",
    "EnsembleVerifier",
    "JudgeVerifier",
    "LiteLLMModel",
    "MajorityVerifier",
    "Model",
    "OpenAIModel",
    "OrmVerifier",
    "Policy",
    "PrmVerifier",
    "RemoteVerifier",
    "SearchedModel",
    "Server",
    "ThinkingMarks",
    "TransformersModel",
    "Verifier",
    "load_config",
    "preset_names",
]

DEFAULT_PRESET = "abacus"


def preset_names() -> list[str]:
    """The configurations that come with Gradus."""
    files = (resources.files("router") / "presets").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def load_config(source: str | Path | None, env: Mapping[str, str]) -> Config:
    """Read and validate a configuration: a file's path, or a preset's name.

    ``None`` means what ``GRADUS_CONFIG`` says, else the preset "abacus". Variables in ``env`` win over it.
    Raises :class:`router.errors.ConfigInvalid` for the first thing that is wrong, with its file and line.
    """
    name = source if source is not None else env.get("GRADUS_CONFIG") or DEFAULT_PRESET
    document = read_yaml(*_read(name))
    override(document, env)
    try:
        config = Config.model_validate(document.values)
    except ValidationError as error:
        raise first_problem(document, error) from None
    for path, problem in _inconsistencies(config):
        raise document.error(path, problem)
    return config


def _read(name: str | Path) -> tuple[str, str]:
    """The text, and what to call it in errors."""
    if str(name) in preset_names():
        return (resources.files("router") / "presets" / f"{name}.yaml").read_text("utf-8"), f"preset {name}"
    try:
        return Path(name).read_text("utf-8"), str(name)
    except FileNotFoundError:
        known = ", ".join(preset_names())
        problem = f"no such file; give a YAML file, or one of the presets {known}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: {error.reason} at byte {error.start}"
    raise ConfigInvalid(problem, source=str(name))


def _inconsistencies(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is right by itself but wrong together: (path, problem)."""
    for name in config.models:
        if name == "gradus" or name.startswith("gradus/"):
            yield ("models", name), "is a name of Gradus itself (gradus/<policy>); choose another"
    if "default" not in config.policies:
        yield ("policies",), 'needs a policy named "default": it is what the model name "gradus" means'
    for name, policy in config.policies.items():
        small = config.models.get(policy.small)
        samples = max(policy.probe_samples, policy.search_samples)
        if isinstance(small, TransformersModel) and small.temperature == 0 and samples > 1:
            problem = f"is 0, so all {samples} samples of policy {name!r} would be equal; must be above 0"
            yield ("models", policy.small, "temperature"), problem
        for key, problem in _of_policy(config, policy):
            yield ("policies", name, key), problem


def _of_policy(config: Config, policy: Policy) -> Iterator[tuple[str, str]]:
    for key, name, known in (
        ("small", policy.small, config.models),
        ("verifier", policy.verifier, config.verifiers),
        ("large", policy.large, config.models),
    ):
        if name is not None and name not in known:
            section = "verifiers" if key == "verifier" else "models"
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            yield key, f"names {name!r}, which is not in {section}; {advice}"
    small = config.models.get(policy.small)
    if small is not None and small.engine != "transformers":
        yield (
            "small",
            (
                f"names {policy.small!r} of engine {small.engine}, but a small model is searched "
                "in a worker: it needs engine transformers"
            ),
        )
    if policy.large == policy.small:
        yield "large", f"is the small model itself ({policy.small!r}); name another, or leave it out"
    if policy.search_samples % policy.beam_width:
        # Whichever the file sets is at fault, and the default is not.
        key = "beam_width" if "beam_width" in policy.model_fields_set else "search_samples"
        yield (
            key,
            (
                f"search_samples ({policy.search_samples}) must be a multiple of beam_width "
                f"({policy.beam_width}), so that every round keeps N/M beams"
            ),
        )
