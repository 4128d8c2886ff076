"""Many tasks on the processors of this machine: every one is answered once, also if its process dies."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from loganalyze.errors import LogAnalyzeError

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 4  # tasks per process that are handed out before they are needed
LEAST_MEMORY = 1_000_000_000  # bytes that a process may use at least
SHARE = 0.8  # of the free memory, for all processes together
WARM = "loganalyze.fleet.warm"


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_for_each(workers: int) -> int:
    """Return the bytes that each of some processes may use, so that together they fit into what is free."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return LEAST_MEMORY
    return max(int(free * SHARE / workers), LEAST_MEMORY)


def run_tasks(
    work: Callable[[T], R],
    tasks: Sequence[T],
    lost: Callable[[T], R],
    *,
    workers: int,
    memory: int,
) -> Iterator[R]:
    """Yield the result of `work` for each task, as they come.

    Parameters
    ----------
    lost
        Makes the result of a task whose process died, twice, the second time with no other task beside it.
    workers
        Number of processes.
    memory
        Bytes that each of them may use; what needs more gets a `MemoryError`.
    """
    waiting = list(reversed(tasks))
    suspects: list[T] = []
    while waiting or suspects:
        with _pool(workers, memory) as pool:
            if suspects:
                task = suspects.pop()
                try:
                    yield _submitted(pool, work, task).result()
                except BrokenProcessPool:
                    yield lost(task)
                    continue
            if not suspects:
                suspects = yield from _drain(pool, work, waiting, workers * AHEAD)


def _drain(
    pool: ProcessPoolExecutor, work: Callable[[T], R], waiting: list[T], ahead: int
) -> Generator[R, None, list[T]]:
    """Work off what is waiting; return what was under way when a process died."""
    running: dict[Future[R], T] = {}
    while waiting or running:
        try:
            while waiting and len(running) < ahead:
                running[_submitted(pool, work, waiting[-1])] = waiting[-1]
                waiting.pop()
        except BrokenProcessPool:
            if not running:
                raise LogAnalyzeError("no worker process could be started") from None
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        broken = []
        for future in done:
            try:
                result = future.result()
            except BrokenProcessPool:
                broken.append(running.pop(future))
                continue
            running.pop(future)
            yield result
        if broken:
            return [*broken, *running.values()]
    return []


def _submitted(pool: ProcessPoolExecutor, work: Callable[[T], R], task: T) -> Future[R]:
    """Hand out a task; a process that is started for it does not run the script that called us again.

    `multiprocessing` imports the main module into each process, for functions that stand in it. Ours do not,
    and a script without a guard, or one read from standard input, could not be imported.
    """
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), main.__dict__.pop("__file__", None)
    main.__spec__ = None
    try:
        return pool.submit(work, task)
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


@contextmanager
def _pool(workers: int, memory: int) -> Iterator[ProcessPoolExecutor]:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([WARM])
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare, initargs=(memory, dict(os.environ))
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare(limit: int, environment: dict[str, str]) -> None:
    """Let this process use no more than `limit` bytes, where the system can do that.

    It gets the environment of the scan: the process that it was made from may be older, and clients of object
    stores take their credentials from there.
    """
    os.environ.clear()
    os.environ.update(environment)
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
