"""The process that a tested program runs in. Run as a script, alone: it imports only the standard library.

Reads its orders from standard input, locks itself in, runs the program, and writes what came of it to
standard output, which is a file of limited size. Whatever cannot be locked is said, and nothing is run.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import struct
import sys
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_PATH = 1
_EVERY_ACCESS = (1 << 13) - 1  # of the first version of Landlock: run, read, write, list, make, remove
_READ_FILE, _WRITE_FILE, _READ_FOLDER = 1 << 2, 1 << 1, 1 << 3
_CAPABILITY_VERSION = 0x20080522
_OPEN_FILES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    orders = json.load(sys.stdin)
    report = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # what it reads is empty, what it prints is lost
        os.dup2(nothing, standard)
    try:
        _lock(orders)
    except OSError as error:
        found: dict[str, Any] = {"refused": str(error)}
    else:
        found = _run(orders)
    os.write(report, json.dumps({**found, "token": orders["token"]}).encode())
    os._exit(0)  # no exit handlers of the program


def _lock(orders: dict[str, Any]) -> None:
    _call("dying with the worker", _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != orders["parent"]:
        raise OSError("the worker is gone")
    for limit, most in (
        (resource.RLIMIT_AS, orders["memory_bytes"]),
        (resource.RLIMIT_CPU, orders["processor_s"]),
        (resource.RLIMIT_FSIZE, orders["report_bytes"]),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    _call("no_new_privs", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _hide_files(orders["readable"])
    nobody = ctypes.create_string_buffer(struct.pack("=6I", 0, 0, 0, 0, 0, 0))
    itself = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0))
    _call("dropping capabilities", _libc.capset(itself, nobody))
    steps = ctypes.create_string_buffer(bytes.fromhex(orders["filter"]))
    size = struct.calcsize("=HBBI")
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(bytes.fromhex(orders["filter"])) // size, ctypes.addressof(steps))
    )
    _call("seccomp", _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0))


def _hide_files(readable: list[str]) -> None:
    """Landlock: of the files, only these and what is below them can be opened, and only to be read."""
    handled = ctypes.create_string_buffer(struct.pack("=Q", _EVERY_ACCESS), 8)
    rules = _libc.syscall(_LANDLOCK_CREATE, handled, ctypes.c_size_t(8), 0)
    _call("Landlock (Linux 5.13 or newer, switched on)", rules)
    for path in readable:
        allowed = _READ_FILE | (_READ_FOLDER if os.path.isdir(path) else 0)
        _allow(rules, path, allowed)
    _allow(rules, os.devnull, _READ_FILE | _WRITE_FILE)
    _call("Landlock", _libc.syscall(_LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, allowed: int) -> None:
    at = os.open(path, os.O_PATH)
    rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, at), 12)
    _call(f"Landlock for {path}", _libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH, rule, 0))
    os.close(at)


def _call(what: str, result: int) -> None:
    if result < 0:
        raise OSError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _run(orders: dict[str, Any]) -> dict[str, Any]:
    cases = [json.dumps(case) for case in orders["cases"]]
    space: dict[str, Any] = {"__name__": "program"}
    returned: list[str] = []
    try:
        exec(compile(orders["source"], "<program>", "exec"), space)
        for case in cases:
            returned.append(_result(space[orders["entry_point"]], json.loads(case)))
        _run_tests(orders, space)
    except BaseException as error:  # SystemExit is a failure too
        return {"outcome": "raised", "detail": _name(error), "returned": []}
    return {"outcome": "finished", "detail": "", "returned": returned}


def _run_tests(orders: dict[str, Any], space: dict[str, Any]) -> None:
    """Run the tests' source, then the ``test...`` functions it defines, and ``check`` on the entry point."""
    before = dict(space)
    exec(compile(orders["tests"], "<tests>", "exec"), space)
    added = {name: value for name, value in space.items() if value is not before.get(name)}
    for name, value in added.items():
        if name.startswith("test") and callable(value):
            value()
    if orders["entry_point"] and callable(added.get("check")):
        added["check"](space[orders["entry_point"]])


def _result(function: Any, arguments: list[Any]) -> str:
    """What a call gives, as text: JSON where it can be, else what Python prints, without addresses."""
    try:
        value = function(*arguments)
    except Exception as error:
        return f"raises {type(error).__name__}"
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        shown = sorted(map(repr, value)) if isinstance(value, set | frozenset) else repr(value)
        return re.sub(r" at 0x[0-9a-f]+", "", f"{type(value).__name__} {shown}")


def _name(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except Exception:
        return type(error).__name__


if __name__ == "__main__":
    main()
