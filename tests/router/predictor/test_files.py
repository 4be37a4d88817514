from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from skops.io import dumps

from router.config import Config, load_config
from router.errors import ArtifactInvalid
from router.fitting.fit import fit_predictor
from router.predictor.files import digest_of, load_predictor, save_predictor
from router.predictor.identity import check_fits, weights_of
from router.predictor.predictor import Predictor
from tests.router.predictor.stranger import Stranger
from tests.router.tables import table

PROMPTS = ("add two apples", "", "prove 12 + 7 = ?", "日本")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return fit_predictor(table(), method="words")


@pytest.fixture(scope="module")
def saved(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "predictor"
    save_predictor(predictor, folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "predictor")
    return tmp_path / "predictor"


def changed(folder: Path, **changes: object) -> str:
    """As if it had been written so."""
    manifest = {**json.loads((folder / "manifest.json").read_text()), **changes}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "digest": digest_of(manifest)}))
    return str(folder)


def test_a_predictor_is_the_same_after_saving_and_loading(predictor: Predictor, folder: Path) -> None:
    loaded = load_predictor(str(folder))
    before, after = predictor.forecast(PROMPTS), loaded.forecast(PROMPTS)
    assert after.actions == before.actions
    np.testing.assert_array_equal(after.right, before.right)
    np.testing.assert_array_equal(after.completion_tokens, before.completion_tokens)
    np.testing.assert_array_equal(after.familiarity, before.familiarity)
    assert predictor.probing is not None
    assert loaded.probing is not None
    for one, other in zip(predictor.probing.stages, loaded.probing.stages, strict=True):
        assert (one.samples, one.intercept, one.prior_weight) == (
            other.samples,
            other.intercept,
            other.prior_weight,
        )
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.right, other.right)
    assert predictor.calibration is not None
    assert loaded.calibration is not None
    np.testing.assert_array_equal(loaded.calibration.posterior, predictor.calibration.posterior)
    assert predictor.fitted_to is not None
    np.testing.assert_array_equal(loaded.fitted_to, predictor.fitted_to)
    assert loaded.manifest.metrics == predictor.manifest.metrics


def test_the_card_has_the_numbers_of_the_manifest(predictor: Predictor, folder: Path) -> None:
    card = (folder / "README.md").read_text()
    for name, metrics in predictor.manifest.metrics.items():
        assert f"| {name} | {metrics.questions} | {metrics.base_rate:.3f} | {metrics.right:.3f} |" in card
    assert f"of {predictor.manifest.data.calibration} questions that nothing was" in card


@pytest.mark.parametrize("name", ["text.skops", "arrays.safetensors"])
def test_a_file_that_changed_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(ArtifactInvalid, match=f"{name} is not the file that manifest.json was written for"):
        load_predictor(str(folder))


@pytest.mark.parametrize(
    ("was", "edited"),
    [
        ('"name":"grand"', '"name":"great"'),
        ('"digest":"', '"digest":"0'),
        ('"brier":0.', '"brier":0.0'),
        ('"seed":0', '"seed":0,"note":"by hand"'),
    ],
)
def test_a_manifest_that_was_edited_is_refused(folder: Path, was: str, edited: str) -> None:
    file = folder / "manifest.json"
    written = json.dumps(json.loads(file.read_text("utf-8")), separators=(",", ":"))
    file.write_text(written, "utf-8")
    load_predictor(str(folder))  # spaces are no edit
    file.write_text(written.replace(was, edited, 1), "utf-8")
    with pytest.raises(ArtifactInvalid, match=r"manifest.json is not as it was written; copy"):
        load_predictor(str(folder))


def test_another_version_or_other_features_of_probes_are_refused(folder: Path) -> None:
    with pytest.raises(ArtifactInvalid, match="other features of probes"):
        load_predictor(changed(folder, evidence_features=["score_mean"]))
    with pytest.raises(ArtifactInvalid, match=r"version 2, but this release reads version 1.*gradus fit"):
        load_predictor(changed(folder, version=2))


def test_a_folder_without_a_predictor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactInvalid, match=r"no predictor there.*gradus fit"):
        load_predictor(str(tmp_path))


def test_types_that_no_predictor_needs_are_not_loaded(folder: Path) -> None:
    data = dumps({"text": Stranger(), "features": None})
    (folder / "text.skops").write_bytes(data)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    with pytest.raises(ArtifactInvalid, match=r"holds tests.router.predictor.stranger.Stranger, .* refused"):
        load_predictor(changed(folder, files={**files, "text.skops": sha256(data).hexdigest()}))


def test_one_of_another_release_that_kept_other_arrays_is_refused(folder: Path) -> None:
    arrays = load((folder / "arrays.safetensors").read_bytes())
    del arrays["calibration.mean_score"]
    data = save(arrays)
    (folder / "arrays.safetensors").write_bytes(data)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    with pytest.raises(ArtifactInvalid, match=r"arrays.safetensors: of another release .*mean_score"):
        load_predictor(changed(folder, files={**files, "arrays.safetensors": sha256(data).hexdigest()}))


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config("abacus", {})


def named(predictor: Predictor, config: Config, **changes: object) -> Predictor:
    """As if fitted to outcomes of the embedded models."""
    policy = config.policies["default"]
    fitting = {"small": policy.small, "verifier": policy.verifier, "weights": weights_of(config, "default")}
    actions = tuple(
        replace(each, model=policy.small if each.route == "small" else policy.larges[0])
        for each in predictor.actions
    )
    return replace(
        predictor, actions=actions, manifest=predictor.manifest.model_copy(update={**fitting, **changes})
    )


def test_a_predictor_of_the_same_models_fits(predictor: Predictor, config: Config) -> None:
    check_fits(named(predictor, config), config, "default")
    assert set(weights_of(config, "default")) >= {"abacus-small", "abacus-prm"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"small": "mini"}, "about the small model 'mini', the policy's is 'abacus-small'"),
        ({"verifier": "judge"}, "judged by 'judge', the policy's are by 'abacus-prm'"),
        ({"weights": {"abacus-prm": "0" * 64}}, "the weights of 'abacus-prm' have changed"),
    ],
)
def test_a_predictor_of_other_models_is_refused(
    predictor: Predictor, config: Config, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ArtifactInvalid, match=problem):
        check_fits(named(predictor, config, **changes), config, "default")


def test_a_predictor_without_the_policys_large_model_is_refused(predictor: Predictor, config: Config) -> None:
    without = replace(named(predictor, config), actions=predictor.actions)
    with pytest.raises(ArtifactInvalid, match="no outcomes of abacus-large"):
        check_fits(without, config, "default")


def test_nothing_is_held_against_a_predictor_that_names_no_verifier(
    predictor: Predictor, config: Config
) -> None:
    check_fits(named(predictor, config, verifier=None, weights={}), config, "default")
