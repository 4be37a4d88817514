"""One YAML file, environment variables over it, validated as a whole: :func:`load_config`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from router.config.consistency import inconsistencies
from router.config.environment import override
from router.config.models import (
    REVISE,
    Deployed,
    Endpoint,
    LiteLLMDeployment,
    LiteLLMModel,
    Model,
    OpenAIDeployment,
    OpenAIModel,
    SearchedModel,
    ThinkingMarks,
    Timeouts,
    TransformersModel,
)
from router.config.policies import Policy
from router.config.problems import first_problem
from router.config.rules import Condition, Rule
from router.config.schema import Config, Server
from router.config.source import read_yaml
from router.config.verifiers import (
    CheckVerifier,
    EnsembleVerifier,
    JudgeVerifier,
    MajorityVerifier,
    OrmVerifier,
    PrmVerifier,
    Quality,
    RemoteVerifier,
    Verifier,
)
from router.errors import ConfigInvalid

__all__ = [
    "REVISE",
    "CheckVerifier",
    "Condition",
    "Config",
    "Deployed",
    "Endpoint",
    "EnsembleVerifier",
    "JudgeVerifier",
    "LiteLLMDeployment",
    "LiteLLMModel",
    "MajorityVerifier",
    "Model",
    "OpenAIDeployment",
    "OpenAIModel",
    "OrmVerifier",
    "Policy",
    "PrmVerifier",
    "Quality",
    "RemoteVerifier",
    "Rule",
    "SearchedModel",
    "Server",
    "ThinkingMarks",
    "Timeouts",
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
    document = read_yaml(*_read(name), "models, verifiers and policies")
    override(document, env)
    try:
        config = Config.model_validate(document.values)
    except ValidationError as error:
        raise first_problem(document, error, Config) from None
    for path, problem in inconsistencies(config):
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
