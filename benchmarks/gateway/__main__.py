"""Gradus beside litellm's proxy, Portkey's gateway and a bare proxy, in turns, each on the same single core.

    python -m benchmarks.gateway compare --litellm VENV/bin/litellm --portkey FOLDER/build/start-server.js
    python -m benchmarks.gateway cached | streams | many-streams | memory --requests 200000 | profile

Of Gradus everything is on: a key with a budget (in a Redis), prediction of difficulty, policy, the cache
(which misses: no question is asked twice), the journal (SQLite). Of the others nothing but the way to the
upstream. The upstream answers at once (upstream.py), wrk (a Debian package) asks; both share the other core.
On a machine where others work too, compare what is from one run, and milliseconds of the processor a request:
what it waits for others is not in them.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from benchmarks.gateway.contestants import Contestant, Stage
from benchmarks.gateway.load import Measured, ask, own_core, stream, work_folder
from benchmarks.gateway.profile import profile, report

PORT = 18400


def compare(stage: Stage, options: argparse.Namespace) -> None:
    """Requests a second and what is added to the upstream's latency."""
    upstream = stage.upstream()
    asked = {each.name: each for each in _contestants(stage, upstream, options)}
    turns: dict[tuple[str, int], list[Measured]] = {}
    for turn in range(options.turns + 1):
        for connections in (1, 64):
            for name, each in asked.items():
                measured = ask(each, connections, options.seconds if turn else 2)
                if turn:  # the first one warms up
                    turns.setdefault((name, connections), []).append(measured)
    for connections in (1, 64):
        _table(connections, {name: turns[name, connections] for name in asked})


def _contestants(stage: Stage, upstream: Contestant, options: argparse.Namespace) -> list[Contestant]:
    found = [upstream, stage.bare(upstream), stage.gradus(upstream)]
    if options.granian:
        found.append(stage.bare_granian(upstream, options.granian))
    if options.portkey:
        found.append(stage.portkey(upstream, options.portkey))
    if options.litellm:
        found.append(stage.litellm(upstream, options.litellm))
    return found


def _table(connections: int, turns: Mapping[str, Sequence[Measured]]) -> None:
    def middle(name: str, value: Callable[[Measured], float]) -> float:
        return median(map(value, turns[name]))

    def added(name: str, value: Callable[[Measured], float]) -> float:
        """To the upstream's of the same turn."""
        both = zip(turns[name], turns["upstream"], strict=True)
        return median(value(one) - value(alone) for one, alone in both)

    print(f"\n{connections} connection(s)\n")
    print("| | requests/s | p50 added, ms | p99 added, ms | CPU a request, ms | requests a CPU second "
          "| Gradus: times the requests/s | errors |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in turns:
        pairs = zip(turns["Gradus"], turns[name], strict=True)
        ratio = median(one.requests_per_s / other.requests_per_s for one, other in pairs)
        cpu_ms = middle(name, lambda one: one.cpu_ms)
        print(
            f"| {name} | {middle(name, lambda one: one.requests_per_s):,.0f} "
            f"| {added(name, lambda one: one.p50_ms):.2f} | {added(name, lambda one: one.p99_ms):.2f} "
            f"| {cpu_ms:.3f} | {1e3 / max(cpu_ms, 1e-9):,.0f} | {ratio:.2f} "
            f"| {sum(one.errors for one in turns[name])} |"
        )


def cached(stage: Stage, options: argparse.Namespace) -> None:
    """The same question again and again: all but the first are hits."""
    upstream = stage.upstream()
    gradus = stage.gradus(upstream)
    for connections in (1, 64):
        turns = [ask(gradus, connections, options.seconds, repeated=True) for _ in range(options.turns)]
        print(
            f"{connections} connection(s): p50 {median(each.p50_ms for each in turns):.3f} ms, "
            f"{median(each.requests_per_s for each in turns):,.0f} requests/s, "
            f"CPU {median(each.cpu_ms for each in turns):.3f} ms, errors {sum(each.errors for each in turns)}"
        )


def streams(stage: Stage, options: argparse.Namespace) -> None:
    """What is added until the first byte of a stream, one at a time."""
    upstream = stage.upstream()
    asked = _contestants(stage, upstream, options)
    own_core()
    firsts: dict[str, list[float]] = {each.name: [] for each in asked}
    for turn in range(options.turns + 1):
        for each in asked:
            done = asyncio.run(stream(each, options.streams if turn else 10, 1))
            if done.failures:
                raise SystemExit(f"{each.name}: {done.failures[0]}")
            if turn:
                firsts[each.name].append(median(done.first_ms))
    for name, medians in firsts.items():
        added = median(one - alone for one, alone in zip(medians, firsts["upstream"], strict=True))
        print(f"{name:>20}: first byte after {median(medians):.2f} ms, {added:.2f} added")


def many_streams(stage: Stage, options: argparse.Namespace) -> None:
    """So many streams at once that each take about two seconds, without an error."""
    upstream = stage.upstream(gap_ms=100)
    gradus = stage.gradus(upstream)
    own_core()
    asyncio.run(stream(gradus, 100, 10))
    for _ in range(options.turns):
        cpu_s = gradus.cpu_s()
        done = asyncio.run(stream(gradus, options.streams, options.streams))
        cpu_s = gradus.cpu_s() - cpu_s
        cuts = quantiles(done.first_ms, n=100) if len(done.first_ms) > 1 else [float("nan")] * 99
        print(
            f"{options.streams} streams at once: {len(done.failures)} failed, all in {done.seconds:.1f} s; "
            f"first byte p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms; "
            f"CPU {cpu_s / options.streams * 1e3:.2f} ms a stream"
        )
        for failure in done.failures[:3]:
            print("   ", failure)


def memory(stage: Stage, options: argparse.Namespace) -> None:
    """Resident memory while requests go by."""
    gradus = stage.gradus(stage.upstream())
    print(f"start: {gradus.rss_mib():.1f} MiB")
    requests = errors = 0
    while requests < options.requests:
        done = ask(gradus, 64, 20)
        requests, errors = requests + done.requests, errors + done.errors
        print(f"{requests:>9,} requests: {gradus.rss_mib():.1f} MiB, {errors} errors", flush=True)


def profiled(stage: Stage, options: argparse.Namespace) -> None:
    """Where the time of a request goes."""
    gradus = stage.gradus(stage.upstream())
    for connections in (1, 64):
        print(f"\n{connections} connection(s): ", end="")
        report(*profile(gradus, connections, 4 * options.seconds, stage.folder / "profile"))


WHAT: dict[str, Callable[[Stage, argparse.Namespace], None]] = {
    "compare": compare,
    "cached": cached,
    "streams": streams,
    "many-streams": many_streams,
    "memory": memory,
    "profile": profiled,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--litellm", type=Path, help="the command of litellm's proxy")
    parser.add_argument("--portkey", type=Path, help="start-server.js of Portkey's gateway")
    parser.add_argument("--granian", type=Path, help="its command, with this project in its environment")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of one turn")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--port", type=int, default=PORT, help="the ports after it are used")
    options = parser.parse_args()
    folder = work_folder()
    try:
        with Stage(folder, options.port) as stage:
            WHAT[options.what](stage, options)
    except TimeoutError as error:
        raise SystemExit(str(error)) from error
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
