"""How long one batch takes on an otherwise idle model."""

from __future__ import annotations


def latency_s(
    prompt_tokens: float,
    completion_tokens: float,
    prompt_tokens_per_second: float,
    completion_tokens_per_second: float,
) -> float:
    """Prefill, then decode, in seconds: tokens of the whole batch over its measured throughput.

    Raises :class:`ValueError` unless both throughputs are positive.
    """
    if not (prompt_tokens_per_second > 0 and completion_tokens_per_second > 0):
        raise ValueError("a throughput is more than 0 tokens a second")
    return prompt_tokens / prompt_tokens_per_second + completion_tokens / completion_tokens_per_second
