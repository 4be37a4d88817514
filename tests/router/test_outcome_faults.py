"""Files of outcomes that are wrong: where, what, and what would be right, in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from router.errors import OutcomesInvalid
from router.outcome_files import read_outcomes

ROW: dict[str, Any] = {"id": "1", "question": "2 + 2?", "action": "small", "right": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt_tokens": "abc"}, "prompt_tokens: a number of 0 or more is wanted, not 'abc'"),
        ({"prompt_tokens": -5}, "prompt_tokens: a number of 0 or more is wanted, not -5"),
        (
            {"probe": {"samples": [{"answer": "4", "score": 1}], "cost_usd": "cheap"}},
            "probe: cost_usd: a number",
        ),
        ({"right": "NaN"}, "right must be a number, or null if unknown, not 'NaN'"),
        ({"cost_usd": float("nan")}, "cost_usd must be a number, or null if unknown, not nan"),
        ({"action": None}, "action: a name is wanted"),
        ({"action": ""}, "action: a name is wanted"),
        ({"model": {"a": 1}}, "model, strategy and samples are names and a number"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file = tmp_path / "o.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "id": "2", **change}) + "\n", "utf-8")
    with pytest.raises(OutcomesInvalid) as caught:
        read_outcomes([file])
    assert str(caught.value).startswith(f"{file}:2: ")
    assert said in str(caught.value)


def test_a_row_of_csv_without_an_action_is_no_model_called_none(tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,question,action,right\n1,a,small,1\n2,b,,1\n", "utf-8")
    with pytest.raises(OutcomesInvalid, match=r"o\.csv:3: action: a name is wanted"):
        read_outcomes([file])


def test_a_compressed_file_with_flipped_bytes_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl.gz"
    packed = bytearray(gzip.compress((json.dumps(ROW) + "\n").encode() * 200))
    packed[20:40] = bytes(255 - each for each in packed[20:40])
    file.write_bytes(packed)
    with pytest.raises(OutcomesInvalid, match="cannot be read"):
        read_outcomes([file])


def test_a_label_that_is_no_object_is_told_with_its_line(tmp_path: Path) -> None:
    file, labels = tmp_path / "o.jsonl", tmp_path / "labels.jsonl"
    file.write_text(json.dumps(ROW) + "\n", "utf-8")
    labels.write_text("[1]\n", "utf-8")
    with pytest.raises(OutcomesInvalid, match=r"labels\.jsonl:1: not an object"):
        read_outcomes([file], labels)
