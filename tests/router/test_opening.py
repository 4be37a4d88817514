"""From a configuration to its market: artefacts are read, policies tuned, and what is amiss is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost_model.architecture import architecture
from router.config import Config
from router.errors import ArtifactInvalid
from router.fitting.fit import fit_predictor
from router.opening import open_configured, open_untuned, strangers
from router.policy import plan
from router.predictor.files import save_predictor
from router.types import Query
from tests.router.guided import config as example
from tests.router.tables import table

MIXTURE = {
    "model_type": "mixtral",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "vocab_size": 100,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor of the models "mini" and "grand"."""
    made = tmp_path_factory.mktemp("fitted") / "predictor"
    save_predictor(fit_predictor(table(300), method="words"), made)
    return made


def _config(predictor: Path | None, small: str = "mini", **policy: Any) -> Config:
    changed: Mapping[str, Any] = yaml.safe_load(example().model_dump_json(by_alias=True))
    models = {small: changed["models"]["tiny"], "grand": changed["models"]["big"]}
    default = {**changed["policies"]["default"], "small": small, "large": ["grand"], **policy}
    return Config.model_validate(
        {
            **changed,
            "models": models,
            "policies": {"default": default},
            "predictor": None if predictor is None else str(predictor),
        }
    )


def test_a_policy_is_guided_tuned_and_watched_where_the_predictor_fits(folder: Path) -> None:
    opened = open_configured(_config(folder))
    assert set(opened.market.guides) == set(opened.tuned) == {"default"}
    assert opened.drift is not None
    decided = plan(Query(({"role": "user", "content": "add two apples"},)), "default", opened.market)
    assert decided.p_right is not None


def test_what_tuning_found_is_what_the_policy_does(folder: Path) -> None:
    opened = open_configured(
        _config(folder, usd_per_right_answer=None, max_mean_cost_usd="0.000001", probe="never")
    )
    chosen, guide = opened.tuned["default"].chosen, opened.market.guides["default"]
    if chosen.always is None:
        assert opened.market.objectives["default"].usd_per_right_answer == chosen.usd_per_right_answer
    else:
        assert guide.always is not None
        assert guide.always.name == chosen.always
        assert guide.offered.sum() == 1


def test_a_predictor_that_is_not_there_yet_is_said_and_tables_guide(tmp_path: Path) -> None:
    opened = open_configured(_config(tmp_path / "none", usd_per_right_answer=None, max_mean_cost_usd="0.001"))
    assert opened.market.guides == {}
    assert "is not there: make it with `gradus fit`" in opened.warnings[0]
    assert "it takes the most accurate way" in opened.warnings[-1]


def _opened_parameters(folder: Path, **fields: Any) -> int | None:
    """Of the small model, whose weights are in ``folder``."""
    config = _config(None)
    small = config.models["mini"].model_copy(update={"path": str(folder), "parameters": None, **fields})
    config = config.model_copy(update={"models": {**config.models, "mini": small}})
    return open_configured(config).market.config.models["mini"].parameters


def test_parameters_that_are_not_given_are_the_active_ones_of_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MIXTURE), "utf-8")
    found = architecture(MIXTURE)
    assert found.active < found.parameters
    assert _opened_parameters(tmp_path) == found.active
    assert _opened_parameters(tmp_path, parameters=7) == 7


@pytest.mark.parametrize(
    "text", [None, "no JSON", "[]", '{"model_type": "mamba"}', '{"model_type": "llama"}']
)
def test_parameters_that_cannot_be_counted_are_unknown(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text, "utf-8")
    assert _opened_parameters(tmp_path) is None


def test_a_predictor_of_other_models_is_refused(folder: Path) -> None:
    with pytest.raises(
        ArtifactInvalid, match=r"the predictor knows small.*, and policy 'default' has the small model"
    ):
        open_configured(_config(folder, small="tiny"))


def test_policies_that_the_predictor_does_not_fit_are_told_without_tuning(folder: Path) -> None:
    assert strangers(open_untuned(_config(folder))) == {}
    assert strangers(open_untuned(_config(None))) == {}
    assert "the small model" in strangers(open_untuned(_config(folder, small="tiny")))["default"]
