"""The file of a deployment question: what it says is what is planned, and mistakes have their line."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_model.prices import per_million
from cost_model.situation import Situation, Work
from router.config.fields import Section
from router.errors import ConfigInvalid
from router.traffic import (
    BinSection,
    GpuPrice,
    PricedModel,
    SpeedSection,
    Traffic,
    VerifierSection,
    WaySection,
    load_traffic,
)

YAML = """\
queries_per_day: 1_000
usd_per_right_answer: 0.05
prompt_tokens: 100
completion_tokens: 200
models:
  small:
    parameters: 7_000_000_000
    gpu:
      usd_per_hour: 3.6
      flops_per_second: 1.4e+15
      prompt_utilisation: 0.5
      completion_utilisation: 0.1
  large: {price: {usd_per_million_prompt_tokens: 3, usd_per_million_completion_tokens: 15}, fixed_usd: 10}
  listed: {litellm_model: openai/gpt-4o}
verifier: {price: {usd_per_million_tokens: 1}, parameters: 7}
ways:
  once: {model: small}
  search: {model: small, samples: 4, judged: true}
  big: {model: large}
bins:
  easy: {share: 0.75, right: {once: 0.8, search: 0.9, big: 0.95}}
  hard: {share: 0.25, completion_tokens: 400, right: {once: 0.1, search: 0.3, big: 0.6}}
probe: {model: small, samples: 2}
mixes:
  mine: {easy: search, hard: big}
