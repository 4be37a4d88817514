"""How much longer 16 requests at once take than one, over HTTP, against a running gateway.

    gradus up &
    python -m benchmarks.http_concurrency --url http://127.0.0.1:8080

Each question is asked alone once, and all at once as often; the rows alternate in one run and are compared by
their medians: absolute times say more about the machine than about the product.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

import httpx

from benchmarks.concurrency import question
from workers.protocols import Prompt


def addition(number: int) -> Prompt:
    """The worst case: so short that whatever is paid a request shows."""
    return Prompt(({"role": "user", "content": f"Calculate {number + 2} + {number + 5}."},))


async def answer(client: httpx.AsyncClient, model: str, prompt: Prompt) -> None:
    body = {"model": model, "messages": prompt.messages}
    reply = await client.post("/v1/chat/completions", json=body)
    reply.raise_for_status()


async def seconds_for(client: httpx.AsyncClient, model: str, prompts: Sequence[Prompt]) -> float:
    """Wall time until all of these questions, asked at once, are answered."""
    begin_s = time.perf_counter()
    await asyncio.gather(*(answer(client, model, prompt) for prompt in prompts))
    return time.perf_counter() - begin_s


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--requests", type=int, default=16, help="requests at once (default 16)")
    parser.add_argument("--model", default="gradus", help='what to ask (default "gradus")')
    parser.add_argument("--additions", action="store_true", help="ask one addition each: the worst case")
    options = parser.parse_args()

    everyone = [(addition if options.additions else question)(number) for number in range(options.requests)]
    limits = httpx.Limits(max_connections=options.requests)
    async with httpx.AsyncClient(base_url=options.url, timeout=120, limits=limits, trust_env=False) as client:
        await seconds_for(client, options.model, everyone)  # warm: connections, caches
        one, many = [], []
        for prompt in everyone:
            one.append(await seconds_for(client, options.model, [prompt]))
            many.append(await seconds_for(client, options.model, everyone))
    print(f"{'requests at once':>18} {'median s':>10} {'min s':>8} {'max s':>8}")
    for requests, times in ((1, one), (options.requests, many)):
        print(f"{requests:>18} {statistics.median(times):>10.3f} {min(times):>8.3f} {max(times):>8.3f}")
    print(f"ratio of medians: {statistics.median(many) / statistics.median(one):.2f} (wanted: below 6)")


if __name__ == "__main__":
    asyncio.run(main())
