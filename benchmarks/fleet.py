"""What a scan costs: runs of four sources, cold and unchanged, one process and two; logs of many ranks.

    python benchmarks/fleet.py [--runs 2000] [--ranks 1024] [--keep FOLDER] [--write docs/scale.md]

Each run has a loss of its own, in the records of tensorboardX and the layouts of the Trainer and of MLflow;
every eighth one diverges. Seconds of the processor are summed over all processes: on a shared machine they
say more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
POINTS = 1000
TAGS = ("loss", "grad_norm", "learning_rate")
START = 1_700_000_000  # UNIX seconds
RANK_BYTES = 1_000_000
ROOT_RANK = 517  # the one that fails first
LIMIT = 500  # MB beside the largest run
MARK = "<!-- written by benchmarks/fleet.py -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument(
        "--keep", type=Path, help="folder for what is made, used again if it is there"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this file")
    parser.add_argument("--measure", nargs=2, metavar=("PLAN", "ROOT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(json.loads(chosen.measure[0]), chosen.measure[1])
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        fleet, ranks = folder / f"runs-{chosen.runs}", folder / f"ranks-{chosen.ranks}"
        make_fleet(fleet, chosen.runs)
        make_ranks(ranks, chosen.ranks)
        table = "\n".join(lines(fleet, ranks, chosen.runs, chosen.ranks))
    print(table)
    if chosen.write:
        before, _, after = chosen.write.read_text().partition(MARK)
        _, _, after = after.partition(MARK)
        chosen.write.write_text(f"{before}{MARK}\n\n{table}\n\n{MARK}{after}")


def make_fleet(folder: Path, runs: int) -> None:
    if folder.exists():
        return
    partial = folder.with_suffix(".partial")
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(make_run, [partial] * runs, range(runs), chunksize=16))
    partial.rename(folder)


def make_run(folder: Path, number: int) -> None:
    """Write one run in four formats."""
    target = folder / f"run-{number:05d}"
    target.mkdir(parents=True)
    rng = np.random.default_rng(number)
    loss = (0.5 + 2 * np.exp(-np.arange(POINTS) / 200)) * rng.lognormal(0, 0.05, POINTS)
    rate = 1e-4 * (1 + number % 4)
    if number % 8 == 3:
        loss[600:] *= np.linspace(1, 12, POINTS - 600)
        rate = 1e-3
    curves = {
        "loss": loss,
        "grad_norm": loss * 3.1,
        "learning_rate": rate * np.minimum(np.arange(1, POINTS + 1) / 100, 1),
    }
    _trainer_state(target, curves)
    _event_file(target, curves)
    _printed(target, curves)
    _mlflow_folder(target, curves, number, rate)


def _trainer_state(folder: Path, curves: dict[str, np.ndarray]) -> None:
    history = [
        {
            "epoch": (at + 1) / 500,
            **{key: float(curve[at]) for key, curve in sorted(curves.items())},
            "step": at + 1,
        }
        for at in range(POINTS)
    ]
    state = {"global_step": POINTS, "log_history": history, "logging_steps": 1, "max_steps": POINTS}
    text = json.dumps(state, indent=2, sort_keys=True) + "\n"
    (folder / "trainer_state.json").write_text(text)


def _event_file(folder: Path, curves: dict[str, np.ndarray]) -> None:
    """Put this run's numbers into the records of an event file that tensorboardX wrote."""
    from loganalyze.ingest.tfrecord import framed

    values = np.stack([curves[key] for key in TAGS], axis=1).astype("<f4").ravel()
    first, *scalars = _records()
    payloads = (
        record[:-4] + value.tobytes() for record, value in zip(scalars, values, strict=True)
    )
    target = folder / "runs"
    target.mkdir()
    name = f"events.out.tfevents.{START}.host"
    (target / name).write_bytes(b"".join(map(framed, (first, *payloads))))


@cache
def _records() -> list[bytes]:
    """Return the payloads of an event file; each scalar's ends in its four bytes."""
    from tensorboardX import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for at in range(POINTS):
                for key in TAGS:
                    writer.add_scalar(f"train/{key}", 1.0, at + 1, walltime=START + at * 0.1)
        data = next(Path(folder).iterdir()).read_bytes()
    records = []
    while data:
        length = int.from_bytes(data[:8], "little")
        records.append(data[12 : 12 + length])
        data = data[16 + length :]
    return records


def _printed(folder: Path, curves: dict[str, np.ndarray]) -> None:
    with (folder / "train.log").open("w") as file:
        for at in range(POINTS):
            file.write(
                f"{{'loss': {curves['loss'][at]:.4f}, 'grad_norm': {curves['grad_norm'][at]:.12f}, "
                f"'learning_rate': {curves['learning_rate'][at]:.12e}, 'epoch': {(at + 1) / 500:.2f}}}\n"
            )


def _mlflow_folder(folder: Path, curves: dict[str, np.ndarray], number: int, rate: float) -> None:
    experiment = folder / "mlruns" / "0"
    run = experiment / f"{number:032x}"
    for part in ("metrics", "params", "tags", "artifacts"):
        (run / part).mkdir(parents=True)
    (experiment / "meta.yaml").write_text(
        "artifact_location: mlruns/0\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n"
    )
    (run / "meta.yaml").write_text(
        f"artifact_uri: mlruns/0/{run.name}/artifacts\nend_time: {START}100000\nentry_point_name: ''\n"
        f"experiment_id: '0'\nlifecycle_stage: active\nrun_id: {run.name}\nrun_name: run-{number}\n"
        f"run_uuid: {run.name}\nsource_name: ''\nsource_type: 4\nsource_version: ''\n"
        f"start_time: {START}000\nstatus: 3\ntags: []\nuser_id: user\n"
    )
    for key, curve in curves.items():
        lines = (f"{START * 1000 + at * 100} {curve[at]} {at + 1}\n" for at in range(POINTS))
        (run / "metrics" / key).write_text("".join(lines))
    settings = {"learning_rate": rate, "per_device_train_batch_size": 8 * (1 + number % 3),
                "warmup_steps": 100, "fp16": True, "weight_decay": 0.01, "optim": "adamw"}  # fmt: skip
    for key, value in settings.items():
        (run / "params" / key).write_text(str(value))


