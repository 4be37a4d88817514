"""Replays recorded traffic: some thousand questions at a time, in several processes where that helps."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from router.outcome_files import Together, check_together, iter_outcomes
from router.replay.chunks import Chunk
from router.replay.contenders import Contender
from router.replay.deciding import Replayer
from router.replay.tally import Tally

CHUNK_QUESTIONS: Final = 4096
_WORTH_A_PROCESS: Final = 20_000_000
"""Bytes of a file: for less, another process is ready later than the first one is done."""
_POLL_S: Final = 0.2

_done: Any = None
_contenders: Sequence[Contender] = ()
"""In a process of its own: how many questions each part is through with, and who plays them."""


@dataclass(frozen=True, slots=True)
class Part:
    """What came of some of the questions, of all files."""

    tally: Tally
    together: Together


def processes_for(paths: Sequence[Path]) -> int:
    """As many as there are cores, for files that are worth it."""
    size = sum(path.stat().st_size for path in paths if path.exists())
    return max(1, min(os.cpu_count() or 1, size // _WORTH_A_PROCESS))


def replay(
    contenders: Sequence[Contender],
    paths: Sequence[Path],
    *,
    on_questions: Callable[[int], None] = lambda _: None,
    chunk_questions: int = CHUNK_QUESTIONS,
) -> Tally:
    """Play all contenders on the questions of the files; ``on_questions`` is told how many are done.

    Raises :class:`router.errors.OutcomesInvalid`.
    """
    return whole([replay_part(contenders, paths, (0, 1), on_questions, chunk_questions)], paths)


def replay_in_processes(
    contenders: Sequence[Contender],
    paths: Sequence[Path],
    processes: int,
    on_questions: Callable[[int], None],
) -> Tally:
    """The same in ``processes``."""
    context = multiprocessing.get_context("spawn")
    done = context.Array("q", processes)
    with ProcessPoolExecutor(
        processes, context, initializer=_share, initargs=(done, tuple(contenders))
    ) as pool:
        parts = [pool.submit(_replay_part, list(paths), (part, processes)) for part in range(processes)]
        waiting = set(parts)
        while waiting:
            finished, waiting = wait(waiting, timeout=_POLL_S)
            on_questions(sum(done[:]))
            for part in finished:
                if part.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                part.result()
        return whole([part.result() for part in parts], paths)


def replay_part(
    contenders: Sequence[Contender],
    paths: Sequence[Path],
    part: tuple[int, int],
    on_questions: Callable[[int], None] = lambda _: None,
    chunk_questions: int = CHUNK_QUESTIONS,
) -> Part:
    """The k-th of n parts (k, n)."""
    replayers = [Replayer(each) for each in contenders]
    tally, done, together = Tally(), 0, Together()
    for path in paths:
        for table in iter_outcomes(path, chunk_questions, part=part):
            chunk = Chunk(table)
            tally.add(table, [each.decide(chunk) for each in replayers])
            together.add(table.ids)
            done += len(table)
            on_questions(done)
    return Part(tally, together)


def whole(parts: Sequence[Part], paths: Sequence[Path]) -> Tally:
    """All parts. Raises :class:`OutcomesInvalid` for rows of a question that did not stand together."""
    check_together(paths, [part.together for part in parts])
    tally = Tally()
    for part in parts:
        tally.merge(part.tally)
    return tally


def _share(done: Any, contenders: Sequence[Contender]) -> None:
    global _done, _contenders  # an argument cannot carry shared memory to a process
    _done, _contenders = done, contenders
    gc.disable()  # looking for cycles among millions of tuples costs a tenth of the time, and finds none


def _replay_part(paths: list[Path], part: tuple[int, int]) -> Part:
    def tell(questions: int) -> None:
        _done[part[0]] = questions

    return replay_part(_contenders, paths, part, tell)
