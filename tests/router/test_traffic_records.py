"""The difficulty mix of live traffic, from records that have one answer each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ConfigInvalid
from router.traffic import load_traffic
from router.traffic_records import RecordedMix, read_mix
from router.types import Bin

PLAN = """\
queries_per_day: 1_000
usd_per_right_answer: 0.05
prompt_tokens: 100
completion_tokens: 200
records: records.jsonl
models:
  small: {price: {usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
ways:
  once: {model: small}
bins:
  easy: {right: {once: 0.9}}
  medium: {right: {once: 0.6}}
  very_hard: {right: {once: 0.1}}
"""


def record(p_right: float | None, *scores: float | None) -> dict[str, Any]:
    """As the gateway writes them; what is not read is left out."""
    probe = {"samples": [{"answer": "4", "score": score} for score in scores], "cost_usd": "0.1"}
    actions = {"small": {"right": None, "cost_usd": "0.1"}}
    return {"id": "1", "actions": actions, "p_right": p_right, **({"probe": probe} if scores else {})}


def mix_of(folder: Path, records: Sequence[dict[str, Any]]) -> RecordedMix:
    (folder / "records.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    return read_mix([folder / "records.jsonl"])


def test_unprobed_queries_are_spread_as_probed_ones_that_looked_as_hard(tmp_path: Path) -> None:
    looked_medium = [record(0.5, 0.9, 0.8), record(0.4, 0.1, 0.05)] + [record(0.5)] * 6
    looked_easy = [record(0.9)] * 8
    mix = mix_of(tmp_path, [*looked_medium, *looked_easy, record(None)])
    assert mix.shares == {Bin.EASY: Decimal("0.75"), Bin.VERY_HARD: Decimal("0.25")}
    assert mix.source == (
        "records.jsonl: 2 queries by their probes, 6 as probed ones of like predicted P(right), "
        "8 by predicted P(right) alone, 1 left out for want of both; 38% of the mix was spread so: an "
        "estimate, for those that are probed are no random part, but near the boundary of a decision"
    )


def test_records_that_were_rotated_and_compressed_are_read_together(tmp_path: Path) -> None:
    mix_of(tmp_path, [record(0.9)])
    old = "\n\n" + json.dumps(record(0.05)) + "\n\n"
    (tmp_path / "old.jsonl.gz").write_bytes(gzip.compress(old.encode()))
    (tmp_path / "traffic.yaml").write_text(
        PLAN.replace("records: records.jsonl", "records: [records.jsonl, old.jsonl.gz]"), "utf-8"
    )
    _, situation, source = load_traffic(tmp_path / "traffic.yaml")
    assert {name: each.share for name, each in situation.bins.items()} == {
        "easy": Decimal("0.5"),
        "very_hard": Decimal("0.5"),
    }
    assert source.startswith("records.jsonl, old.jsonl.gz: ")


def test_without_a_predictor_probes_say_it_and_stand_for_nobody_else(tmp_path: Path) -> None:
    mix = mix_of(tmp_path, [record(None, 0.9), record(None, 0.5), record(None), record(None, None)])
    assert mix.shares == {Bin.EASY: Decimal("0.5"), Bin.MEDIUM: Decimal("0.5")}
    assert "2 left out" in mix.source


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 1), st.lists(st.floats(0, 1), max_size=2)), min_size=1, max_size=20
    ).filter(lambda rows: any(p is not None or scores for p, scores in rows))
)
def test_shares_add_up_to_one(rows: list[tuple[float | None, list[float]]]) -> None:
    with TemporaryDirectory() as folder:
        mix = mix_of(Path(folder), [record(p, *scores) for p, scores in rows])
    assert abs(sum(mix.shares.values(), Decimal(-1))) < Decimal("1e-20")
    assert all(mix.shares.values())


def test_records_weigh_the_bins_of_measured_outcomes(tmp_path: Path) -> None:
    spent = {"prompt_tokens": 10, "completion_tokens": 20, "verifier_tokens": 0, "seconds": 0.5}
    row = {**spent, "action": "small", "model": "small", "samples": 1}
    rows = [
        {**row, "id": str(score), "right": score, "probe": {**spent, "samples": [{"score": score}]}}
        for score in (0.9, 0.05)
    ]
    (tmp_path / "outcomes.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    mix_of(tmp_path, [record(0.9), record(0.05), record(0.05), record(0.05)])
    head = PLAN[: PLAN.index("ways:")].replace("prompt_tokens: 100\ncompletion_tokens: 200\n", "")
    (tmp_path / "traffic.yaml").write_text(head + "outcomes: outcomes.jsonl\n", "utf-8")
    bins = load_traffic(tmp_path / "traffic.yaml")[1].bins
    assert {name: (each.share, each.right["small"]) for name, each in bins.items()} == {
        "easy": (Decimal("0.25"), Decimal("0.9")),
        "very_hard": (Decimal("0.75"), Decimal("0.05")),
    }


def test_the_mix_takes_the_place_of_shares_and_is_named(tmp_path: Path) -> None:
    mix_of(tmp_path, [record(0.9), record(0.05), record(0.05), record(0.05)])
    (tmp_path / "traffic.yaml").write_text(PLAN, "utf-8")
    _, situation, source = load_traffic(tmp_path / "traffic.yaml")
    assert {name: each.share for name, each in situation.bins.items()} == {
        "easy": Decimal("0.25"),
        "very_hard": Decimal("0.75"),
    }
    assert source.startswith("records.jsonl: 0 queries by their probes")


@pytest.mark.parametrize(
    ("records", "old", "new", "problem"),
    [
        (
            [record(0.3)],
            "",
            "",
            "yaml:5: records: have queries that are hard, and there is no such bin",
        ),
        (
            [record(0.9)],
            "{right: {once: 0.9}}",
            "{share: 1, right: {once: 0.9}}",
            "is what records say",
        ),
        ([record(0.9)], "records: records.jsonl\n", "", "bins.easy: has no share; give it, or records"),
        ([record(None)], "", "", "records.jsonl: says nothing of difficulty"),
        ([{"p_right": 2}], "", "", "records.jsonl:1: p_right: is no record of the gateway"),
        ([record(0.9)], "records.jsonl", "none.jsonl", "none.jsonl: cannot be read"),
    ],
)
def test_what_records_cannot_say_is_refused_with_its_place(
    tmp_path: Path, records: list[dict[str, Any]], old: str, new: str, problem: str
) -> None:
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    (tmp_path / "traffic.yaml").write_text(PLAN.replace(old, new, 1) if old else PLAN, "utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load_traffic(tmp_path / "traffic.yaml")
    assert problem in str(caught.value)
