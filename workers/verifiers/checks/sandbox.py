"""Runs Python that a model wrote, where it can compute and do nothing else.

Each program has a process of its own, which locks itself in before it runs a line of it:

- time: a clock that the worker watches, and processor seconds (RLIMIT_CPU);
- memory: RLIMIT_AS; a report of at most 1 MiB (RLIMIT_FSIZE); 64 open files; no core dumps;
- processes and network: a seccomp filter allows computing, reading and sleeping. No threads, no processes,
  no sockets, no signals to others (:mod:`workers.verifiers.checks.syscalls`);
- files: Landlock hides all but the standard library and the system's shared libraries; none can be written.
  Nothing of /proc, no environment, no configuration, no weights can be opened;
- rights: all capabilities are dropped, and exec cannot give any back. It also holds for root;
- nothing of the worker is inherited: an empty environment, no open files, no module but the standard
  library's. It dies with the worker.

Where the kernel cannot do all of this nothing is run (:class:`workers.errors.SandboxUnavailable`): it takes
Linux 5.13 with Landlock, on x86-64 or 64-bit ARM.

Not hidden: that a file exists, and its size; the clock; the machine's name and memory; packages that lie in
the folder of the standard library. And tests run in the process of the program that they test: one that is
written to deceive its tests, not merely wrong, can.
"""

from __future__ import annotations

import json
import math
import os
import platform
import secrets
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workers.errors import SandboxUnavailable
from workers.verifiers.checks.syscalls import seccomp_filter

_PROGRAM = Path(__file__).with_name("sandbox_child.py")
_REPORT_BYTES = 1 << 20
_CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
_running = threading.BoundedSemaphore(_CPUS)
"""Programs that run at once in this worker, whatever the number of jobs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use: ``timeout_s`` by the clock and, rounded up, of the processor."""

    timeout_s: float
    memory_bytes: int


USUAL_LIMITS = Limits(timeout_s=5.0, memory_bytes=512 << 20)


@dataclass(frozen=True, slots=True)
class Trial:
    """A program, and what to do with it: call ``entry_point`` with each of ``cases``, then run ``tests``.

    Functions that ``tests`` defines are run if their name starts with "test"; a function ``check`` is called
    with the entry point.
    """

    source: str
    tests: str = ""
    entry_point: str | None = None
    cases: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a trial: it "finished", "raised" (``detail`` says what), or was "stopped" by a limit.

    ``returned`` has a text a case; equal texts mean equal results.
    """

    outcome: Literal["finished", "raised", "stopped"]
    detail: str
    returned: tuple[str, ...] = ()


def require_sandbox() -> None:
    """Raises :class:`workers.errors.SandboxUnavailable` where programs cannot be isolated."""
    run(Trial("import json"), USUAL_LIMITS)


def run_all(trials: Sequence[Trial], limits: Limits) -> tuple[Ran, ...]:
    """What came of each trial, in order; as many at once as there are processors.

    Raises :class:`workers.errors.SandboxUnavailable`.
    """
    with ThreadPoolExecutor(_CPUS, thread_name_prefix="sandbox") as pool:
        return tuple(pool.map(lambda trial: run(trial, limits), trials))


def run(trial: Trial, limits: Limits) -> Ran:
    """What came of one trial. Raises :class:`workers.errors.SandboxUnavailable`."""
    token = secrets.token_hex(16)
    with tempfile.TemporaryFile() as orders, tempfile.TemporaryFile() as report, _running:
        orders.write(json.dumps(_orders(trial, limits, token)).encode())
        orders.seek(0)
        ended = _watch(orders, report, limits.timeout_s)
        report.seek(0)
        said = report.read(_REPORT_BYTES)
    try:
        found = json.loads(said)
        if not secrets.compare_digest(str(found["token"]), token):
            raise ValueError("not our report")
    except (ValueError, TypeError, KeyError, RecursionError):
        return Ran("stopped", ended)
    if "refused" in found:
        raise SandboxUnavailable(f"programs cannot be isolated on this machine: {found['refused']}")
    return Ran(found["outcome"], found["detail"], tuple(found["returned"]))


def _orders(trial: Trial, limits: Limits, token: str) -> dict[str, Any]:
    try:
        steps = seccomp_filter(platform.machine())
    except KeyError as machine:
        raise SandboxUnavailable(
            f"programs can be isolated on x86_64 and aarch64, not on {machine}"
        ) from None
    return {
        "token": token,
        "parent": os.getpid(),
        "filter": steps.hex(),
        "readable": _readable(),
        "memory_bytes": limits.memory_bytes,
        "processor_s": _processor_s(limits),
        "report_bytes": _REPORT_BYTES,
        "source": trial.source,
        "tests": trial.tests,
        "entry_point": trial.entry_point,
        "cases": trial.cases,
    }


def _processor_s(limits: Limits) -> int:
    return math.ceil(limits.timeout_s)


def _readable() -> list[str]:
    """What importing from the standard library reads."""
    paths = {
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        str(Path(os.__file__).parent),
        sysconfig.get_config_var("LIBDIR"),
        *(
            "/lib",
            "/lib64",
            "/usr/lib",
            "/usr/lib64",
            "/etc/ld.so.cache",
            "/usr/share/zoneinfo",
            "/dev/urandom",
        ),
    }
    return sorted(path for path in paths if path and Path(path).exists())


def _watch(orders: Any, report: Any, timeout_s: float) -> str:
    """Run the child to its end, or to the end of its time; how it ended."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_PROGRAM)],
        stdin=orders,
        stdout=report,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        code = child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return f"it ran longer than {timeout_s:g} s"
    finally:
        child.kill()
        child.wait()
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"it left with code {code}"
