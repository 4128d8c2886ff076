"""The same tasks on an existing Dask cluster: its scheduler gives those of a lost worker to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from loganalyze.errors import MissingExtra, NothingReadable

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 8  # tasks per thread of the cluster that it knows of at a time
ANSWER = 20  # seconds to wait for the scheduler


def run_on_cluster(
    work: Callable[[T], R], tasks: Sequence[T], lost: Callable[[T], R], *, address: str
) -> Iterator[R]:
    """Yield the result of `work` for each task, as they come, each once.

    Workers need the same version of loganalyze, and paths that mean the same there.

    Raises
    ------
    MissingExtra
        If Dask is not installed.
    NothingReadable
        If no scheduler answers at `address`.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise MissingExtra(
            "--dask needs the extra `fleet`: pip install 'loganalyze[fleet]'"
        ) from None
    try:
        client: Any = Client(address, timeout=ANSWER, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise NothingReadable(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        threads = sum(client.nthreads().values()) or 1
        waiting = list(reversed(tasks))
        running: dict[str, T] = {}

        def submit() -> Any:
            task = waiting.pop()
            future = client.submit(work, task, pure=False)
            running[future.key] = task
            return future

        first = [submit() for _ in range(min(len(waiting), threads * AHEAD))]
        done: Any = as_completed(first, loop=client.loop)  # type: ignore[no-untyped-call]
        for future in done:
            task = running.pop(future.key)
            result = lost(task) if future.status != "finished" else future.result()
            future.release()
            if waiting:
                done.add(submit())
            yield result
