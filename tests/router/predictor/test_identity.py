"""What a predictor is about: which questions it has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from router.artifacts import files_sha256
from router.fitting.fit import fit_predictor
from router.predictor.identity import questions_seen, seen_before
from router.predictor.manifest import Identities
from tests.router.tables import table


def test_the_very_files_that_a_predictor_was_fitted_to_are_known_by_their_hash(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text("one\n", "utf-8")
    second.write_text("two\n", "utf-8")
    predictor = fit_predictor(table(120), method="words", identities=Identities(sha256=files_sha256([first])))
    other = replace(
        predictor,
        manifest=predictor.manifest.model_copy(
            update={"data": predictor.manifest.data.model_copy(update={"sha256": "0" * 64})}
        ),
    )
    assert "is what the predictor was FITTED TO" in (seen_before([None, other, predictor], [first]) or "")
    assert seen_before([predictor], [second]) is None
    assert seen_before([other], [first]) is None
    assert seen_before([None], [first]) is None
    assert seen_before([predictor], [tmp_path / "absent.jsonl"]) is None


def test_prompts_that_were_fitted_are_counted_wherever_they_come_from_and_those_held_out_are_not() -> None:
    outcomes = table(120)
    predictor = fit_predictor(outcomes, method="words")
    fitted = predictor.manifest.data.fitted
    said = questions_seen(predictor, [*(f" {each.upper()}\n" for each in outcomes.prompts), "new"])
    assert said is not None
    assert said.startswith(f"the predictor was FITTED TO {fitted} of these 121 questions")
    assert questions_seen(predictor, ["new"]) is None
    assert questions_seen(replace(predictor, fitted_to=None), outcomes.prompts) is None
