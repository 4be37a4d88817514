"""Outcome records: shared by processes, rotated, redacted, and forgotten in time."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from cost_model.usage import Usage
from gateway.records import Records, redacted
from gateway.replies import Done
from router.config import load_config
from router.config.telemetry import Recording
from router.outcome_files import read_outcomes
from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import Delivery, Script, ScriptedWorker, easy, hard
from tests.gateway.upstream import UpstreamDouble

PROMPT = "What is the capital of the moon?"
ROW = {
    "id": "1",
    "messages": [{"role": "user", "content": PROMPT}],
    "probe": {
        "samples": [
            {"answer": "cheese", "score": 0.5},
            {"answer": "none", "score": 0.4},
            {"answer": "cheese", "score": 0.3},
            {"answer": None, "score": 0.2},
        ]
    },
}


def rows_of(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def any_row(monkeypatch: pytest.MonkeyPatch) -> Done:
    """Something that is recorded, without a gateway around it."""
    monkeypatch.setattr("gateway.records.record", lambda done: {"messages": [{"content": "x" * 200}]})
    return object()  # type: ignore[return-value]


def test_without_prompts_only_which_answers_are_equal_is_left() -> None:
    hashed, none = redacted(ROW, "hashed"), redacted(ROW, "none")

    for row in (hashed, none):
        assert PROMPT not in json.dumps(row)
        assert "cheese" not in json.dumps(row)
        assert [each["answer"] for each in row["probe"]["samples"]] == ["1", "2", "1", None]
    assert hashed["group"] == redacted(ROW, "hashed")["group"]
    assert "group" not in none
    assert redacted(ROW, "full") == ROW


def test_a_path_alone_is_a_configuration_of_records(tmp_path: Path) -> None:
    plain = load_config("abacus", {"GRADUS__RECORDS": "r.jsonl"}).records
    asked = {"GRADUS__RECORDS__PATH": "r.jsonl", "GRADUS__RECORDS__PROMPTS": "hashed"}

    assert plain == Recording(path="r.jsonl")
    assert load_config("abacus", asked).records == Recording(path="r.jsonl", prompts="hashed")


def test_a_redacted_record_is_written_by_the_gateway(
    configure: Configure, start: Start, worker: ScriptedWorker, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl"
    records = {"GRADUS__RECORDS__PATH": str(file), "GRADUS__RECORDS__PROMPTS": "none"}
    client = openai.OpenAI(base_url=f"{start(configure(**records))}/v1", api_key="any", max_retries=0)
    reply = client.chat.completions.create(model="gradus", messages=[{"role": "user", "content": PROMPT}])

    (row,) = rows_of(file)
    assert row["id"] == reply.id
    assert row["at"].startswith("20")
    assert PROMPT not in file.read_text()


@pytest.mark.parametrize("script", [easy, hard])
def test_what_reused_candidates_has_no_cost_to_fit_on(
    configure: Configure,
    start: Start,
    worker: ScriptedWorker,
    upstream: UpstreamDouble,
    tmp_path: Path,
    script: Script,
) -> None:
    def reusing(delivery: Delivery) -> None:
        """Half of the probe is of an earlier request."""
        end = delivery.end
        delivery.end = lambda outcome: end(  # type: ignore[method-assign]
            replace(outcome, usage=(Usage("cache", "small", calls=2), *outcome.usage))
        )
        script(delivery)

    file = tmp_path / "records.jsonl"
    client = openai.OpenAI(
        base_url=f"{start(configure(GRADUS__RECORDS__PATH=str(file)))}/v1", api_key="any", max_retries=0
    )
    for each in (script, reusing):
        worker.script = each
        client.chat.completions.create(model="gradus/remote", messages=[{"role": "user", "content": PROMPT}])

    plain, reused = rows_of(file)
    table = read_outcomes([file])
    assert "cached" not in plain
    assert reused["cached"] == 2
    assert np.isfinite(table.probe_usd).tolist() == [True, False]
    assert np.isfinite(table.seconds).any(axis=1).tolist() == [True, False]
    # A large model's answer costs what it costs, whatever was probed before.
    assert np.isfinite(table.cost_usd).any(axis=1).tolist() == [True, script is hard]
    assert np.isfinite(table.completion_tokens).any(axis=1).tolist() == [True, script is hard]


def test_a_full_file_is_set_aside_and_no_record_is_lost(tmp_path: Path, any_row: Done) -> None:
    file = tmp_path / "records.jsonl"
    records = Records(Recording(path=str(file), max_bytes=1000))
    records.open()
    for number in range(20):
        records.write(str(number), any_row)
    records.close()

    files = sorted(tmp_path.glob("records*.jsonl"))
    assert len(files) > 4
    assert max(each.stat().st_size for each in files) <= 1000
    assert {row["id"] for row in rows_of(*files)} == {str(number) for number in range(20)}


def test_old_records_are_deleted(tmp_path: Path, any_row: Done) -> None:
    file, old = tmp_path / "records.jsonl", tmp_path / "records-20200101T000000.000000Z-1.jsonl"
    young, others = tmp_path / "records-20261101T000000.000000Z-1.jsonl", tmp_path / "records-mine.jsonl"
    for path in (old, young, others):
        path.write_text("{}\n")
    for path in (old, others):
        os.utime(path, (time.time() - 8 * 86_400,) * 2)
    file.write_text('{"id": "1", "at": "2020-01-01T00:00:00Z"}\n')
    records = Records(Recording(path=str(file), retention_days=7))
    records.open()
    records.write("2", any_row)
    records.close()

    assert not old.exists()
    assert young.exists()
    assert others.exists()
    assert [row["id"] for row in rows_of(file)] == ["2"]  # the day before is in a file of its own, for 7 days
    assert len(list(tmp_path.glob("records-2*.jsonl"))) == 2


def _write_many(path: str, name: str) -> None:
    records = Records(Recording(path=path, max_bytes=20_000))
    records.open()
    import gateway.records

    gateway.records.record = lambda done: {"messages": [{"content": "x" * 200}]}
    for number in range(300):
        records.write(f"{name}-{number}", object())  # type: ignore[arg-type]
    records.close()


def test_several_processes_write_whole_lines_to_one_file_and_rotate_it(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write_many, args=(str(file), f"p{each}")) for each in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    ids = [row["id"] for row in rows_of(*tmp_path.glob("records*.jsonl"))]
    assert sorted(ids) == sorted(f"p{each}-{number}" for each in range(3) for number in range(300))


def test_a_record_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, any_row: Done, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(Recording(path=str(tmp_path / "records.jsonl")))
    records.open()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.records.os.write", full)
    records.write("1", any_row)
    records.close()

    assert "a record was lost" in caplog.text


def test_a_record_that_the_disk_takes_only_a_part_of_does_not_spoil_the_next(
    tmp_path: Path, any_row: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write = tmp_path / "records.jsonl", os.write
    records = Records(Recording(path=str(file)))
    records.open()

    records.write("1", any_row)
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda to, line: write(to, line[:20]))
        records.write("2", any_row)
    records.write("3", any_row)
    records.close()

    assert [row["id"] for row in rows_of(file)] == ["1", "3"]
