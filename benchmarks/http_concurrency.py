"""How much longer 16 requests at once take than one, over HTTP, against a running gateway.

    gradus up &
    python -m benchmarks.http_concurrency --url http://127.0.0.1:8080

Requests of both rows are the same kind (probe and search on the small model), alternate in one run, and are
reported as a ratio of medians: absolute times say more about the machine than about the product.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

import httpx

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53)


async def answer(client: httpx.AsyncClient, number: int) -> None:
    question = f"Calculate {PRIMES[number % len(PRIMES)]} + {number // len(PRIMES) + 1}."
    body = {"model": "gradus", "messages": [{"role": "user", "content": question}]}
    reply = await client.post("/v1/chat/completions", json=body)
    reply.raise_for_status()


async def seconds_for(client: httpx.AsyncClient, requests: int) -> float:
    """Wall time until all of ``requests`` simultaneous requests are answered."""
    begin_s = time.perf_counter()
    await asyncio.gather(*(answer(client, number) for number in range(requests)))
    return time.perf_counter() - begin_s


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--requests", type=int, default=16, help="requests at once (default 16)")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of measurements (default 9)")
    options = parser.parse_args()

    limits = httpx.Limits(max_connections=options.requests)
    async with httpx.AsyncClient(base_url=options.url, timeout=120, limits=limits) as client:
        await seconds_for(client, options.requests)  # warm: connections, caches
        one, many = [], []
        for _ in range(options.rounds):
            one.append(await seconds_for(client, 1))
            many.append(await seconds_for(client, options.requests))
    print(f"{'requests at once':>18} {'median s':>10} {'min s':>8} {'max s':>8}")
    for requests, times in ((1, one), (options.requests, many)):
        print(f"{requests:>18} {statistics.median(times):>10.3f} {min(times):>8.3f} {max(times):>8.3f}")
    print(f"ratio of medians: {statistics.median(many) / statistics.median(one):.2f} (wanted: below 6)")


if __name__ == "__main__":
    asyncio.run(main())
