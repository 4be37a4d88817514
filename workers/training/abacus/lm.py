"""`gradus train abacus lm`: next-token training on the solutions; after a kill it goes on as if without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import multiprocessing
from torch.nn import functional
from tqdm import tqdm

from workers.training import files
from workers.training.abacus.data import TokenArrays, load_tokenizer, load_tokens
from workers.training.abacus.models import SHAPES, Shape, new_model, parameter_count
from workers.training.abacus.schedule import (
    LmSettings,
    make_optimizers,
    optimizer_states,
    rate_factor,
    restore_optimizers,
)
from workers.training.abacus.team import (
    Team,
    adopt_gradients,
    finish_step,
    make_team,
    owned,
    reduce_gradients,
)
from workers.training.errors import TrainingError

IGNORED = -100


def epoch_batches(lengths: np.ndarray, batch_tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Examples in batches of like length: padding would be most of the cost of batches drawn at random."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    # Sorting the whole epoch would put every short problem side by side; sorting a window keeps batches mixed
    # in kind.
    window = 4096
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        begin = 0
        for end in range(1, len(part) + 1):
            if end == len(part) or (end - begin + 1) * lengths[part[end]] > batch_tokens:
                batches.append(part[begin:end])
                begin = end
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(arrays: TokenArrays, members: np.ndarray, pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded inputs and next-token targets; only what the assistant wrote is a target."""
    longest = int(arrays.lengths[members].max())
    inputs = np.full((len(members), longest), pad_id, np.int64)
    targets = np.full((len(members), longest), IGNORED, np.int64)
    for row, member in enumerate(members):
        begin, end = int(arrays.offsets[member]), int(arrays.offsets[member + 1])
        ids = arrays.ids[begin:end].astype(np.int64)
        inputs[row, : end - begin] = ids
        written = arrays.written[begin + 1 : end]
        targets[row, : end - begin - 1] = np.where(written, ids[1:], IGNORED)
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def batch_loss(model: Any, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy of the written tokens; the output layer runs on those positions only."""
    hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state
    kept = targets != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[kept]).float(), targets[kept], reduction="sum")


def _batches_from(arrays: TokenArrays, settings: LmSettings, start: int) -> Iterator[np.ndarray]:
    step = 0
    for epoch in range(settings.epochs):
        for members in epoch_batches(arrays.lengths, settings.batch_tokens, settings.seed, epoch):
            if step >= start:
                yield members
            step += 1


def run_dir(data_dir: Path, size: str) -> Path:
    return data_dir / f"lm-{size}"


def load_trained(data_dir: Path, size: str, shape: Shape | None = None) -> tuple[Any, dict[str, Any]]:
    """The latest checkpoint as a model in evaluation mode, and the state it was saved with."""
    path = run_dir(data_dir, size) / "checkpoint.pt"
    if not path.exists():
        raise TrainingError(
            f"no checkpoint of {size} in {path.parent}; run: gradus train abacus lm --size {size}"
        )
    state = torch.load(path, weights_only=True)
    model = new_model(shape or SHAPES[size], load_tokenizer(data_dir), 0)
    model.load_state_dict(state["model"])
    return model.eval(), state


@dataclass(frozen=True)
class _Job:
    """What one process of a run is told."""

    data_dir: Path
    size: str
    settings: LmSettings
    start_step: int
    start_tokens: int
    last_step: int
    total_steps: int
    checkpoint_seconds: float
    show_progress: bool


def _work(rank: int, job: _Job, model: Any, team: Team, threads: int) -> None:
    """The training loop of one process; process 0 also logs and writes the checkpoints."""
    torch.set_num_threads(threads)
    settings, folder = job.settings, run_dir(job.data_dir, job.size)
    arrays, pad_id = load_tokens(job.data_dir), load_tokenizer(job.data_dir).pad_token_id
    names, parameters = zip(*model.named_parameters(), strict=True)
    mine = owned(parameters, rank, team.size)
    named = {names[index]: parameters[index] for index in mine}
    optimizers = make_optimizers(named, settings)
    checkpoint_path = folder / "checkpoint.pt"
    if checkpoint_path.exists():
        restore_optimizers(named, optimizers, torch.load(checkpoint_path, weights_only=True)["optimizer"])
    adopt_gradients(parameters, team, rank)
    step, tokens = job.start_step, job.start_tokens

    def checkpoint() -> None:
        """Every process hands its optimizer state over in a file; process 0 writes one checkpoint."""
        part = folder / f"optimizer-{rank}.pt"
        files.replace_file(part, lambda target: torch.save(optimizer_states(named, optimizers), target))
        team.wait()
        if rank == 0:
            states: dict[str, Any] = {}
            for other in range(team.size):
                handed = folder / f"optimizer-{other}.pt"
                states |= torch.load(handed, weights_only=True)
                handed.unlink()
            state = {
                "model": model.state_dict(),
                "optimizer": states,
                "step": step,
                "tokens": tokens,
                "total_steps": job.total_steps,
                "settings": asdict(settings),
            }
            files.replace_file(checkpoint_path, lambda target: torch.save(state, target))
        team.wait()

    model.train()
    last_saved = time.monotonic()
    progress = tqdm(
        total=job.total_steps,
        initial=step,
        unit="step",
        disable=rank > 0 or not job.show_progress,
        desc=f"lm {job.size}",
    )
    for members in _batches_from(arrays, settings, step):
        if step >= job.last_step:
            break
        started = time.monotonic()
        targets_in_batch = sum(
            int(arrays.written[arrays.offsets[m] + 1 : arrays.offsets[m + 1]].sum()) for m in members
        )
        share = members[rank :: team.size]
        loss_sum = torch.zeros(())
        if len(share):
            inputs, targets = collate(arrays, share, pad_id)
            with torch.autocast("cpu", torch.bfloat16):
                loss_sum = batch_loss(model, inputs, targets) / targets_in_batch
            loss_sum.backward()
        loss = reduce_gradients(team, rank, mine, loss_sum.item(), max_norm=1.0)
        factor = rate_factor(step, job.total_steps, settings)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor
            optimizer.step()
        # Every process must come to the same decision, and clocks differ: process 0 says whether to save.
        if rank == 0:
            team.figures[0, 2] = float(time.monotonic() - last_saved > job.checkpoint_seconds)
        finish_step(team, rank, mine)
        step += 1
        tokens += int(arrays.lengths[members].sum())
        if rank == 0:
            row = {
                "step": step,
                "tokens": tokens,
                "loss": round(loss, 4),
                "rate_factor": round(factor, 4),
                "seconds": round(time.monotonic() - started, 3),
            }
            files.append_json_line(folder / "metrics.jsonl", row)
            progress.set_postfix(loss=row["loss"])
            progress.update()
        if bool(team.figures[0, 2]):
            checkpoint()
            last_saved = time.monotonic()
    progress.close()
    checkpoint()


def train(
    data_dir: Path,
    size: str,
    settings: LmSettings,
    *,
    shape: Shape | None = None,
    processes: int = 1,
    threads: int = 1,
    stop_after_steps: int | None = None,
    checkpoint_seconds: float = 120.0,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Train one model over the data; a later call goes on from the last checkpoint."""
    lengths = load_tokens(data_dir).lengths
    model = new_model(shape or SHAPES[size], load_tokenizer(data_dir), settings.seed)
    batches = [
        epoch_batches(lengths, settings.batch_tokens, settings.seed, e) for e in range(settings.epochs)
    ]
    available = sum(len(one) for one in batches)
    total_steps = min(available, settings.steps or available)
    last_step = min(total_steps, stop_after_steps or total_steps)
    checkpoint_path = run_dir(data_dir, size) / "checkpoint.pt"
    step, tokens = 0, 0
    if checkpoint_path.exists():
        state = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(state["model"])
        step, tokens = int(state["step"]), int(state["tokens"])
    else:
        run_dir(data_dir, size).mkdir(parents=True, exist_ok=True)
    if processes > 1:
        model.share_memory()
    team = make_team(processes, list(model.parameters()))
    job = _Job(
        data_dir, size, settings, step, tokens, last_step, total_steps, checkpoint_seconds, show_progress
    )
    others = [
        multiprocessing.get_context("spawn").Process(
            target=_work, args=(rank, job, model, team, threads), daemon=True
        )
        for rank in range(1, processes)
    ]
    for other in others:
        other.start()
    _work(0, job, model, team, threads)
    for other in others:
        other.join()
    done = torch.load(checkpoint_path, weights_only=True)
    return {
        "step": done["step"],
        "total_steps": total_steps,
        "tokens": done["tokens"],
        "parameters": parameter_count(model),
    }
