"""Training goes on after a kill as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.training.abacus.conftest import TINY
from workers.training.abacus import lm, schedule
from workers.training.abacus.data import load_tokenizer, load_tokens
from workers.training.errors import TrainingError

SETTINGS = schedule.LmSettings(batch_tokens=1024, steps=8, warmup_steps=2)


def _train(data_dir: Path, *, processes: int = 1, stop: int | None = None) -> dict[str, torch.Tensor]:
    lm.train(
        data_dir,
        "small",
        SETTINGS,
        shape=TINY,
        processes=processes,
        stop_after_steps=stop,
        checkpoint_seconds=1e9,
        show_progress=False,
    )
    return dict(lm.load_trained(data_dir, "small", TINY)[0].state_dict())


def test_a_resumed_run_gives_the_same_weights(built: Path, data_dir: Path, tmp_path: Path) -> None:
    import shutil

    straight = _train(data_dir)
    interrupted = Path(shutil.copytree(built, tmp_path / "again"))
    _train(interrupted, stop=3)
    resumed = _train(interrupted)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_two_processes_take_the_same_steps_as_one(built: Path, data_dir: Path, tmp_path: Path) -> None:
    import shutil

    alone = _train(data_dir, stop=2)
    together = _train(Path(shutil.copytree(built, tmp_path / "team")), processes=2, stop=2)
    # Summed in another order, and Adam's first steps blow up the smallest gradients: so, on average.
    for name, weights in alone.items():
        assert float((together[name] - weights).abs().mean()) < 1e-4


def test_training_lowers_the_loss(data_dir: Path) -> None:
    from workers.training.files import read_json_lines

    _train(data_dir)
    losses = [row["loss"] for row in read_json_lines(data_dir / "lm-small" / "metrics.jsonl")]
    assert losses[-1] < losses[0]


def test_batches_hold_every_example_once_and_pad_little(built: Path) -> None:
    lengths = load_tokens(built).lengths
    batches = lm.epoch_batches(lengths, 2048, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    padded = sum(len(one) * int(lengths[one].max()) for one in batches)
    assert padded < 1.15 * lengths.sum()
    assert max(len(one) * int(lengths[one].max()) for one in batches) <= 2048


def test_only_what_the_assistant_wrote_is_a_target(built: Path) -> None:
    arrays, tokenizer = load_tokens(built), load_tokenizer(built)
    inputs, targets = lm.collate(arrays, np.array([0, 1]), tokenizer.pad_token_id)
    said = tokenizer.decode(targets[0][targets[0] != lm.IGNORED])
    assert said.endswith(tokenizer.eos_token)
    assert "The answer is" in said
    assert "<|user|>" not in said
    assert inputs.shape == targets.shape


def test_the_rate_rises_stays_and_falls() -> None:
    settings = replace(SETTINGS, warmup_steps=10, decay=0.3)
    factors = [schedule.rate_factor(step, 100, settings) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[10:70] == [1.0] * 60
    assert factors[99] == pytest.approx(1 / 30)


def test_a_missing_checkpoint_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="gradus train abacus lm --size large"):
        lm.load_trained(tmp_path, "large")
