"""What a tested program may ask of the kernel: a seccomp filter as the bytes of a BPF program.

An allow list: to compute, to read files, to sleep, to end. Everything else fails with EPERM: sockets, new
processes and threads, other programs, signals to others, limits, mounts, file modes, io_uring, tracing.
"""

from __future__ import annotations

import struct

_ALLOWED = {
    # name: (x86_64, aarch64); None where the architecture lacks it
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "open": (2, None),
    "openat": (257, 56),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "getdents": (78, None),
    "getdents64": (217, 61),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "sched_getaffinity": (204, 123),
    "getrandom": (318, 278),
    "umask": (95, 166),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# These two can also have the kernel send signals to other processes (F_SETOWN, FIOASYNC).
_ALLOWED_COMMANDS = {
    (72, 25): (0, 1, 2, 3, 1030),  # fcntl: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
    (16, 29): (0x5401, 0x5450, 0x5451),  # ioctl: TCGETS, FIONCLEX, FIOCLEX
}
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _COMMAND_AT = 0, 4, 24
"""Offsets in the kernel's ``struct seccomp_data``; the command is the low half of the second argument."""
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050001, 0x80000000


def seccomp_filter(machine: str) -> bytes:
    """The filter for a machine type: one ``struct sock_filter`` after another; ``KeyError`` for others.

    A call by another architecture's convention (32-bit, x32) is no way around it.
    """
    column, architecture = _ARCHITECTURES[machine]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for numbers in _ALLOWED.values():
        number = numbers[column]
        if number is not None:
            program += _allow_if(number)
    for calls, commands in _ALLOWED_COMMANDS.items():
        choices = [step for command in commands for step in _allow_if(command)]
        inner = [(_LOAD, 0, 0, _COMMAND_AT), *choices, (_RETURN, 0, 0, _DENY)]
        program += [(_JUMP_IF_EQUAL, 0, len(inner), calls[column]), *inner]
    program.append((_RETURN, 0, 0, _DENY))
    return b"".join(struct.pack("=HBBI", *step) for step in program)


def _allow_if(value: int) -> list[tuple[int, int, int, int]]:
    return [(_JUMP_IF_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
