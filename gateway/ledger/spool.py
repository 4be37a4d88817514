"""What a gateway process reserved and settled, line by line in a file of its own, before it acts on it.

A write(2) without fsync: it outlives the process, not the machine. Lines are

    R RECORD                  reserved, and about to be spent
    S NUMBER RESERVED ENTRY   settled, and what had been reserved
    C ID                      cancelled: nothing was spent (the id as JSON)
    N NUMBER                  what was settled up to this number is in the journal, and no longer here

A lock beside the file tells the living from the dead: the kernel gives it up with the process.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from pydantic_core import to_jsonable_python

from cost_model.budget import usd, windows
from gateway.entries import Entry
from gateway.ledger.journal import Numbered
from gateway.ledger.lock import Lock

log = logging.getLogger(__name__)

UNREADABLE = "what it came to was written down and cannot be read; the gateway's log has it"

to_json: Final = msgspec.json.Encoder(enc_hook=to_jsonable_python).encode
"""By itself it takes exact types only: no number of numpy's, say."""
_read_entry: Final = msgspec.json.Decoder(Entry).decode


Where = tuple[tuple[str, ...], tuple[str, str, str]]
"""What an amount counts in: scopes, and windows as of :func:`cost_model.budget.windows`."""


class Record(NamedTuple):
    """An open reservation as files and Redis keep it. ``reserved`` (picodollars) is ``None`` if unknown."""

    id: str
    at: str
    reserved: int | None
    key_id: str | None
    team_id: str | None

    @property
    def where(self) -> Where:
        return scopes_of(self.key_id, self.team_id), windows(datetime.fromisoformat(self.at))


def encode(record: Record) -> str:
    return to_json(record).decode()


def decode(text: str | bytes) -> Record:
    return Record(*json.loads(text))


def scopes_of(key_id: str | None, team_id: str | None) -> tuple[str, ...]:
    """The scopes of :attr:`gateway.accounts.Account.scopes`, in their order."""
    found = ["all"]
    if key_id is not None:
        found.append(f"key:{key_id}")
    if team_id is not None:
        found.append(f"team:{team_id}")
    return tuple(found)


