"""Files that are no configuration at all, and whatever else may be written: read, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config import load_config
from router.errors import ConfigInvalid
from tests.router.examples import YAML, config_error, write


def test_an_empty_file_says_what_belongs_in_it(tmp_path: Path) -> None:
    assert (
        config_error(tmp_path, "# nothing\n")
        == "FILE: is empty; give at least models, verifiers and policies"
    )


def test_a_list_is_no_configuration(tmp_path: Path) -> None:
    message = "FILE:1: must be a mapping, with at least models, verifiers and policies"
    assert config_error(tmp_path, "- models\n") == message


def test_a_character_that_yaml_forbids_is_one_line_with_its_line(tmp_path: Path) -> None:
    message = config_error(tmp_path, "models: 1\nverifiers: \x07x\n")
    assert message == "FILE:2: is not YAML: character U+0007 may not be in it"


def test_an_anchor_inside_itself_is_refused_and_not_followed_forever(tmp_path: Path) -> None:
    message = config_error(tmp_path, "models: &m\n  a: *m\n")
    assert message == "FILE:2: models.a: refers to itself; use an anchor only outside its own value"


def test_a_missing_file_names_the_presets(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_config("abacsu", {})
    assert (
        str(caught.value) == "abacsu: no such file; give a YAML file, or one of the presets abacus, smollm2"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"models: \xff")
    with pytest.raises(ConfigInvalid, match="is not UTF-8 text"):
        load_config(tmp_path / "x.yaml", {})


LINES = YAML.splitlines(keepends=True)
edits = st.one_of(
    st.tuples(
        st.integers(0, len(LINES) - 1), st.sampled_from(["", "- x\n", "  ? {}\n", "\t\n", "  - 1: 2\n"])
    ),
    st.tuples(
        st.integers(0, len(LINES) - 1),
        st.sampled_from(
            [*LINES, "    price: !!python/name:os.system x\n", "  a: 2020-01-01\n", "  <<: []\n"]
        ),
    ),
    st.tuples(st.integers(0, len(LINES) - 1), st.text(max_size=12).map(lambda text: f"    {text}\n")),
)


@settings(max_examples=100)
@given(st.lists(edits, min_size=1, max_size=3))
def test_whatever_is_written_is_read_or_refused_with_its_source(edits: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for index, line in edits:
        lines[index] = line
    with TemporaryDirectory() as folder:
        file = write(Path(folder), "".join(lines).encode("utf-8", "replace").decode())
        try:
            load_config(file, {})
            message = str(file)
        except ConfigInvalid as error:
            message = str(error)
        assert message.startswith(str(file))
