"""docs/configuration.md keeps in step with what it describes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from cost_model.flops import count_parameters
from router.artifacts import load_calibration
from router.config import (
    CheckVerifier,
    Condition,
    Config,
    EnsembleVerifier,
    JudgeVerifier,
    LiteLLMModel,
    MajorityVerifier,
    OpenAIModel,
    OrmVerifier,
    Policy,
    PrmVerifier,
    RemoteVerifier,
    Rule,
    Server,
    TransformersModel,
    load_config,
)
from router.config.cache import Cache
from router.config.fields import ModelPrice, VerifierPrice
from router.config.limits import Limits
from router.config.models import LiteLLMDeployment, OpenAIDeployment, ThinkingMarks, Timeouts
from router.config.policies import StoppingRule
from router.config.telemetry import Recording, Telemetry
from router.config.verifiers import Quality
from router.errors import ConfigInvalid

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
EXAMPLE = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)[0]
SECTIONS: list[type[BaseModel]] = [
    Config,
    TransformersModel,
    OpenAIModel,
    LiteLLMModel,
    OpenAIDeployment,
    LiteLLMDeployment,
    Timeouts,
    ThinkingMarks,
    PrmVerifier,
    OrmVerifier,
    RemoteVerifier,
    JudgeVerifier,
    CheckVerifier,
    EnsembleVerifier,
    MajorityVerifier,
    Quality,
    Recording,
    Telemetry,
    ModelPrice,
    VerifierPrice,
    Policy,
    Rule,
    Condition,
    StoppingRule,
    Server,
    Limits,
    Cache,
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_field_is_described(section: type[BaseModel]) -> None:
    names = [field.alias or name for name, field in section.model_fields.items()]
    missing = [name for name in names if not re.search(rf"\b{name}\b", DOCUMENT)]
    assert not missing


@pytest.mark.parametrize(
    ("name", "default"),
    [
        (name, str(field.default))
        for section in (Policy, Server)
        for name, field in section.model_fields.items()
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    ],
)
def test_defaults_are_the_documented_ones(name: str, default: str) -> None:
    row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}` "))
    assert float(row.split("|")[3].strip().replace("_", "")) == float(default)


def test_the_example_is_a_valid_configuration(tmp_path: Path) -> None:
    file = tmp_path / "gradus.yaml"
    file.write_text(EXAMPLE, "utf-8")
    assert list(load_config(file, {}).policies) == ["default", "careful", "capped"]


MISTAKES = [
    (34, ("    large: gpt\n", "    large: gpt\n    probe_sample: 8\n")),
    (33, ("large: gpt", "large: gtp")),
    (11, ("usd_per_hour: 2.50\n", "usd_per_hour: -2.5\n")),
    (34, ("    large: gpt\n", "    large: gpt\n    search_samples: 10\n")),
]


@pytest.mark.parametrize(("line", "mistake"), MISTAKES)
def test_the_errors_it_shows_are_the_errors_one_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int, mistake: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gradus.yaml").write_text(EXAMPLE.replace(*mistake, 1), "utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load_config("gradus.yaml", {})
    assert str(caught.value).startswith(f"gradus.yaml:{line}: ")
    assert str(caught.value) in DOCUMENT


MODELS = Path(__file__).parents[2] / "workers" / "models"


@pytest.mark.parametrize("name", ["abacus-small", "abacus-large", "abacus-prm"])
def test_the_preset_knows_the_size_of_the_embedded_models(name: str) -> None:
    preset = load_config("abacus", {})
    configured = preset.models.get(name) or preset.verifiers[name]
    assert isinstance(configured, TransformersModel | PrmVerifier)
    known = configured.parameters
    counted = count_parameters(json.loads((MODELS / name / "config.json").read_text("utf-8")))
    assert known == pytest.approx(counted, rel=0.02), f"write {counted} into router/presets/abacus.yaml"


def test_the_embedded_calibration_is_one_that_the_default_policy_can_use() -> None:
    calibration = load_calibration("embedded:calibration.json")
    if calibration is not None:
        default = load_config("abacus", {}).policies["default"]
        assert (calibration.small, calibration.verifier, calibration.large) == (
            default.small,
            default.verifier,
            default.large,
        )
        assert calibration.search_samples <= default.search_samples
