"""Fields of outcomes whose names are misspelled are told, with file, line and what is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router.errors import OutcomesInvalid
from router.outcome_files import read_outcomes

LONG: dict[str, Any] = {"id": "1", "question": "2 + 2?", "action": "small", "right": 1}
WIDE: dict[str, Any] = {"id": "1", "question": "2 + 2?", "actions": {"small": {"right": 1}}}


@pytest.mark.parametrize(
    ("row", "name", "meant"),
    [
        ({"id": "2", "question": "?", "action": "small", "rigth": 1}, "rigth", "right"),
        ({**LONG, "id": "2", "cost": 0.1}, "cost", "cost_usd"),
        ({**LONG, "id": "2", "Seconds": 0.1}, "Seconds", "seconds"),
        ({**WIDE, "id": "2", "actions": {"small": {"rihgt": 1}}}, "rihgt", "right"),
        ({**WIDE, "id": "2", "promt_tokens": 4}, "promt_tokens", "prompt_tokens"),
        ({**WIDE, "id": "2", "actions": {"small": {"right": True, "cost": 1}}}, "cost", "cost_usd"),
    ],
    ids=str,
)
def test_a_misspelled_key_of_json_is_told_with_its_line(
    tmp_path: Path, row: dict[str, Any], name: str, meant: str
) -> None:
    file = tmp_path / "o.jsonl"
    file.write_text(json.dumps(LONG) + "\n" + json.dumps(row) + "\n", "utf-8")
    with pytest.raises(OutcomesInvalid) as caught:
        read_outcomes([file])
    assert str(caught.value).startswith(f"{file}:2: ")
    assert f"there is no field {name!r}; rename it if {meant!r} is meant" in str(caught.value)


def test_a_misspelled_column_of_csv_is_told(tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,question,action,rigth\n1,a,small,1\n", "utf-8")
    with pytest.raises(OutcomesInvalid, match=r"o\.csv:1: there is no field 'rigth'.*'right' is meant"):
        read_outcomes([file])


def test_a_row_of_csv_with_too_few_fields_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,question,action,right\n1,a,small,1\n2,b,small\n", "utf-8")
    with pytest.raises(OutcomesInvalid, match=r"o\.csv:3: no field for right: leave it empty"):
        read_outcomes([file])


def test_fields_of_other_people_and_those_that_are_written_but_not_read_are_let_be(tmp_path: Path) -> None:
    others = ("answer", "runs", "score", "agreement", "confidence", "candidates", "text", "verifier_tokens")
    more = ("flops", "usage", "task", "questions", "cost", "at", "policy", "my notes")
    rows = [
        {**LONG, "cost_usd": "0.1", **dict.fromkeys(others + more, 1)},
        {**WIDE, "id": "2", "p_right": 0.5, "text": "x"},
    ]
    file = tmp_path / "o.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert len(read_outcomes([file])) == 2
