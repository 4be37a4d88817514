"""Everything in order: the commands exist, run one after another, and stop at the first that fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.training.abacus.exporting import publish
from workers.training.abacus.making import make_all, steps
from workers.training.cli import app
from workers.training.errors import TrainingError


class Recorder:
    """Runs nothing."""

    def __init__(self, fails: str = "no command") -> None:
        self.ran: list[str] = []
        self._fails = fails

    def __call__(self, arguments: Sequence[str]) -> int:
        self.ran.append(" ".join(arguments))
        return 2 if self._fails in self.ran[-1] else 0


def test_everything_runs_in_order_with_its_folders(tmp_path: Path) -> None:
    call = Recorder()
    assert make_all(steps(1, 200, 1), tmp_path, call) == 0
    assert len(call.ran) == len(steps(1, 200, 1))
    assert call.ran[0] == f"abacus data --data-dir {tmp_path} --seed 1 --problems 200"
    made = call.ran.index(f"prm abacus-prm --data {tmp_path}/rollouts --output {tmp_path}/abacus-prm")
    assert call.ran[made + 1] == f"abacus publish {tmp_path}/abacus-prm"


def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    call = Recorder(fails="revision-data")
    assert make_all(steps(1, 200, 1), tmp_path, call) == 2
    assert call.ran[-1].startswith("revision-data abacus-revision-data")


def test_a_large_model_that_has_begun_is_not_grown_again(tmp_path: Path) -> None:
    (tmp_path / "lm-large").mkdir()
    (tmp_path / "lm-large" / "checkpoint.pt").touch()
    call = Recorder()
    make_all(steps(1, 200, 1), tmp_path, call)
    assert not any(line.startswith("abacus grow") for line in call.ran)
    assert sum(line.startswith("abacus lm") for line in call.ran) == 2


def test_every_command_of_the_document_exists_with_its_options() -> None:
    for line in steps(1, 150_000, 2):
        result = CliRunner().invoke(app, [*line.split(), "--help"])
        assert result.exit_code == 0, (line, result.output)


def test_what_is_published_names_the_embedded_model_and_no_folder_of_its_maker(tmp_path: Path) -> None:
    made = tmp_path / "made" / "abacus-prm"
    (made / "checkpoints").mkdir(parents=True)
    (made / "model.safetensors").write_text("weights")
    (made / "training.json").write_text("{}")
    (made / "README.md").write_text(f"# abacus-prm\n\ngradus train prm --data {made.parent}/rollouts")
    (made / "gradus.yaml").write_text(f"verifiers: {{abacus-prm: {{path: {made}}}}}")

    folder = publish(made, tmp_path / "models")

    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "README.md", "gradus.yaml"}
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "gradus train prm --data $D/rollouts" in card
    assert "path: embedded:abacus-prm}" in (folder / "gradus.yaml").read_text()
    with pytest.raises(TrainingError, match=r"has no model\.safetensors"):
        publish(tmp_path / "made", tmp_path / "models")
