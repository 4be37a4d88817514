from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from router import outcome_files
from router.errors import OutcomesInvalid
from router.outcome_files import (
    Together,
    check_together,
    iter_outcomes,
    read_outcomes,
    with_labels,
)
from router.outcome_rows import group_of

SAMPLE = {
    "answer": "4",
    "right": True,
    "score": 0.9,
    "step_scores": [0.8, 0.9],
    "completion_tokens": 5,
    "finish_reason": "stop",
}


def long(question: str, action: str, **fields: Any) -> dict[str, Any]:
    return {"id": question, "question": f"What is {question}?", "action": action, "right": 1, **fields}


def written(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


_AMOUNT = st.sampled_from(
    [None, 0, 1, 0.25, "0.5", "1.1E-7", "7e-324", "1e999", "nan", "-1", -1, True, " 1", "x"]
)
_CELLS = st.fixed_dictionaries({}, optional=dict.fromkeys(["right", "cost_usd", "prompt_tokens"], _AMOUNT))
_ROWS = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", 2, None]), "question": st.sampled_from(["What?", 3])},
    optional={
        "action": st.sampled_from(["small", "majority@4", 5]),
        "actions": st.none() | st.dictionaries(st.sampled_from(["small", "grand"]), st.none() | _CELLS),
        "right": _AMOUNT,
        "prompt_tokens": _AMOUNT,
        "probe": st.sampled_from([None, 1, {"samples": [SAMPLE], "cost_usd": "0.5", "more": [{}]}]),
        "more": st.just({"x": [1]}),
    },
)


@settings(deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=3))
def test_rows_come_to_the_same_or_fail_alike_whichever_reader_of_json_takes_them(
    rows: list[dict[str, Any]],
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        file = written(Path(folder) / "o.jsonl", rows)

        def read() -> str:
            try:
                return repr(read_outcomes([file]))
            except OutcomesInvalid as error:
                return str(error)

        by_fields = read()
        patch.setattr(outcome_files, "_READ", from_json)
        assert by_fields == read()


def test_rows_by_question_and_action_become_a_table(tmp_path: Path) -> None:
    file = written(
        tmp_path / "o.jsonl",
        [
            long(
                "1",
                "small",
                model="mini",
                cost_usd="0.25",
                prompt_tokens=7,
                probe={"samples": [SAMPLE], "cost_usd": "0.5"},
            ),
            long("1", "beam@16", model="mini", strategy="beam", samples=16, right=0, prompt_tokens=99),
            long("2", "small", model="mini", right=None),
            long("1", "large", model="grand", right=0.5),
        ],
    )
    table = read_outcomes([file])
    assert [(each.name, each.route, each.model, each.samples) for each in table.actions] == [
        ("small", "small", "mini", 1),
        ("beam@16", "small", "mini", 16),
        ("grand", "large", "grand", 1),
    ]
    np.testing.assert_array_equal(table.right, [[1, 0, 0.5], [np.nan, np.nan, np.nan]])
    assert table.cost_usd[0, 0] == 0.25
    assert np.isnan(table.cost_usd[1]).all()
    assert table.prompt_tokens[0] == 7
    assert table.probe_usd[0] == 0.5
    evidence = table.evidence[0]
    assert evidence is not None
    assert (evidence.scores, evidence.answers, evidence.step_scores) == ((0.9,), ("4",), ((0.8, 0.9),))
    assert table.evidence[1] is None


def test_a_row_a_question_says_the_same_as_a_row_an_action(tmp_path: Path) -> None:
    probe = {"samples": [SAMPLE], "cost_usd": "0.5"}
    rows = [
        long("1", "small", model="mini", cost_usd="0.25", probe=probe),
        long("1", "grand", right=None, seconds=2),
    ]
    wide = {
        "id": "1",
        "messages": [{"role": "user", "content": "What is 1?"}],
        "actions": {"small": {"right": True, "cost_usd": 0.25, "model": "mini"}, "grand": {"seconds": 2}},
        "probe": probe,
    }
    by_action = read_outcomes([written(tmp_path / "long.jsonl", rows)])
    by_question = read_outcomes([written(tmp_path / "wide.jsonl", [wide])])
    assert by_question.actions == by_action.actions
    assert by_question.prompts == by_action.prompts
    assert by_question.groups == by_action.groups
    assert by_question.evidence == by_action.evidence
    for name in ("right", "cost_usd", "seconds", "probe_usd"):
        np.testing.assert_array_equal(getattr(by_question, name), getattr(by_action, name))


def test_csv_compressed_reads_words_for_right_and_leaves_empty_fields_unknown(tmp_path: Path) -> None:
    text = "id,question,action,right,cost_usd\n1,one,a,true,\n1,one,b,0.5,0.001\n2,two,a,no,0\n"
    file = tmp_path / "o.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    table = read_outcomes([file])
    np.testing.assert_array_equal(table.right, [[1, 0.5], [0, np.nan]])
    np.testing.assert_array_equal(table.cost_usd, [[np.nan, 0.001], [0, np.nan]])


def test_actions_of_one_question_may_come_from_several_files(tmp_path: Path) -> None:
    one = written(tmp_path / "small.jsonl", [long("1", "small"), long("2", "small")])
    two = written(tmp_path / "large.jsonl", [long("2", "gpt", right=0)])
    np.testing.assert_array_equal(read_outcomes([one, two]).right, [[1, np.nan], [1, 0]])


def test_equal_prompts_share_a_group_unless_one_is_given(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "question": "Add  1 and 2", "action": "a", "right": 1},
        {"id": "2", "question": "add 1 and 2 ", "action": "a", "right": 1},
        {
            "id": "3",
            "question": "add 1 and 3",
            "action": "a",
            "right": 1,
            "group": "story",
            "segment": "sums",
        },
    ]
    table = read_outcomes([written(tmp_path / "o.jsonl", rows)])
    assert table.groups[0] == table.groups[1] == group_of("add 1 and 2")
    assert table.groups[2] == "story"
    assert table.segments == ("", "", "sums")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.integers(1, 5))
