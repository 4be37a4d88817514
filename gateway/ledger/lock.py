"""A lock beside a file, which the kernel gives up with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Lock:
    """Of the file ``path``; of several processes one holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_suffix(".lock")
        self._file = -1

    def take(self) -> bool:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            return False
        return True

    def free(self, *, delete: bool) -> None:
        if delete:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
