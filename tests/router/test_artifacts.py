"""Calibrations: read, refused by name, or absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.artifacts import load_calibration
from router.errors import ArtifactInvalid
from router.types import Bin
from tests.router.examples import CALIBRATION


def _write(folder: Path, content: object) -> str:
    file = folder / "calibration.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(file)


def test_a_calibration_is_read_by_bin(tmp_path: Path) -> None:
    calibration = load_calibration(_write(tmp_path, CALIBRATION))
    assert calibration is not None
    assert calibration.bins[Bin.VERY_HARD].large_right == 0.6
    assert calibration.bins[Bin.EASY].small_completion_tokens == 40.5


def test_a_calibration_may_know_of_no_large_model_and_leave_out_empty_bins(tmp_path: Path) -> None:
    easy = {"questions": 5, "small_right": 0.9, "small_completion_tokens": 40, "large_right": None}
    bins = {"easy": easy, "hard": {"questions": 0, "small_right": None}}
    calibration = load_calibration(_write(tmp_path, {**CALIBRATION, "large": None, "bins": bins}))
    assert calibration is not None
    assert calibration.bins.keys() == {Bin.EASY}


@pytest.mark.parametrize("reference", [None, "nowhere/calibration.json", "embedded:no-such-file.json"])
def test_without_a_file_nothing_was_measured(reference: str | None) -> None:
    assert load_calibration(reference) is None


def test_an_embedded_calibration_lies_among_the_embedded_models() -> None:
    file = Path(__file__).parents[2] / "workers" / "models" / "calibration.json"
    assert (load_calibration("embedded:calibration.json") is not None) == file.exists()


def _but(**changes: Any) -> dict[str, Any]:
    return {**CALIBRATION, **changes}


EASY = CALIBRATION["bins"]["easy"]
WRONG: dict[str, tuple[object, str]] = {
    "not JSON": ("{", "calibration cannot be read: "),
    "not an object": ([], "calibration of version None, but this release reads version 1"),
    "another version": (_but(version=2), "calibration of version 2, but this release reads version 1"),
    "a missing name": (_but(small=None), "calibration: small: "),
    "an unknown bin": (_but(bins={"trivial": EASY}), "calibration: bins.trivial"),
    "more than certain": (_but(bins={"easy": {**EASY, "small_right": 1.1}}), "bins.easy.small_right: "),
    "fewer than no questions": (_but(bins={"easy": {**EASY, "questions": -1}}), "bins.easy.questions: "),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_calibration_is_refused_with_its_file_and_field(
    tmp_path: Path, content: object, message: str
) -> None:
    reference = _write(tmp_path, content)
    with pytest.raises(ArtifactInvalid) as caught:
        load_calibration(reference)
    assert str(caught.value).startswith(reference)
    assert message in str(caught.value)