class Spool:
    """The file of this process; its methods are called from one thread, but :meth:`read` from any.

    ``fault`` is why nothing can be written, where the last line could not be.
    """

    def __init__(self, folder: Path, gateway_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.path = self.path_of(gateway_id)
        self._lock = Lock(self.path)
        if not self._lock.take() or self.path.exists():
            raise FileExistsError(f"{self.path} is another process's: a gateway id is used once")
        self._file = _append_to(self.path)
        self.number = 0
        self.size = os.fstat(self._file).st_size
        self._owed = b""
        self.fault: str | None = None

    def path_of(self, gateway_id: str) -> Path:
        return self._folder / f"{gateway_id}.spool"

    def reserved(self, records: Iterable[str]) -> None:
        """Raises :class:`OSError` where nothing can be written: then nothing may be spent either."""
        self._write("".join([f"R {record}\n" for record in records]).encode())

    def settled(self, entry: Entry, reserved: int) -> int:
        """Number the entry and write it."""
        self.number += 1
        self._write_now_or_later(_line(Settled(Numbered(self.number, entry), reserved)))
        return self.number

    def cancelled(self, id: str) -> None:
        self._write_now_or_later(b"C %b\n" % to_json(id))

    def read(self, start: int, end: int, most: int) -> tuple[list[Numbered], int]:
        """The settled entries from one offset up to another, at most so many; and the offset after them."""
        with self.path.open("rb") as file:
            file.seek(start)
            found: list[Numbered] = []
            while start < end and len(found) < most:
                line = file.readline()
                start += len(line)
                if line.startswith(b"S ") and (settled := _settled(line)) is not None:
                    found.append(settled.numbered)
        return found, start

    def shorten(self, offset: int, records: Iterable[str]) -> None:
        """Drop what is before the offset, except that these reservations are open. Offsets begin anew."""
        with self.path.open("rb") as file:
            file.seek(offset)
            tail = file.read()
        fresh = self.path.with_suffix(".new")
        open = "".join([f"R {record}\n" for record in records])
        fresh.write_bytes(f"N {self.number}\n{open}".encode() + tail)
        fresh.replace(self.path)
        os.close(self._file)
        self._file = _append_to(self.path)
        self.size = os.fstat(self._file).st_size

    def close(self, *, delete: bool) -> None:
        if delete:
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._lock.free(delete=delete)

    def _write_now_or_later(self, line: bytes) -> None:
        """What has happened already is kept in memory while the disk is full, and goes with the next line."""
        try:
            self._write(line)
        except OSError as error:
            log.error("%s cannot be written (%s); kept in memory: %r", self.path, error, line)
            self._owed += line

    def _write(self, lines: bytes) -> None:
        lines = self._owed + lines
        try:
            written = os.write(self._file, lines)
            if written < len(lines):
                os.ftruncate(self._file, self.size)
                raise OSError(errno.ENOSPC, f"{written} of {len(lines)} bytes written")
        except OSError as error:
            self.fault = f"{self.path}: {error.strerror or error}"
            raise
        self._owed, self.fault = b"", None
        self.size += written


class Settled(NamedTuple):
    """A settled entry, and the picodollars that had been reserved for it."""

    numbered: Numbered
    reserved: int


class Left(NamedTuple):
    """What a file says: what was settled, by number; what nobody settled; the number that was given last."""

    told: list[Settled]
    open: list[Record]
    number: int


def left_in(path: Path) -> Left:
    """Of another process. Raises :class:`FileNotFoundError`."""
    told: list[Settled] = []
    open: dict[str, Record] = {}
    number = 0
    with path.open("rb") as file:
        for line in file:
            kind, _, rest = line.rstrip(b"\n").partition(b" ")
            if kind == b"R" and (record := _record(rest)) is not None:
                open[record.id] = record
            elif kind == b"C":
                open.pop(_cancelled(rest) or "", None)
            elif kind == b"S" and (settled := _settled(line)) is not None:
                told.append(settled)
                open.pop(settled.numbered.entry.id, None)
                number = max(number, settled.numbered.number)
            elif kind == b"N" and rest.isdigit():
                number = max(number, int(rest))
    return Left(told, list(open.values()), number)


class DeadSpool:
    """The file of a process that is gone, ours as long as we hold its lock."""

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path, self._lock = path, lock
        self.gateway_id = path.stem

    def read(self) -> Left:
        return left_in(self.path)

    def append(self, told: Iterable[Settled]) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(map(_line, told)))

    def close(self, *, delete: bool) -> None:
        if delete:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".new").unlink(missing_ok=True)
        self._lock.free(delete=delete)


def dead_spools(folder: Path) -> Iterator[DeadSpool]:
    """Every file whose process is gone, each locked until it is closed."""
    for path in sorted(folder.glob("*.spool")):
        lock = Lock(path)
        if lock.take():
            if path.exists():
                yield DeadSpool(path, lock)
            else:  # somebody was faster
                lock.free(delete=True)


def _append_to(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _line(settled: Settled) -> bytes:
    (number, entry), reserved = (settled.numbered.number, settled.numbered.entry), settled.reserved
    return b"S %d %d %b\n" % (number, reserved, to_json(entry))


def lost(record: Record, why: str) -> Entry:
    """Of a request of which only this is known: billed what was reserved."""
    return Entry(
        id=record.id,
        at=datetime.fromisoformat(record.at),
        status="lost",
        billed_usd=usd(record.reserved or 0),
        estimated=True,
        key_id=record.key_id,
        team_id=record.team_id,
        error=why,
    )


def _settled(line: bytes) -> Settled | None:
    try:
        _, number, reserved, text = line.split(b" ", 3)
        try:
            entry = _read_entry(text)
        except ValueError:  # msgspec's errors are such
            said = json.loads(text)
            record = Record(said["id"], said["at"], int(reserved), said["key_id"], said["team_id"])
            entry = lost(record, UNREADABLE)
            log.error("a line of a spool is no entry; billed is what was reserved: %r", line)
        return Settled(Numbered(int(number), entry), int(reserved))
    except (ValueError, KeyError, TypeError):
        log.error("a line of a spool is torn and left out: %r", line)
        return None


def _cancelled(text: bytes) -> str | None:
    try:
        return str(json.loads(text))
    except ValueError:
        log.error("a line of a spool is torn and left out: %r", text)
        return None


def _record(text: bytes) -> Record | None:
    try:
        return decode(text)
    except (ValueError, TypeError):
        log.error("a line of a spool is torn and left out: %r", text)
        return None
