"""How a model samples: as the request says, else as it is configured."""

from __future__ import annotations

from router.config import SearchedModel
from router.types import Sampling
from workers.errors import ModelUnavailable
from workers.protocols import SamplingParams


def sampling_params(
    name: str, model: SearchedModel, asked: Sampling, *, direct: bool, votes: bool
) -> SamplingParams:
    """``name`` is of the model, ``direct`` of one answer; ``votes`` asks how likely each sample is.

    Temperature 0 holds only for direct answers: a search over N equal samples would be no search. Raises
    :class:`workers.errors.ModelUnavailable` where nothing limits an answer.
    """
    limit = model.completion_limit(asked.max_tokens)
    if limit is None:
        raise ModelUnavailable(f"nothing limits how long {name!r} may answer: configure its max_tokens")
    wanted = asked.temperature
    return SamplingParams(
        max_tokens=limit,
        temperature=wanted if wanted is not None and (wanted > 0 or direct) else model.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        stop=asked.stop,
        seed=asked.seed,
        logprobs=votes,
    )
