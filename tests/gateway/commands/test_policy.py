"""`gradus policy check`: policies are explained, tuned where there is a predictor, and doubted where due."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli import app as gradus
from gateway.commands import policy
from router.artifacts import files_sha256
from router.errors import ArtifactInvalid, CannotTune, ConfigInvalid, UnknownPolicy
from router.fitting.fit import fit_predictor
from router.predictor.files import load_predictor, save_predictor
from router.predictor.manifest import Identities
from tests.router.tables import table

_ALL_RIGHT = {
    "small": {"right": 1, "cost_usd": 1e-6},
    "majority@8": {"right": 1, "cost_usd": 8e-6},
    "grand": {"right": 1, "cost_usd": 1e-4},
}

app = typer.Typer()
app.command(epilog=policy.EPILOG)(policy.command)

YAML = """\
models:
  mini: &machine
    engine: transformers
    path: /models/mini
    context_tokens: 512
    max_tokens: 100
    price: {usd_per_million_prompt_tokens: 0.01, usd_per_million_completion_tokens: 0.04}
  midi: {<<: *machine, path: /models/midi}
  grand:
    engine: openai
    base_url: http://grand.example/v1
    upstream_model: grand
    max_tokens: 100
    price: {usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2.5}
verifiers:
  prm: {kind: prm, path: /models/prm, context_tokens: 512, price: {usd_per_million_tokens: 0}}
policies:
  default: &default
    small: mini
    verifier: prm
    large: grand
    probe_samples: 8
    strategy: majority
    search_samples: 8
    usd_per_right_answer: 0.0004
  sure: &tuned {<<: *default, usd_per_right_answer: null, min_share_of_large: 0.8, confidence: 0.9}
  strict: {<<: *tuned, min_share_of_large: null, min_accuracy: 0.99}
  another: {<<: *tuned, small: midi}
