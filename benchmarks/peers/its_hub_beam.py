"""Beam search as its_hub does it, run by benchmarks.search in an environment of its own.

    python benchmarks/peers/its_hub_beam.py URL MODEL N M STEPS MAX_TOKENS TEMPERATURE STOP < questions.jsonl

Prints a JSON line a question: seconds, requests, distinct_prompts, prompt_tokens, completion_tokens.
"""

import asyncio
import hashlib
import json
import sys
import time

from its_hub.api import AbstractProcessRewardModel, GenerationUsage
from its_hub.core.algorithms.beam_search import BeamSearch
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
from its_hub.core.lms.step_generation import StepGeneration


class StandIn(AbstractProcessRewardModel):
    """A reward that costs nothing and depends on the text alone: the one that benchmarks.search uses."""

    async def ascore(self, prompt, steps):  # noqa: ARG002
        return [int.from_bytes(hashlib.sha256(step.encode()).digest()[:4], "big") / 2**32 for step in steps]

    def score(self, prompt, steps):
        return asyncio.run(self.ascore(prompt, steps))


class Witness(OpenAICompatibleLanguageModel):
    """Counts what is sent, and what the server says it read and wrote."""

    def reset(self):
        self.requests, self.prompts, self.usage = 0, set(), GenerationUsage()

    async def agenerate(self, *args, **kwargs):
        return await super().agenerate(*args, **kwargs, usage_accumulator=self.usage)

    def _prepare_request_data(self, *args, **kwargs):
        data = super()._prepare_request_data(*args, **kwargs)
        self.requests += 1
        self.prompts.add(json.dumps(data["messages"]))
        return data


async def main():
    url, model = sys.argv[1:3]
    samples, width, rounds, max_tokens = map(int, sys.argv[3:7])
    temperature = float(sys.argv[7])
    lm = Witness(
        endpoint=url, api_key="none", model_name=model, temperature=temperature, max_tokens=max_tokens
    )
    steps = StepGeneration(
        max_steps=rounds, step_token="\n", stop_token=sys.argv[8] or None, temperature=temperature
    )
    search = BeamSearch(steps, StandIn(), beam_width=width)
    for line in sys.stdin:
        lm.reset()
        began_s = time.perf_counter()
        await search.ainfer(lm, json.loads(line)["question"], samples)
        seconds = time.perf_counter() - began_s
        row = {
            "seconds": seconds,
            "requests": lm.requests,
            "distinct_prompts": len(lm.prompts),
            "prompt_tokens": lm.usage.prompt_tokens,
            "completion_tokens": lm.usage.completion_tokens,
        }
        print(json.dumps(row), flush=True)


asyncio.run(main())
