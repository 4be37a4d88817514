"""Drawing tokens: frequencies, nucleus, independence of the batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.continuous_batching.requests import RequestState

from workers.engines import sampling
from workers.engines.sampling import Draw, Sampler, streams, uniform

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])


def choose(draws: list[Draw], logits: torch.Tensor = LOGITS, position: int = 3) -> list[int]:
    sampler = Sampler()
    states = [state(str(name), position) for name in range(len(draws))]
    sampler.draws.update(zip((state.request_id for state in states), draws, strict=True))
    chosen: list[int] = sampler.choose(logits.repeat(len(draws), 1), states).tolist()
    return chosen


def state(name: str, position: int) -> RequestState:
    return RequestState(name, initial_tokens=[0] * position)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_their_probability_says(temperature: float) -> None:
    drawn = choose([Draw(temperature, 1.0, stream) for stream in streams(1, 20_000)])
    shares = torch.bincount(torch.tensor(drawn), minlength=5) / len(drawn)
    assert torch.allclose(shares, (LOGITS / temperature).softmax(-1), atol=0.015)


def test_the_nucleus_is_the_fewest_tokens_that_reach_the_mass() -> None:
    probabilities = LOGITS.softmax(-1)  # .64 .24 .09 .03 .00
    for top_p, kept in ((0.6, 1), (0.7, 2), (0.9, 3), (1.0, 4)):
        drawn = choose([Draw(1.0, top_p, stream) for stream in streams(2, 4_000)])
        assert set(drawn) == set(range(kept))
        share = drawn.count(0) / len(drawn)
        assert share == pytest.approx(float(probabilities[0] / probabilities[:kept].sum()), abs=0.03)


def test_settings_of_one_sequence_do_not_touch_another() -> None:
    stream = streams(5, 1)[0]
    alone = choose([Draw(1.0, 1.0, stream)])[0]
    others = [Draw(0.0, 1.0, 9), Draw(3.0, 0.5, 8)]
    assert choose([others[0], Draw(1.0, 1.0, stream), others[1]])[1] == alone
    assert choose(others)[0] == 0


def test_a_gpus_way_of_adding_gives_no_token_what_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_blocks(self: torch.Tensor, dim: int, dtype: torch.dtype) -> torch.Tensor:
        sums, reach = self.to(dtype), 1
        while reach < sums.shape[dim]:
            sums = torch.cat([sums[:, :reach], sums[:, reach:] + sums[:, :-reach]], dim)
            reach *= 2
        return sums

    monkeypatch.setattr(torch.Tensor, "cumsum", in_blocks)
    dice = torch.Generator().manual_seed(0)
    probabilities = torch.rand(4096, generator=dice) * (torch.rand(4096, generator=dice) < 0.1)
    sums = in_blocks(probabilities[None], -1, torch.float32)[0]
    grows = 1 + torch.nonzero((probabilities[1:] == 0) & (sums[1:] > sums[:-1]))
    shares = sums[grows - 1] / sums[-1]
    rows = probabilities.expand(len(grows), -1)
    assert (probabilities[sampling._find(rows, shares)] == 0).any()
    monkeypatch.setattr(sampling, "_SUMS", {})
    assert (probabilities[sampling._find(rows, shares)] > 0).all()


def test_an_unknown_sequence_is_greedy() -> None:
    assert int(Sampler().choose(LOGITS[None].clone(), [state("?", 2)])) == 0


def test_every_sequence_of_a_seed_has_its_own_stream() -> None:
    assert streams(3, 8) == streams(3, 8)
    assert len({*streams(3, 500), *streams(4, 500)}) == 1000
    assert streams(None, 4) != streams(None, 4)


@given(st.integers(0, 2**64 - 1), st.integers(0, 10_000))
def test_a_draw_is_a_number_from_0_to_below_1(stream: int, position: int) -> None:
    assert 0 <= uniform(stream, position) < 1


@given(st.integers(0, 2**64 - 1))
def test_draws_of_one_stream_differ(stream: int) -> None:
    assert len({uniform(stream, position) for position in range(50)}) == 50