"""


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictor")
    save_predictor(fit_predictor(table(300), method="words", identities=Identities(sha256="abc")), folder)
    return folder


def _run(folder: Path, predictor: Path, *arguments: str, text: str = YAML) -> str:
    file = folder / "gradus.yaml"
    file.write_text(f"{text}predictor: {predictor}\n", "utf-8")
    done = CliRunner().invoke(app, [str(file), *arguments], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, predictor: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("policies")
    out, figure = folder / "policies.json", folder / "policies.png"
    shown = _run(folder, predictor, "--json", str(out), "--plot", str(figure))
    found = {each["name"]: each for each in json.loads(out.read_text("utf-8"))}
    return {**found, "shown": shown, "figure": figure.read_bytes()}


def test_every_policy_says_what_it_wants(told: dict[str, Any]) -> None:
    assert told["default"]["wants"] == "the most worth, at $0.0004 a right answer"
    assert told["sure"]["wants"] == "the cheapest way to be 80% as often right as grand, with 90% confidence"
    for name in ("default", "sure", "strict", "another"):
        assert told[name]["wants"] in told["shown"]


def test_a_tuned_policy_is_certified_with_its_accuracy_and_cost(told: dict[str, Any]) -> None:
    tuned = told["sure"]["tuned"]
    assert tuned["chosen"]["certified"]
    assert tuned["chosen"]["cost_usd"] < 0.9e-4  # always grand costs 1e-4
    assert tuned["accuracy"]["low"] < tuned["accuracy"]["value"] < tuned["accuracy"]["high"]
    assert "(certified): the cheapest of those certified for 80.0% of the accuracy of grand" in told["shown"]
    assert told["sure"]["warnings"] == []


def test_what_cannot_be_promised_is_said_with_what_could(told: dict[str, Any]) -> None:
    assert not told["strict"]["tuned"]["chosen"]["certified"]
    (warning,) = told["strict"]["warnings"]
    assert warning.startswith(
        "an accuracy of 99.0% with 90% confidence cannot be certified: the most accurate"
    )


def test_a_predictor_of_other_models_is_not_used_and_told(told: dict[str, Any]) -> None:
    assert told["another"]["tuned"] is None
    assert "does not fit policy 'another'" in told["another"]["warnings"][0]
    assert "it takes the most accurate way" in told["another"]["warnings"][1]


def test_a_predictor_that_fits_no_policy_is_a_mistake(tmp_path: Path, predictor: Path) -> None:
    text = YAML.replace("    small: mini", "    small: midi")
    with pytest.raises(
        ArtifactInvalid, match="does not fit policy 'default': it is about the small model 'mini'"
    ):
        _run(tmp_path, predictor, text=text)


def test_the_figure_is_drawn(told: dict[str, Any]) -> None:
    assert told["figure"].startswith(b"\x89PNG")


def test_one_policy_alone_is_looked_at(tmp_path: Path, predictor: Path) -> None:
    shown = _run(tmp_path, predictor, "--policy", "default")
    assert "$0.0004 a right answer" in shown
    assert "confidence" not in shown


def test_a_predictor_that_is_not_there_is_a_note_and_no_mistake(tmp_path: Path) -> None:
    shown = _run(tmp_path, tmp_path / "later")
    assert f"note: predictor {tmp_path / 'later'} is not there: make it with `gradus fit`" in shown


def test_other_outcomes_take_the_place_of_the_calibration_questions(tmp_path: Path, predictor: Path) -> None:
    rows = [
        {
            "id": str(number),
            "question": f"add two apples number {number}",
            "actions": {
                "small": {"right": number % 2, "cost_usd": 1e-6},
                "majority@8": {"right": number % 2, "cost_usd": 8e-6},
                "grand": {"right": 1, "cost_usd": 1e-4},
            },
        }
        for number in range(80)
    ]
    file = tmp_path / "outcomes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    text = YAML.replace("probe_samples: 8", "probe_samples: 0")
    shown = _run(tmp_path, predictor, "--policy", "default", "--outcomes", str(file), text=text)
    assert "(80 questions)" in shown
    assert "always small" in shown
    assert "50.0%" in shown
    assert "note: this is what would be chosen on these outcomes" in shown
    assert "FITTED TO" not in shown


def test_nothing_is_certified_on_the_questions_that_the_predictor_was_fitted_to(
    tmp_path: Path, predictor: Path
) -> None:
    rows = [
        {"id": str(number), "question": f"add two apples number {number}", "actions": _ALL_RIGHT}
        for number in range(80)
    ]
    file = tmp_path / "outcomes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    text = YAML.replace("probe_samples: 8", "probe_samples: 0")
    arguments = "--policy", "sure", "--outcomes", str(file)
    assert "(certified)" in _run(tmp_path, predictor, *arguments, text=text)
    fitted = load_predictor(str(predictor))
    data = fitted.manifest.data.model_copy(update={"sha256": files_sha256([file])})
    manifest = fitted.manifest.model_copy(update={"data": data})
    save_predictor(replace(fitted, manifest=manifest), tmp_path / "same")
    shown = _run(tmp_path, tmp_path / "same", *arguments, text=text)
    assert f"note: {file} is what the predictor was FITTED TO" in shown
    assert "is not certified: the predictor was fitted to these questions" in shown
    assert "(certified)" not in shown


def test_queries_that_rules_decide_are_said_not_to_be_in_what_is_expected(
    tmp_path: Path, predictor: Path
) -> None:
    text = f"{YAML}  ruled: {{<<: *tuned, rules: [{{when: {{tools: true}}, use: small}}]}}\n"
    shown = _run(tmp_path, predictor, "--policy", "ruled", text=text)
    assert "(certified, but for queries that a rule decides)" in shown
    assert "questions), but for queries that a rule decides" in shown


def test_outcomes_without_an_action_of_the_predictor_are_refused(tmp_path: Path, predictor: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    row = {"id": "a", "question": "add", "actions": {"small": {"right": 1}, "grand": {"right": 1}}}
    file.write_text(json.dumps(row) + "\n", "utf-8")
    with pytest.raises(CannotTune, match="--outcomes: no action 'majority@8'; there are small, grand"):
        _run(tmp_path, predictor, "--outcomes", str(file))


def test_an_unknown_policy_is_named_with_those_there_are(tmp_path: Path, predictor: Path) -> None:
    with pytest.raises(UnknownPolicy, match="there is no 'cheap'; there are default, sure, strict, another"):
        _run(tmp_path, predictor, "--policy", "cheap")


def test_a_mistake_in_the_file_is_the_error(tmp_path: Path, predictor: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"gradus\.yaml:27: policies\.strict\.min_accuracy: must be less"):
        _run(tmp_path, predictor, text=YAML.replace("min_accuracy: 0.99", "min_accuracy: 99"))


def test_config_check_refuses_a_predictor_that_fits_no_policy_as_policy_check_does(
    tmp_path: Path, predictor: Path
) -> None:
    file = tmp_path / "gradus.yaml"
    text = YAML.replace("    small: mini", "    small: midi")
    file.write_text(f"{text}predictor: {predictor}\n", "utf-8")
    done = CliRunner().invoke(gradus, ["config", "check", str(file)])
    assert isinstance(done.exception, ArtifactInvalid)
    assert "is right" not in done.output

    file.write_text(f"{YAML}predictor: {predictor}\n", "utf-8")
    done = CliRunner().invoke(gradus, ["config", "check", str(file)])
    assert done.exit_code == 0
    assert "does not fit policy 'another'" in done.stderr
