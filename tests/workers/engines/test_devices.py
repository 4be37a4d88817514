"""What a GPU is asked for, seen without one: on the device "meta" nothing has a value, and nothing mixes."""

from __future__ import annotations

import statistics
import threading
from queue import SimpleQueue
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaForCausalLM
from transformers.generation.continuous_batching import input_outputs
from transformers.generation.continuous_batching.distributed import DistributedHelper
from transformers.generation.continuous_batching.input_outputs import ContinuousBatchingIOs

from tests.workers.engines import tiny
from workers.engines import batching
from workers.engines.batching import Limits, Request, prepare_model
from workers.engines.sampling import Draw
from workers.engines.steps import Manager


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    """One whose loop on "meta" is not running: its passes are made by the test, and write the token 1."""
    monkeypatch.setattr(threading, "Thread", Mock())
    monkeypatch.setattr(input_outputs, "create_device_stream", lambda _: None)
    monkeypatch.setattr(DistributedHelper, "set_tp_seed", lambda *_: None)  # asks once, at the start
    monkeypatch.setattr(
        ContinuousBatchingIOs,
        "prepare_batch_update",
        lambda ios: (ios.requests_in_batch, [1] * ios.num_request_in_batch, None),
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(tiny.make_config(tiny.make_tokenizer()))
    prepare_model(model)
    loop = batching._Loop(model, Limits(sequences=8, step_tokens=24, cache_tokens=1024))
    loop.manager.batch_processor = loop.manager._create_batch_processor()
    for number, (temperature, top_p) in enumerate([(0.0, 1.0), (0.8, 1.0), (0.8, 0.9)]):
        draws = [Draw(temperature, top_p, stream) for stream in range(2)]
        request = Request(range(10 + number, 50), draws, max_tokens=40, stop_tokens=(), streaming=False)
        loop.add(request, [f"{number}", f"{number}__child#0"], SimpleQueue())
    return loop.manager


class _Witness(TorchDispatchMode):
    """Counts operations that compute, and lets none but a copy take tensors of two devices."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: dict[str, Any] | None = None
    ) -> Any:
        self.operations += not operation.is_view
        taken = tree_leaves((arguments, named))
        devices = {one.device for one in taken if isinstance(one, torch.Tensor) and one.dim()}
        assert len(devices) < 2 or operation is torch.ops.aten.copy_.default, f"{operation} of {devices}"
        return operation(*arguments, **(named or {}))


def test_norms_of_one_operation_say_what_they_said() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(tiny.make_config(tiny.make_tokenizer(), initializer_range=0.3)).eval()
    tokens = torch.randint(0, 250, (3, 20))
    with torch.inference_mode():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 2.0)
        with _Witness() as before:
            expected = model(tokens).logits
        prepare_model(model)
        model.config._attn_implementation = "sdpa"
        with _Witness() as after:
            found = model(tokens).logits
    torch.testing.assert_close(found, expected)
    norms = 2 * model.config.num_hidden_layers + 1
    assert before.operations - after.operations == 5 * norms  # and two casts each, where it is not single


def test_a_pass_asks_the_device_for_nothing_but_its_tokens(manager: Manager) -> None:
    """Whatever else it asked for, it would wait for: `.item()`, `.tolist()` and the like fail on "meta"."""
    processor, operations = manager.batch_processor, []
    with torch.inference_mode():
        while True:
            with _Witness() as witness:
                if not processor.prepare_next_batch():
                    break
                processor._generation_step(manager.model)
            processor.update_batch()
            operations.append(witness.operations)
    assert len(operations) > 40
    assert not processor.has_pending_requests()
    # Starting them is what a pass of few sequences costs; most passes only count on.
    assert statistics.median(operations) <= 30 * manager.model.config.num_hidden_layers + 40