def make_ranks(folder: Path, ranks: int) -> None:
    """Write the logs of a job in which one rank fails and all others time out half a minute later."""
    if folder.exists():
        return
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True)
    rng = np.random.default_rng(0)
    body = []
    step = 0
    while sum(map(len, body)) < RANK_BYTES:
        step += 1
        loss = (0.5 + 2 * np.exp(-step / 2000)) * rng.lognormal(0, 0.05)
        body.append(_rank_line(step, float(loss), 0.5))
    for rank in range(ranks):
        with (partial / f"rank_{rank}.log").open("w") as file:
            file.write("".join(body))
            file.write(_failure(step, own=rank == ROOT_RANK % ranks))
    partial.rename(folder)


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(START + seconds))


def _rank_line(step: int, loss: float, seconds: float) -> str:
    return f"{_stamp(step * seconds)} INFO step {step} loss {loss:.4f} grad_norm {loss * 3:.4f} lr 1.00e-04\n"


def _failure(step: int, *, own: bool) -> str:
    at = _stamp(step * 0.5 + (1 if own else 31))
    error = (
        "RuntimeError: CUDA error: an illegal memory access was encountered"
        if own
        else "torch.distributed.DistBackendError: NCCL communicator was aborted: watchdog timed out"
    )
    return (
        f"{at} ERROR training failed\nTraceback (most recent call last):\n"
        f'  File "train.py", line 210, in <module>\n    loss.backward()\n{error}\n'
    )


def lines(fleet: Path, ranks: Path, runs: int, count: int) -> list[str]:
    """Measure everything; give the lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        cold = called({"index": f"{folder}/two", "workers": 2}, fleet)
        again = called({"index": f"{folder}/two", "workers": 2}, fleet)
        job = called({"index": f"{folder}/job", "workers": 2}, ranks)
        one = called({"index": f"{folder}/one", "workers": 1}, fleet)
    some = list(fleet.iterdir())[:8]
    largest = max(sum(f.stat().st_size for f in run.rglob("*") if f.is_file()) for run in some)
    named = f"rank {job['root']} named" if job["root"] is not None else "no rank named"
    peak = max(cold["peak"], one["peak"])
    free = [2 * runs / cold["cpu"], runs / one["cpu"], runs / again["cpu"]]
    rows = [
        ("work", "s", "runs/s", "processor s", "runs/s on free processors", "bar"),
        ("---", "--:", "--:", "--:", "--:", "---"),
        (f"{runs:,} runs x 4 sources, cold, 2 processes", f"{cold['seconds']:.1f}",
         f"{runs / cold['seconds']:.1f}", f"{cold['cpu']:.0f}", f"{free[0]:.0f}", ">= 40 runs/s"),
        ("the same, 1 process", f"{one['seconds']:.1f}", f"{runs / one['seconds']:.1f}", f"{one['cpu']:.0f}",
         f"{free[1]:.0f}", f"1 -> 2: {free[0] / free[1]:.2f} x, >= 1.8 x"),
        ("the same, unchanged", f"{again['seconds']:.2f}", f"{runs / again['seconds']:,.0f}",
         f"{again['cpu']:.1f}", f"{free[2]:,.0f}", ">= 1,000 runs/s"),
        (f"{count:,} rank logs of 1 MB", f"{job['seconds']:.1f}", "", f"{job['cpu']:.0f}",
         f"{job['cpu'] / 2:.0f} s", f"<= 60 s; {named}"),
    ]  # fmt: skip
    return [
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"A run takes {1000 * cold['cpu'] / runs:.0f} ms of a processor. Peak memory of a process: "
        f"{peak:.0f} MB (limit: {LIMIT + largest / 1e6:.0f}); with the rank logs {job['peak']:.0f} MB. "
        f"The index takes {cold['index'] / runs / 1000:.1f} kB a run.",
        f"Load of the machine meanwhile: {os.getloadavg()[2]:.1f} on {os.cpu_count()} processors. "
        f"Python {sys.version.split()[0]}.",
    ]


def called(plan: dict[str, object], root: Path) -> dict[str, float]:
    """Measure one scan in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps(plan), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return json.loads(
        subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    )


def measure(plan: dict[str, object], root: str) -> None:
    from loganalyze.fleet.plan import Plan
    from loganalyze.fleet.scan import scan

    start = time.perf_counter()
    found = scan(root, plan=Plan(index=Path(str(plan["index"])), workers=int(str(plan["workers"]))))
    seconds = time.perf_counter() - start
    own = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": own.ru_utime + own.ru_stime + found.costs.cpu,
                "own": own.ru_utime + own.ru_stime,
                "peak": max(own.ru_maxrss * 1024, found.costs.peak) / 1e6,
                "index": Path(str(plan["index"])).stat().st_size,
                "rows": len(found.rows),
                "root": found.jobs[0].root.rank if found.jobs and found.jobs[0].root else None,
            }
        )
    )


if __name__ == "__main__":
    main()
