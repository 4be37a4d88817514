"""Replays recorded traffic: some thousand questions at a time, in several processes where that helps."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

from router.outcome_files import iter_outcomes
from router.replay.chunks import Chunk
from router.replay.contenders import Contender, open_contenders
from router.replay.deciding import Replayer
from router.replay.tally import Tally

CHUNK_QUESTIONS: Final = 4096
_WORTH_A_PROCESS: Final = 20_000_000
"""Bytes of a file: for less, another process is ready later than the first one is done."""
_POLL_S: Final = 0.2

_done: Any = None
"""In a process of its own: how many questions each part is through with."""


def processes_for(paths: Sequence[Path]) -> int:
    """As many as there are cores, for files that are worth it."""
    size = sum(path.stat().st_size for path in paths if path.exists())
    return max(1, min(os.cpu_count() or 1, size // _WORTH_A_PROCESS))


def replay(
    contenders: Sequence[Contender],
    paths: Sequence[Path],
    *,
    part: tuple[int, int] = (0, 1),
    on_questions: Callable[[int], None] = lambda _: None,
    chunk_questions: int = CHUNK_QUESTIONS,
) -> Tally:
    """Play all contenders on the questions of the files; ``on_questions`` is told how many are done.

    ``part`` (k, n): only the k-th of n parts. Raises :class:`router.errors.OutcomesInvalid`.
    """
    replayers = [Replayer(each) for each in contenders]
    tally, done = Tally(), 0
    for path in paths:
        for table in iter_outcomes(path, chunk_questions, part=part):
            chunk = Chunk(table)
            tally.add(table, [each.decide(chunk) for each in replayers])
            done += len(table)
            on_questions(done)
    return tally


def replay_in_processes(
    references: Sequence[str],
    env: Mapping[str, str],
    paths: Sequence[Path],
    processes: int,
    on_questions: Callable[[int], None],
) -> Tally:
    """The same in ``processes``, each of which opens the contenders for itself."""
    context = multiprocessing.get_context("spawn")
    done = context.Array("q", processes)
    tally = Tally()
    with ProcessPoolExecutor(processes, context, initializer=_share, initargs=(done,)) as pool:
        parts = [
            pool.submit(_replay_part, list(references), dict(env), list(paths), (part, processes))
            for part in range(processes)
        ]
        waiting = set(parts)
        while waiting:
            finished, waiting = wait(waiting, timeout=_POLL_S)
            on_questions(sum(done[:]))
            for part in finished:
                if part.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                part.result()
        for part in parts:
            tally.merge(part.result())
    return tally


def _share(done: Any) -> None:
    global _done  # noqa: PLW0603  (an argument cannot carry shared memory to a process)
    _done = done
    gc.disable()  # looking for cycles among millions of tuples costs a tenth of the time, and finds none


def _replay_part(
    references: list[str], env: dict[str, str], paths: list[Path], part: tuple[int, int]
) -> Tally:
    def tell(questions: int) -> None:
        _done[part[0]] = questions

    return replay(open_contenders(references, env), paths, part=part, on_questions=tell)