"""


def _situation(folder: Path, text: str) -> Situation:
    file = folder / "traffic.yaml"
    file.write_text(text, "utf-8")
    return load_traffic(file)[1]


def test_what_is_said_is_what_is_planned(tmp_path: Path) -> None:
    there = _situation(tmp_path, YAML)
    assert there.queries_per_day == 1000
    assert there.models["large"].price == per_million(Decimal(3), Decimal(15))
    assert there.models["large"].fixed_usd == 10
    assert there.bins["easy"].share == Decimal("0.75")
    assert there.bins["easy"].work["search"] == Work("small", 4, Decimal(100), Decimal(800), Decimal(1200))
    assert there.bins["hard"].work["search"] == Work("small", 4, Decimal(100), Decimal(1600), Decimal(2000))
    assert there.bins["hard"].probe == Work("small", 2, Decimal(100), Decimal(800))
    assert there.bins["hard"].right["big"] == Decimal("0.6")


def test_a_gpu_s_price_is_its_hour_over_the_tokens_that_it_has_operations_for(tmp_path: Path) -> None:
    # 1.4e15 operations a second are 100,000 tokens of 14e9; half of them, or a tenth; 0.001 USD a second.
    price = _situation(tmp_path, YAML).models["small"].price
    assert price.usd_per_prompt_token == Decimal("0.001") / 50_000
    assert price.usd_per_completion_token == Decimal("0.001") / 10_000


def test_a_model_of_litellm_has_its_listed_price(tmp_path: Path) -> None:
    assert _situation(tmp_path, YAML).models["listed"].price.usd_per_prompt_token is not None


MISTAKES = [
    ("queries_per_day: 1_000", "queries_per_day: 1e400", 1, "queries_per_day: must be"),
    ("queries_per_day: 1_000", "queries_per_day: 0", 1, "queries_per_day: must be greater than 0"),
    ("share: 0.75", "share: 0.7", 20, "bins: the shares add up to 0.95, not 1"),
    ("once: 0.8, ", "", 21, "bins.easy.right: must say how often each way is right; 'once' is missing"),
    ("once: 0.8", "onec: 0.8", 21, "bins.easy.right.onec: is not a known key; known here are once, search"),
    ("once: 0.8", "once: 1.8", 21, "bins.easy.right.once: must be less than or equal to 1"),
    ("once: {model: small}", "once: {model: tiny}", 17, "ways.once.model: there is no model 'tiny'"),
    ("hard: big}", "hard: huge}", 25, "mixes.mine.hard: there is no way 'huge'; there are once, search, big"),
    (", hard: big}", "}", 25, "mixes.mine: must say a way for each bin; 'hard' is missing"),
    ("verifier: {price: {usd_per_million_tokens: 1}, parameters: 7}\n", "", 17, "needs a verifier"),
    ("    parameters: 7_000_000_000\n", "", 6, "models.small: a price by gpu needs parameters"),
    ("{litellm_model: openai/gpt-4o}", "{fixed_usd: 1}", 14, "must give one of price, gpu and litellm_model"),
    ("openai/gpt-4o", "openai/nothing", 14, "litellm knows no price of tokens of 'openai/nothing'"),
    ("prompt_tokens: 100\n", "", 1, "needs outcomes, or by hand prompt_tokens"),
    ("prompt_tokens: 100", "outcomes: x.jsonl", 1, "leave out one or the other"),
    ("usd_per_right_answer", "usd_per_answer", 2, "usd_per_answer: is not a known key; did you mean"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "problem"), MISTAKES, ids=lambda each: str(each)[:30])
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: int, problem: str
) -> None:
    assert right in YAML
    with pytest.raises(ConfigInvalid) as caught:
        _situation(tmp_path, YAML.replace(right, wrong, 1))
    assert f"traffic.yaml:{line}: " in str(caught.value)
    assert problem in str(caught.value)


def test_a_speed_that_no_machine_has_is_refused(tmp_path: Path) -> None:
    speed = (
        "speed: {prompt_tokens_per_second: 9, alone_tokens_per_second: 50, "
        "batch_tokens_per_second: 40, batch: 8}"
    )
    with pytest.raises(ConfigInvalid, match=r"traffic.yaml:13: models.large.speed: a batch of more than 1"):
        _situation(tmp_path, YAML.replace("fixed_usd: 10}", speed + "}"))


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_traffic(tmp_path / "nothing.yaml")


MEASURED = """\
queries_per_day: 1_000
usd_per_right_answer: 0.05
models:
  tiny: {price: {usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  huge: {price: {usd_per_million_prompt_tokens: 3, usd_per_million_completion_tokens: 15}}
verifier: {price: {usd_per_million_tokens: 1}}
outcomes: outcomes.jsonl
"""


def _rows(question: int, score: float, small_right: float) -> list[dict[str, Any]]:
    spent = {"prompt_tokens": 10, "verifier_tokens": 0, "seconds": 0.5, "id": str(question), "model": "tiny"}
    probe = {
        **spent,
        "completion_tokens": 40,
        "verifier_tokens": 60,
        "samples": [{"score": score, "answer": "4"}, {"score": score, "answer": None}],
    }
    small = {"action": "small", "samples": 1, "right": small_right, "completion_tokens": 20 + question}
    search = {"action": "majority@4", "samples": 4, "right": 1.0, "completion_tokens": 80}
    large = {"action": "large", "samples": 1, "right": 1.0, "completion_tokens": 30, "model": "huge"}
    return [{**spent, **small, "probe": probe}, {**spent, **search, "text": "4"}, {**spent, **large}]


def _measured(folder: Path, rows: list[dict[str, Any]], text: str = MEASURED) -> Situation:
    (folder / "outcomes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return _situation(folder, text)


def test_outcomes_give_bins_by_their_probes_and_means_in_each(tmp_path: Path) -> None:
    rows = [*_rows(0, 0.9, 1.0), *_rows(1, 0.7, 0.5), *_rows(2, 0.9, 0.0), *_rows(3, 0.1, 0.25)]
    there = _measured(tmp_path, rows)
    assert list(there.bins) == ["easy", "very_hard"]
    easy = there.bins["easy"]
    assert (easy.share, easy.right["small"]) == (Decimal("0.75"), Decimal("0.5"))
    assert easy.work["small"] == Work("tiny", 1, Decimal(10), Decimal(21), Decimal(0), 0.5)
    assert easy.work["large"].model == "huge"
    assert easy.probe == Work("tiny", 2, Decimal(10), Decimal(40), Decimal(60), 0.5)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (_rows(0, 0.9, 1.0) + _rows(1, 0.9, 1.0)[:2], "question '1' has no outcome of large"),
        ([{**row, "probe": None} for row in _rows(0, 0.9, 1.0)], "question '0' has no probe"),
        ([{"id": "0"}], "outcomes.jsonl:1: prompt_tokens: is no row of outcomes"),
        ([], "has no outcomes"),
    ],
    ids=["a way is missing", "no probe", "no row", "nothing"],
)
def test_outcomes_that_cannot_be_planned_with_are_refused(
    tmp_path: Path, rows: list[dict[str, Any]], problem: str
) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _measured(tmp_path, rows)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("  huge:", "  other:", "traffic.yaml:3: models: the outcomes are of 'huge' too"),
        ("verifier: {price: {usd_per_million_tokens: 1}}\n", "", "say what the verifier costs"),
    ],
)
def test_outcomes_of_what_has_no_price_are_refused(
    tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _measured(tmp_path, _rows(0, 0.9, 1.0), MEASURED.replace(right, wrong))
    assert problem in str(caught.value)


DOCUMENT = (Path(__file__).parents[2] / "docs" / "planning.md").read_text("utf-8")


@pytest.mark.parametrize(
    "section",
    [Traffic, PricedModel, GpuPrice, SpeedSection, VerifierSection, WaySection, BinSection],
    ids=lambda section: section.__name__,
)
def test_every_field_is_described(section: type[Section]) -> None:
    assert not [name for name in section.model_fields if f"`{name}`" not in DOCUMENT]


def test_an_empty_file_is_asked_for_what_a_plan_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="give at least queries_per_day, usd_per_right_answer and models"):
        _situation(tmp_path, "# nothing\n")


def test_no_ways_at_all_are_told_as_that(tmp_path: Path) -> None:
    text = YAML[: YAML.index("ways:")] + "ways: {}\n" + YAML[YAML.index("bins:") :]
    with pytest.raises(ConfigInvalid, match=r"ways: is empty; give at least one$"):
        _situation(tmp_path, text)


def test_a_gpu_whose_price_is_absurd_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r":6: models\.small: .* no price that can be reckoned with"):
        _situation(tmp_path, YAML.replace("usd_per_hour: 3.6", "usd_per_hour: 1.0e+40"))
