"""Where the time of a request goes: py-spy (from PyPI) looks at the gateway's threads while it is asked.

A sample belongs to the innermost frame of a part that is told apart here, and to the event loop where there
is none: a library counts to whoever calls it. Looked at is who holds the interpreter's lock: who waits would
be taken for working otherwise, and what the system does is shared out among all. The gateway is not halted
for a sample, or it would be another gateway that is looked at; so a few stacks are read wrong.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.gateway.contestants import OTHER_CORE, Contestant
from benchmarks.gateway.load import Measured, ask

SAMPLES_A_SECOND: Final = 200
PARTS: Final[Mapping[str, str]] = {
    "gateway/store/": "journal (its own thread)",
    "gateway/ledger/writer": "journal (its own thread)",
    "gateway/ledger/": "ledger: reserve, settle, spool",
    "gateway/settling": "ledger: reserve, settle, spool",
    "gateway/bill": "ledger: reserve, settle, spool",
    "gateway/cache/": "cache",
    "gateway/upstreams/openai_server": "the upstream: HTTP client (aiohttp)",
    "gateway/upstreams/": "the upstream: deployments, retries, reading",
    "gateway/running": "the upstream: deployments, retries, reading",
    "router/predictor/": "forecast",
    "router/features/": "forecast",
    "router/fitting/": "forecast",
    "router/remembered": "forecast",
    "router/unseen": "forecast",
    "router/drift": "forecast",
    "router/": "plan",
    "cost_model/": "plan",
    "gateway/planning": "plan",
    "gateway/together": "plan",
    "gateway/service": "service: from one to the next",
    "gateway/server": "event loop",
    "gateway/http_bounds": "HTTP server (uvicorn)",
    "gateway/": "API: read, check, name, count, answer",
    "uvicorn/protocols/": "HTTP server (uvicorn)",
    "aiohttp/": "the upstream: HTTP client (aiohttp)",
    "redis/": "Redis client",
}
"""By how the path of a frame's file begins; the first that fits."""
LOOP: Final = "event loop"
_FRAME: Final = re.compile(r"\((?:.*site-packages/)?([^():]+)(?::\d+)?\)$")


def profile(asked: Contestant, connections: int, seconds: int, file: Path) -> tuple[Measured, Counter[str]]:
    """What was measured meanwhile, and the samples of each part."""
    ask(asked, connections, 3)
    spy = subprocess.Popen(
        ["taskset", "-c", OTHER_CORE, "py-spy", "record", "--pid", str(asked.session), "--format", "raw",
         "--rate", str(SAMPLES_A_SECOND), "--duration", str(seconds), "--output", str(file),
         "--nonblocking", "--gil"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    measured = ask(asked, connections, seconds)
    said = spy.communicate()[1]
    if spy.returncode:
        raise SystemExit(f"py-spy (pip install py-spy) could not look at the gateway: {said}")
    return measured, parts_of(file.read_text().splitlines())


def parts_of(lines: Iterable[str]) -> Counter[str]:
    """Of py-spy's raw format: frames from the outermost on, parted by semicolons, and how often."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        found[_part(stack.split(";"))] += int(count)
    return found


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        path = _FRAME.search(frame)
        for begins, part in PARTS.items():
            if path and path[1].startswith(begins):
                return part
    return LOOP


def report(measured: Measured, parts: Counter[str]) -> None:
    """A table of shares, and of microseconds of the processor a request."""
    total = parts.total()
    print(f"{measured.requests_per_s:,.0f} requests/s, CPU {measured.cpu_ms:.3f} ms a request\n")
    print("| part | share | us a request |")
    print("|---|---|---|")
    for part, samples in parts.most_common():
        share = samples / total
        print(f"| {part} | {share:.1%} | {share * measured.cpu_ms * 1e3:.0f} |")