def test_chunks_hold_every_question_once_and_keep_their_columns(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], chunk: int
) -> None:
    rows = [
        long(str(number), f"model-{action}") for number, count in enumerate(counts) for action in range(count)
    ]
    file = written(tmp_path_factory.mktemp("o") / "o.jsonl", rows)
    whole = read_outcomes([file])
    chunks = list(iter_outcomes(file, chunk, whole.actions))
    assert all(each.actions == whole.actions and len(each) <= chunk for each in chunks)
    assert sum((each.ids for each in chunks), ()) == whole.ids
    np.testing.assert_array_equal(np.concatenate([each.right for each in chunks]), whole.right)


def test_a_question_that_comes_back_after_its_chunk_is_an_error(tmp_path: Path) -> None:
    file = written(tmp_path / "o.jsonl", [long("1", "a"), long("2", "a"), long("1", "b")])
    together = Together()
    for table in iter_outcomes(file, 1):
        together.add(table.ids)
    with pytest.raises(OutcomesInvalid, match=r"o.jsonl:3: id '1' was further up"):
        check_together([file], [together])


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([long("1", "a"), long("1", "b", right=2)], ":2: right must be from 0 .wrong. to 1 .right., not 2"),
        ([long("1", "a", cost_usd=-1)], ":1: cost_usd must be a number from 0, not -1"),
        (
            [long("1", "a", cost_usd="cheap")],
            ":1: cost_usd must be a number, or null if unknown, not 'cheap'",
        ),
        ([long("1", "a"), long("1", "a")], ":2: question '1' has the action 'a' already"),
        ([long("1", "a"), {**long("1", "b"), "question": "other"}], ":2: id '1' is another question"),
        ([{"id": "1", "action": "a", "right": 1}], ':1: neither "question"'),
        ([{"question": "one", "action": "a"}], ':1: no "id"'),
        ([{"id": "1", "question": "one"}], ':1: neither "action"'),
        ([long("1", "a", strategy="guess")], ":1: strategy 'guess'; there are direct, majority"),
        ([long("1", "a", probe={"samples": [{"answer": "1", "score": 3}]})], ":1: probe: .* 0 to 1"),
        ([long("1", "a", model="x"), long("2", "a", model="y")], ":2: action 'a' is of the model 'y' here"),
        ([[1]], ":1: not an object"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, rows: list[Any], problem: str) -> None:
    with pytest.raises(OutcomesInvalid, match=problem):
        read_outcomes([written(tmp_path / "o.jsonl", rows)])


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text('{"id": \n')
    with pytest.raises(OutcomesInvalid, match=r"o.jsonl:1: not JSON"):
        read_outcomes([tmp_path / "o.jsonl"])
    with pytest.raises(OutcomesInvalid, match="cannot be read"):
        read_outcomes([tmp_path / "none.jsonl"])
    with pytest.raises(OutcomesInvalid, match=r"outcomes are .jsonl or .csv"):
        read_outcomes([tmp_path / "o.xlsx"])
    (tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(OutcomesInvalid, match="no outcomes"):
        read_outcomes([tmp_path / "e.jsonl"])


def record(name: str, *actions: str) -> dict[str, Any]:
    ran = {action: {"right": None, "cost_usd": "0.01"} for action in actions}
    return {"id": name, "question": name, "actions": {**ran, "idle": {}}}


def test_labels_reach_the_answer_that_was_given(tmp_path: Path) -> None:
    table = read_outcomes([written(tmp_path / "r.jsonl", [record("1", "a"), record("2", "a", "b")])])
    labels = tmp_path / "labels.csv"
    labels.write_text("id,right,action\n1,0,\n2,true,b\n1,1,\n")
    labelled = with_labels(table, labels)
    np.testing.assert_array_equal(
        labelled.right[:, [labelled.column("a"), labelled.column("b")]], [[1, np.nan], [np.nan, 1]]
    )


def test_labels_of_other_questions_are_left_out_and_counted(tmp_path: Path) -> None:
    table = read_outcomes([written(tmp_path / "r.jsonl", [record("1", "a"), record("2", "a", "b")])])
    labels = tmp_path / "labels.csv"
    labels.write_text("id,right,action\n8,0,\n1,1,\n9,0,\n")
    labelled = with_labels(table, labels)
    assert labelled.right[0, labelled.column("a")] == 1
    assert labelled.notes == (
        f"2 of 3 labels are of questions that are not here (first {labels}:2: no question has the id '8')",
    )


def test_questions_without_a_text_are_noted(tmp_path: Path) -> None:
    rows = [
        {"id": each, "question": each.strip(), "action": "small", "right": 1} for each in ("a", " ", "  ")
    ]
    assert read_outcomes([written(tmp_path / "r.jsonl", rows)]).notes == (
        "2 of 3 questions have an empty text",
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("9,1,", "no question has the id '9'"),
        ("2,1,", "2 answers that wait for a label"),
        ("1,7,", "right must be from 0"),
        ("1,1,c", "no action 'c'; there are a, idle, b"),
    ],
)
def test_labels_that_fit_nothing_are_errors(tmp_path: Path, line: str, problem: str) -> None:
    table = read_outcomes([written(tmp_path / "r.jsonl", [record("1", "a"), record("2", "a", "b")])])
    labels = tmp_path / "labels.csv"
    labels.write_text(f"id,right,action\n{line}\n")
    with pytest.raises(OutcomesInvalid, match=f"labels.csv:2: .*{problem}"):
        with_labels(table, labels)
