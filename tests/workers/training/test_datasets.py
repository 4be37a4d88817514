"""Data sets and logs: what is written is read again, and what a kill cut off is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.training.datasets import (
    Attempt,
    RevisionExample,
    data_hash,
    read_attempts,
    read_log,
    read_revisions,
    write_attempts,
    write_card,
    write_revisions,
)
from workers.training.errors import TrainingError

ATTEMPTS = [
    Attempt("1", "q", "3", (), "a\nThe answer is 3.", 2, (0.25, 1.0), True),
    Attempt("1", "q", "3", ("wrong", "é"), "b\nThe answer is 4.", 1, (None, 0.0), False),
]
EXAMPLES = [RevisionExample("1", "q", ("x", "y"), "z"), RevisionExample("2", "r", (), "s")]


def test_data_sets_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_attempts(tmp_path / "a", ATTEMPTS)
    write_revisions(tmp_path / "r", EXAMPLES)
    assert read_attempts(tmp_path / "a") == ATTEMPTS
    assert read_revisions(tmp_path / "r") == EXAMPLES


def test_a_folder_without_the_data_set_names_the_command_that_writes_it(tmp_path: Path) -> None:
    write_revisions(tmp_path, EXAMPLES)
    with pytest.raises(TrainingError, match=r"no attempts\.parquet in it; `gradus train rollouts` writes it"):
        read_attempts(tmp_path)


def test_a_file_of_other_columns_is_named(tmp_path: Path) -> None:
    write_revisions(tmp_path, EXAMPLES)
    (tmp_path / "revisions.parquet").rename(tmp_path / "attempts.parquet")
    with pytest.raises(TrainingError, match=r"attempts\.parquet: "):
        read_attempts(tmp_path)


def test_the_card_holds_numbers_hash_and_recipe(tmp_path: Path) -> None:
    write_attempts(tmp_path, ATTEMPTS)
    write_card(tmp_path, "Attempts", "What they are.", {"attempts": 3}, "seed: 1\n")
    card = (tmp_path / "README.md").read_text()
    assert "| attempts | 3 |" in card
    assert data_hash(tmp_path) in card
    assert "seed: 1" in card


def test_a_line_that_a_kill_cut_off_is_taken_out_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes('{"a": "é"}\n{"a": "ü'.encode()[:-1])
    assert list(read_log(log)) == [{"a": "é"}]
    assert log.read_bytes() == '{"a": "é"}\n'.encode()


def test_a_broken_line_in_a_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"a": 1}\noops\n')
    with pytest.raises(TrainingError, match=r"log\.jsonl:2: not JSON"):
        list(read_log(tmp_path / "log.jsonl"))


def test_a_log_that_was_not_begun_is_empty(tmp_path: Path) -> None:
    assert list(read_log(tmp_path / "log.jsonl")) == []
