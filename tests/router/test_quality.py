"""A verifier that was measured and found wanting is not followed, and the client is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.config import Config, load_config
from router.errors import ArtifactInvalid
from router.market import open_market
from router.policy import plan, search_plan
from router.quality import load_shortfalls
from router.wish import Wish
from tests.router.examples import YAML, query, write

MEASURED = {
    "version": 1,
    "verifier": "prm",
    "outcomes": 640,
    "auc": 0.55,
    "gain_over_majority": 0.02,
    "weights_sha256": None,
}


def _config(folder: Path, minimum: str, measured: object = MEASURED, **changes: Any) -> Config:
    file = folder / "quality.json"
    if isinstance(measured, dict):
        file.write_text(json.dumps({**measured, **changes}), "utf-8")
    text = YAML.replace(
        "path: /models/prm\n", f"path: /models/prm\n    quality: {{file: {file}, {minimum}}}\n"
    )
    return load_config(write(folder, text), {})


@pytest.mark.parametrize(
    ("minimum", "changes", "shortfall"),
    [
        ("min_auc: 0.6", {}, "prm reaches AUC 0.55, below 0.60: answers are chosen by majority"),
        ("min_auc: 0.55", {}, None),
        (
            "min_gain_over_majority: 0.05",
            {},
            "prm reaches gain over majority 0.02, below 0.05: answers are chosen by majority",
        ),
        ("min_auc: 0.5, min_gain_over_majority: 0", {}, None),
        ("min_auc: 0.6", {"auc": None}, "the AUC of prm is unknown: answers are chosen by majority"),
        ("min_auc: 0.5", {"verifier": None}, None),
    ],
)
def test_what_was_measured_is_held_against_the_minimum(
    tmp_path: Path, minimum: str, changes: dict[str, Any], shortfall: str | None
) -> None:
    found = load_shortfalls(_config(tmp_path, minimum, **changes))
    assert found == ({} if shortfall is None else {"prm": shortfall})


def test_a_verifier_without_a_minimum_is_followed(tmp_path: Path) -> None:
    assert load_shortfalls(load_config(write(tmp_path), {})) == {}


def test_a_quality_file_that_is_missing_says_how_to_write_it(tmp_path: Path) -> None:
    config = _config(tmp_path, "min_auc: 0.6", measured=None)
    with pytest.raises(
        ArtifactInvalid, match=r"no such file, but verifiers\.prm\.quality\.file names it.*gradus q"
    ):
        load_shortfalls(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verifier": "orm"}, "quality of verifier 'orm', but verifiers.prm.quality.file names it"),
        ({"version": 2}, "quality of version 2, but this release reads version 1"),
        ({"auc": "good"}, "quality: auc: "),
    ],
)
def test_a_quality_file_that_is_wrong_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtifactInvalid, match=message):
        load_shortfalls(_config(tmp_path, "min_auc: 0.6", **changes))


@pytest.mark.parametrize("strategy", ["auto", "beam", "best_of_n", "particle"])
def test_every_search_with_a_bad_verifier_is_a_vote_and_says_so(tmp_path: Path, strategy: str) -> None:
    config = _config(tmp_path, f"min_auc: 0.6}}\n    # {strategy}")
    config = config.model_copy(
        update={
            "policies": {
                name: policy.model_copy(update={"strategy": strategy})
                for name, policy in config.policies.items()
            }
        }
    )
    market = open_market(config, shortfalls=load_shortfalls(config))
    for branch in plan(query(), "alone", market).branches:
        assert branch.chosen.strategy.name == "majority"
        assert branch.notice is not None
        assert "prm reaches AUC 0.55, below 0.60: answers are chosen by majority" in branch.notice


def test_a_search_that_a_request_names_is_a_vote_too(tmp_path: Path) -> None:
    config = _config(tmp_path, "min_auc: 0.6")
    market = open_market(config, shortfalls=load_shortfalls(config))
    branch = search_plan(query(), "default", market, Wish("beam", 8)).branches[0]
    assert (branch.chosen.strategy.name, branch.chosen.strategy.samples) == ("majority", 8)
    assert branch.notice == "prm reaches AUC 0.55, below 0.60: answers are chosen by majority"


def test_other_policies_keep_their_search(tmp_path: Path) -> None:
    config = _config(tmp_path, "min_auc: 0.6")
    market = open_market(config, shortfalls=load_shortfalls(config))
    decided = plan(query(), "voting", market)
    assert not any("AUC" in (branch.notice or "") for branch in decided.branches)
