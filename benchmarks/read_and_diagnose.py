"""How long reading and diagnosing takes, beside the plainest possible reader of the same bytes.

    python benchmarks/read_and_diagnose.py

Prints one table. Every ratio is of times taken in this run, on this machine; absolute times of a shared
machine say little.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import loganalyze as la

ENTRIES = 100_000
REPEATS = 3


def best(work: Callable[[], object]) -> float:
    """Return the shortest of a few wall-clock times, in seconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def losses() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.5 + 2 * np.exp(-np.arange(ENTRIES) / 2e4)) * rng.lognormal(0, 0.05, ENTRIES)


def write_state(folder: Path) -> Path:
    history = [
        {
            "epoch": i / 1000,
            "grad_norm": 1.0,
            "learning_rate": 1e-5,
            "loss": float(value),
            "step": i,
        }
        for i, value in enumerate(losses(), 1)
    ]
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"log_history": history, "global_step": ENTRIES}))
    return path


def write_log(folder: Path) -> Path:
    path = folder / "train.log"
    path.write_text("".join(f"step {i} loss={v:.4f} lr=1e-5\n" for i, v in enumerate(losses(), 1)))
    return path


def write_events(folder: Path) -> Path:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder / "tb")) as writer:
        for step, value in enumerate(losses(), 1):
            writer.add_scalar("train/loss", value, step)
    return next((folder / "tb").iterdir())


def plain_json(path: Path) -> object:
    import orjson

    return orjson.loads(path.read_bytes())


def plain_lines(path: Path) -> object:
    return [line.split() for line in path.read_text().splitlines()]


def plain_events(path: Path) -> object:
    from tbparse import SummaryReader

    return SummaryReader(str(path)).scalars


def main() -> None:
    print(f"{'source':<20}{'MB':>7}{'read s':>9}{'MB/s':>8}{'beside':>22}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for write, plain, beside in (
            (write_state, plain_json, "orjson.loads"),
            (write_log, plain_lines, "str.split"),
            (write_events, plain_events, "tbparse"),
        ):
            path = write(folder)
            size = path.stat().st_size / 1e6
            ours, theirs = best(lambda p=path: la.load(p)), best(lambda p=path, r=plain: r(p))
            print(
                f"{path.name[:19]:<20}{size:>7.1f}{ours:>9.2f}{size / ours:>8.1f}{beside:>22}"
                f"{ours / theirs:>8.2f}"
            )
        run = la.load(folder / "trainer_state.json")
        took = best(lambda: la.diagnose(run))
        print(
            f"diagnose {ENTRIES:,} steps x {run.metrics['metric'].nunique()} metrics: {took:.2f} s"
        )


if __name__ == "__main__":
    main()
