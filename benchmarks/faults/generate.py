"""Make the runs, their logs and their labels: ``python -m benchmarks.faults.generate``.

Deterministic by seed but for times and memory; what is there is not made again (``--redo`` takes a word
that stands in the ids). Every run has one thread. What a run logged is also kept outside the repository
(``--traces``), so that ``--labels-only`` can label anew without training; a run whose trace is not there
keeps the label it has.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOGS = HERE / "logs"
LABELS = HERE / "labels.jsonl"
TRACES = HERE.parents[1] / "build" / "fault-traces"
COMPRESSED_ABOVE = 4_000  # bytes


@dataclass(frozen=True)
class Job:
    """One run to make."""

    identifier: str
    task: str
    seed: int
    kind: str  # base, fault, healthy
    which: int = 0  # place in the table of faults or of healthy runs


def jobs() -> list[Job]:
    """Return every run of the benchmark: the twins first."""
    from benchmarks.faults.runs import FAULTS, HEALTHY, TASKS

    twins = [Job(f"{t}.base.{s}", t, s, "base") for t in TASKS for s in (0, 1)]
    faults = [
        Job(f"{task}.{fault.cause}.{fault.variant}.{seed}", task, seed, "fault", place)
        for place, fault in enumerate(FAULTS)
        for task in fault.tasks
        for seed in fault.seeds
    ]
    healthy = [
        Job(f"{task}.healthy.{run.name}.{seed}", task, seed, "healthy", place)
        for place, run in enumerate(HEALTHY)
        for task in run.tasks
        for seed in run.seeds
    ]
    return [*twins, *faults, *healthy]


def make(job: Job, traces: Path) -> str:
    """Make one run; return a line that says how it went."""
    import torch

    torch.set_num_threads(1)
    began = time.perf_counter()
    folder = LOGS / job.identifier
    shutil.rmtree(folder, ignore_errors=True)
    try:
        log, facts = _run(job, folder)
    except Exception:  # noqa: BLE001 - one run must not end the others
        shutil.rmtree(folder, ignore_errors=True)
        return f"FAILED {job.identifier}\n{traceback.format_exc()}"
    facts["epoch_steps"] = log.epoch_steps
    with gzip.open(traces / f"{job.identifier}.json.gz", "wt") as file:
        json.dump({"points": log.points, "facts": facts}, file, default=float)
    _compress(folder)
    return f"{time.perf_counter() - began:5.1f} s  {job.identifier}"


def _run(job: Job, folder: Path) -> tuple[Any, dict[str, Any]]:
    from benchmarks.faults.hf import train_hf
    from benchmarks.faults.loop import train
    from benchmarks.faults.recipe import base
    from benchmarks.faults.runs import FAULTS, HEALTHY, TASKS

    recipe = base(TASKS[job.task], job.seed)
    formats = recipe.task.formats
    if job.kind != "base":
        recipe = recipe.but(format=formats[(job.which + job.seed) % len(formats)])
    if job.kind == "fault":
        recipe = FAULTS[job.which].inject(recipe)
    if job.kind == "healthy":
        recipe = HEALTHY[job.which].change(recipe)
    log = (train_hf if recipe.task.hf else train)(recipe, folder)
    return log, recipe.known()


def _compress(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > COMPRESSED_ABOVE:
            with gzip.GzipFile(f"{path}.gz", "wb", mtime=0) as packed:
                packed.write(path.read_bytes())
            path.unlink()


def label(traces: Path) -> list[dict[str, Any]]:
    """Return the labels of all runs that were made."""
    from benchmarks.faults.labels import findings
    from benchmarks.faults.runs import FAULTS, HELD_OUT

    kept = {entry["id"]: entry for entry in map(json.loads, LABELS.read_text().splitlines())}
    labels = []
    for job in jobs():
        run = _trace(traces, job.identifier)
        split = "held-out" if job.task in HELD_OUT else "dev"
        if run is None:
            if job.identifier in kept:
                labels.append({**kept[job.identifier], "split": split})
            continue
        entry: dict[str, Any] = {
            "id": job.identifier, "task": job.task, "seed": job.seed,
            "split": split, "healthy": job.kind != "fault",
            "cause": None, "accepted": [], "findings": [], "also": [],
        }  # fmt: skip
        if job.kind == "fault":
            twin = _trace(traces, f"{job.task}.base.{job.seed}")
            assert twin is not None
            fault = FAULTS[job.which]
            entry |= {"cause": fault.cause, "accepted": [fault.cause, *fault.also]}
            entry["findings"], entry["also"] = findings(run, twin)
        labels.append(entry)
    return labels


def _trace(traces: Path, identifier: str) -> Any:
    from benchmarks.faults.labels import Trace

    path = traces / f"{identifier}.json.gz"
    if not path.exists():
        return None
    with gzip.open(path, "rt") as file:
        return Trace(**json.load(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, default=TRACES)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--redo", metavar="WORD", help="make runs with this in their id again")
    parser.add_argument("--labels-only", action="store_true")
    chosen = parser.parse_args()
    chosen.traces.mkdir(parents=True, exist_ok=True)
    os.nice(10)
    os.environ["OMP_NUM_THREADS"] = "1"
    LOGS.mkdir(exist_ok=True)
    wanted = [
        job
        for job in jobs()
        if not (LOGS / job.identifier).exists() or (chosen.redo and chosen.redo in job.identifier)
    ]
    if not chosen.labels_only:
        with multiprocessing.get_context("spawn").Pool(chosen.workers, maxtasksperchild=40) as pool:
            done = [pool.apply_async(make, (job, chosen.traces)) for job in wanted]
            for number, result in enumerate(done, 1):
                print(f"{number}/{len(done)} {result.get()}", flush=True)
    names = {job.identifier for job in jobs()}
    for folder in LOGS.iterdir():
        if folder.name not in names:
            shutil.rmtree(folder)
    lines = [json.dumps(entry) for entry in label(chosen.traces)]
    LABELS.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} labels", file=sys.stderr)


if __name__ == "__main__":
    main()
