"""What decides an answer changes the fingerprint, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import Config, JudgeVerifier, OpenAIModel, TransformersModel, load_config
from router.fingerprint import fingerprint_of, identity_of


def _config(**environ: str) -> Config:
    return load_config("abacus", environ)


def _local(path: Path, **fields: float) -> TransformersModel:
    model = {"engine": "transformers", "path": str(path), "context_tokens": 9, "max_tokens": 9}
    return TransformersModel.model_validate({**model, **fields})


def test_the_same_configuration_has_the_same_fingerprint() -> None:
    assert fingerprint_of(_config()) == fingerprint_of(_config())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POLICIES__DEFAULT__SEARCH_SAMPLES", "8"),
        ("POLICIES__DEFAULT__TASK", "math"),
        ("MODELS__ABACUS_SMALL__TEMPERATURE", "0.5"),
        ("PREDICTOR", "null"),
        ("CALIBRATION", "null"),
    ],
)
def test_what_decides_is_another_fingerprint(name: str, value: str) -> None:
    assert fingerprint_of(_config(**{f"GRADUS__{name}": value})) != fingerprint_of(_config())


@pytest.mark.parametrize(("name", "value"), [("SERVER__PORT", "9999"), ("CACHE__TTL_S", "5")])
def test_what_changes_no_answer_is_the_same_fingerprint(name: str, value: str) -> None:
    assert fingerprint_of(_config(**{f"GRADUS__{name}": value})) == fingerprint_of(_config())


def test_other_weights_are_another_model_wherever_they_lie(tmp_path: Path) -> None:
    found = [identity_of(_local(tmp_path))]
    (tmp_path / "nested").mkdir()
    weights = tmp_path / "nested" / "model.safetensors"
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        found.append(identity_of(_local(tmp_path)))
    weights.rename(tmp_path / "model.safetensors")
    found.append(identity_of(_local(tmp_path)))
    assert len({*found}) == len(found) == 4


def test_an_artefact_that_was_fitted_anew_is_another_fingerprint(tmp_path: Path) -> None:
    table = tmp_path / "strategies.json"
    config = _config().model_copy(update={"strategies": str(table)})
    found = {fingerprint_of(config)}
    for content in ("{}", '{"version": 1}'):
        table.write_text(content)
        found.add(fingerprint_of(config))
    assert len(found) == 3


def test_another_tokenizer_or_measured_quality_is_another_fingerprint(tmp_path: Path) -> None:
    known = {"base_url": "http://a", "upstream_model": "m", "tokenizer": str(tmp_path)}
    model = OpenAIModel.model_validate({"engine": "openai", **known})
    quality = {"file": str(tmp_path / "quality.json"), "min_auc": 0.6}
    judge = JudgeVerifier.model_validate(
        {"kind": "judge", "litellm_model": "m", "context_tokens": 900, "quality": quality}
    )
    plain = _config()
    server = plain.model_copy(update={"models": {**plain.models, "server": model}})
    judged = plain.model_copy(update={"verifiers": {**plain.verifiers, "judge": judge}})
    found = {fingerprint_of(server), fingerprint_of(judged)}
    (tmp_path / "tokenizer.json").write_text("{}")
    found.add(fingerprint_of(server))
    (tmp_path / "quality.json").write_text("{}")
    found.add(fingerprint_of(judged))
    assert len(found) == 4


def test_a_model_is_what_it_says_and_not_what_it_costs(tmp_path: Path) -> None:
    cheap, dear = (
        {"usd_per_million_prompt_tokens": n, "usd_per_million_completion_tokens": n} for n in (1, 2)
    )
    known = {"engine": "openai", "base_url": "http://a", "upstream_model": "m"}
    assert identity_of(OpenAIModel.model_validate({**known, "price": cheap})) == identity_of(
        OpenAIModel.model_validate({**known, "price": dear})
    )
    assert identity_of(_local(tmp_path)) != identity_of(_local(tmp_path, temperature=0.1))
