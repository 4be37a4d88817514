"""Whole files: through the reader, in bounded memory, in one process or several, and what is refused."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from router.errors import ArtifactInvalid, ConfigInvalid, OutcomesInvalid, UnknownPolicy
from router.replay.contenders import open_contenders
from router.replay.report import report
from router.replay.run import replay, replay_in_processes, replay_part, whole
from tests.router.replay import traffic
from tests.router.tables import table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    traffic.tabled(folder)
    return folder


def _file(folder: Path, questions: int, name: str = "traffic.jsonl") -> Path:
    file = folder / name
    file.write_text(traffic.lines(table(questions, seed=2), segment="a"), encoding="utf-8")
    return file


def test_every_question_is_told_of_and_chunks_change_nothing(folder: Path) -> None:
    contenders = open_contenders([f"{folder}/tabled.yaml", f"{folder}/tabled.yaml:thrifty"], {})
    file, told = _file(folder, 200), list[int]()
    whole = replay(contenders, [file])
    cut = replay(contenders, [file], chunk_questions=64, on_questions=told.append)
    assert told == [64, 128, 192, 200]
    assert cut.counts == whole.counts
    for what, sums in whole.sums.items():
        np.testing.assert_allclose(cut.sums[what], sums, rtol=1e-9)


@pytest.mark.parametrize("by_action", [False, True])
def test_parts_are_together_the_whole(folder: Path, by_action: bool) -> None:
    contenders = open_contenders([f"{folder}/tabled.yaml"], {})
    file = _file(folder, 800)
    if by_action:  # three rows a question: stretches end in the middle of some
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        cells = [
            {"id": row["id"], "question": row["question"], "segment": "a", "action": name, **cell}
            for row in rows
            for name, cell in row["actions"].items()
        ]
        file.write_text("".join(json.dumps(cell) + "\n" for cell in cells), "utf-8")
    everything = replay(contenders, [file])
    parts = [replay_part(contenders, [file], (part, 3)) for part in range(3)]
    assert all(each.tally.counts["a", 0, "questions"] > 200 for each in parts)
    merged = whole(parts, [file])
    assert merged.counts == everything.counts
    for what, sums in everything.sums.items():
        np.testing.assert_allclose(merged.sums[what], sums, rtol=1e-9)


def test_a_question_in_two_files_is_refused_with_its_line_in_the_second(folder: Path) -> None:
    contenders = open_contenders([f"{folder}/tabled.yaml"], {})
    file = _file(folder, 30)
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    second = folder / "second.jsonl"
    for ids in (["x", "y", rows[3]["id"]], [rows[-1]["id"], "x", "y"]):  # or right where the first one ends
        lines = [json.dumps({**row, "id": name}) for row, name in zip(rows, ids, strict=False)]
        second.write_text("\n".join(lines) + "\n", "utf-8")
        line = 1 + [name in {row["id"] for row in rows} for name in ids].index(True)
        refused = rf"second.jsonl:{line}: id '{ids[line - 1]}' was in .*traffic.jsonl already"
        with pytest.raises(OutcomesInvalid, match=refused):
            replay(contenders, [file, second])
        with pytest.raises(OutcomesInvalid, match=refused):
            whole([replay_part(contenders, [file, second], (part, 2)) for part in range(2)], [file, second])
    second.write_text(second.read_text("utf-8").replace(json.dumps(rows[-1]["id"]), '"z"'), "utf-8")
    assert replay(contenders, [file, second]).counts["a", 0, "questions"] == 33


@pytest.mark.process
def test_processes_say_what_one_process_says(folder: Path) -> None:
    references, file = [f"{folder}/tabled.yaml"], _file(folder, 200)
    told: list[int] = []
    contenders = open_contenders(references, {})
    several = replay_in_processes(contenders, [file], 2, told.append)
    assert several.counts == replay(contenders, [file]).counts
    assert told[-1] == 200


@pytest.mark.process
def test_a_predictor_with_embeddings_takes_its_encoder_to_every_process(tmp_path: Path) -> None:
    references, file = [str(traffic.embedded(tmp_path))], _file(tmp_path, 200)
    contenders = open_contenders(references, {}, traffic.load_embedder)
    one, several = (
        report(tally, references).policies[0].came
        for tally in (
            replay(contenders, [file]),
            replay_in_processes(contenders, [file], 2, lambda _: None),
        )
    )
    assert one.questions == several.questions == 200
    assert one.right.value == pytest.approx(several.right.value)
    with pytest.raises(ArtifactInvalid, match="fitted with embeddings of encoder"):
        replay(open_contenders(references, {}), [file])


def test_memory_does_not_grow_with_the_file(folder: Path) -> None:
    contenders = open_contenders([f"{folder}/tabled.yaml"], {})
    peaks = []
    for questions in (1000, 8000):
        file = _file(folder, questions)
        replay(contenders, [file], chunk_questions=250)  # what is loaded once is loaded
        tracemalloc.start()
        replay(contenders, [file], chunk_questions=250)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Of every question only that its id was there is remembered: a row itself is a kilobyte and more.
    assert peaks[1] - peaks[0] < 7000 * 200


def test_the_same_policy_twice_differs_by_nothing(folder: Path) -> None:
    reference = f"{folder}/tabled.yaml:sure"
    contenders = open_contenders([reference, reference], {})
    found = report(replay(contenders, [_file(folder, 100)]), [each.name for each in contenders])
    over = found.policies[1].over_first
    assert over is not None
    assert (over.right.low, over.right.value, over.right.high) == (0, 0, 0)


def test_names_are_short_where_that_tells_them_apart(folder: Path) -> None:
    references = [f"{folder}/tabled.yaml", f"{folder}/tabled.yaml:sure"]
    assert [each.name for each in open_contenders(references, {})] == ["tabled.yaml", "tabled.yaml:sure"]
    preset = open_contenders(["abacus:cheap"], {})[0]
    assert (preset.name, preset.policy_name) == ("abacus:cheap", "cheap")


def test_what_is_wrong_is_said_in_a_line(folder: Path) -> None:
    with pytest.raises(UnknownPolicy, match="has no policy 'none'; there are default"):
        open_contenders([f"{folder}/tabled.yaml:none"], {})
    with pytest.raises(ConfigInvalid, match="no such file"):
        open_contenders([f"{folder}/absent.yaml"], {})
    file = folder / "broken.jsonl"
    file.write_text('{"id": "1", "question": "?", "action": "small", "right": 2}\n', encoding="utf-8")
    with pytest.raises(OutcomesInvalid, match=r"broken.jsonl:1: right must be from 0"):
        replay(open_contenders([f"{folder}/tabled.yaml"], {}), [file])
