"""Questions from files of people: what is wrong is named with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.training.errors import TrainingError
from workers.training.questions import Question, questions_hash, read_questions

ROWS: list[dict[str, object]] = [
    {"question": "1 + 1", "answer": "2"},
    {"id": 7, "question": "Is\u2028it?", "answer": "B"},
]
READ = [Question("0", "1 + 1", "2"), Question("7", "Is\u2028it?", "B")]


def test_json_lines_are_read_with_ids_or_places(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n", "utf-8")
    assert read_questions(file) == READ


def test_parquet_is_read_as_json_lines_are(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([{"id": None, **row} for row in ROWS]), tmp_path / "q.parquet")
    assert read_questions(tmp_path / "q.parquet") == READ


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "a", "answer": "b"}\n{oops', "FILE:2: not JSON: "),
        ('{"question": "a", "answer": 3}', "FILE:1: must be "),
        ("[]", "FILE:1: must be "),
        ('{"question": "a", "answer": "b", "id": 1.5}', "FILE:1: the id must be"),
        ('{"id": "1", "question": "a", "answer": "b"}\n' * 2, "FILE:2: the id '1' is there twice"),
        ("\n", "FILE: there is no question in it"),
        ("\xff", "FILE: cannot be read: "),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(text, "latin-1")
    with pytest.raises(TrainingError) as caught:
        read_questions(file)
    assert str(caught.value).replace(str(file), "FILE").startswith(message)


@pytest.mark.parametrize("name", ["none.jsonl", "none.parquet"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainingError, match=f"{name}: cannot be read"):
        read_questions(tmp_path / name)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.parquet").write_text("{}")
    with pytest.raises(TrainingError, match=r"q\.parquet: cannot be read"):
        read_questions(tmp_path / "q.parquet")


def test_order_and_answers_make_other_questions() -> None:
    assert questions_hash(READ) == questions_hash(list(READ))
    assert questions_hash(READ) != questions_hash(READ[::-1])
