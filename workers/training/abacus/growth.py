"""`gradus train abacus grow`: a wider, deeper model that starts out as what a trained smaller one computes.

Function-preserving growth (Chen et al. 2016, Net2Net; Chen et al. 2022, bert2BERT): the large model skips the
part of its training that the small one has already paid for, which on a CPU is most of it.

Width: every hidden unit becomes ``copies`` units, and what reads them shares its weights out over the copies.
The shares are random (they sum to the old weight), or all copies would learn the same for ever.
Depth: new layers begin with projections of zero into the residual stream, that is, as the identity.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from workers.training import files
from workers.training.abacus.data import load_tokenizer
from workers.training.abacus.lm import load_trained, run_dir
from workers.training.abacus.models import SHAPES, new_model
from workers.training.errors import TrainingError

# Relative to the spread of the old weights.
_UNEVENNESS = 0.5


def widened(weight: torch.Tensor, copies_out: int, copies_in: int) -> torch.Tensor:
    """A matrix (out, in) for copied outputs and inputs: copies of the inputs add up to the old result."""
    shares = weight.repeat(copies_out, copies_in) / copies_in
    if copies_in == 1:
        return shares
    noise = torch.randn_like(shares) * (_UNEVENNESS * weight.std() / copies_in)
    by_copy = noise.view(noise.shape[0], copies_in, weight.shape[1])
    return shares + (by_copy - by_copy.mean(1, keepdim=True)).reshape(shares.shape)


def grown(small: Any, large: Any) -> Any:
    """Fill ``large`` (a fresh model) so that it computes what ``small`` computes; returns it.

    Raises :class:`TrainingError` unless its width is a multiple, with heads of the same size.
    """
    old, new = small.config, large.config
    copies, odd = divmod(new.hidden_size, old.hidden_size)
    fits = new.num_attention_heads == copies * old.num_attention_heads
    roomy = new.intermediate_size >= copies * old.intermediate_size
    if odd or not fits or not roomy or new.num_hidden_layers < old.num_hidden_layers:
        raise TrainingError(
            "cannot grow: the large model needs a multiple of the width, that multiple of the heads, at "
            "least that multiple of the feed-forward width, and as many layers"
        )
    state = large.state_dict()
    source = small.state_dict()
    state["model.embed_tokens.weight"] = source["model.embed_tokens.weight"].repeat(1, copies)
    state["lm_head.weight"] = state["model.embed_tokens.weight"]  # tied
    # The output layer adds up all copies.
    state["model.norm.weight"] = source["model.norm.weight"].repeat(copies) / copies
    inherited = _spread(old.num_hidden_layers, new.num_hidden_layers)
    for place in range(new.num_hidden_layers):
        here = f"model.layers.{place}."
        if place not in inherited:
            state[here + "self_attn.o_proj.weight"].zero_()
            state[here + "mlp.down_proj.weight"].zero_()
            continue
        there = f"model.layers.{inherited[place]}."
        for name in ("input_layernorm.weight", "post_attention_layernorm.weight"):
            state[here + name] = source[there + name].repeat(copies)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            key = f"self_attn.{name}.weight"
            state[here + key] = widened(source[there + key], copies, copies)
        used = copies * old.intermediate_size
        for name in ("gate_proj", "up_proj"):
            key = f"mlp.{name}.weight"
            state[here + key][:used] = widened(source[there + key], copies, copies)
        key = "mlp.down_proj.weight"
        state[here + key].zero_()  # of the feed-forward units that have no ancestor
        state[here + key][:, :used] = widened(source[there + key], copies, copies)
    large.load_state_dict(state)
    return large


def _spread(old_layers: int, new_layers: int) -> dict[int, int]:
    """Where the old layers stand among the new: place to old layer, in order, the first one first."""
    return {(layer * new_layers) // old_layers: layer for layer in range(old_layers)}


def grow(data_dir: Path, seed: int = 1) -> int:
    """Write step 0 of the large model's training from the finished small one; returns its parameters.

    Raises :class:`TrainingError` if the large model's training has begun.
    """
    checkpoint = run_dir(data_dir, "large") / "checkpoint.pt"
    if checkpoint.exists():
        raise TrainingError(
            f"{checkpoint} exists: the large model has begun; remove {checkpoint.parent} first"
        )
    small, _ = load_trained(data_dir, "small")
    with torch.no_grad():
        large = grown(small, new_model(SHAPES["large"], load_tokenizer(data_dir), seed))
    state = {"model": large.state_dict(), "optimizer": {}, "step": 0, "tokens": 0}
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    files.replace_file(checkpoint, lambda target: torch.save(state, target))
    return int(large.num_parameters())
