"""What the monitor costs, and whom it stops: ``python benchmarks/monitor.py [--write docs/watch.md]``.

Stops: the runs of `faults/` are replayed point by point into a `Monitor` that stops on critical findings. A
healthy run must never be stopped. Of those with a fault, the ones are counted whose whole log has a finding
that is reason to stop: how many are stopped before their end, and how much of them is saved.

Cost: the median of `Monitor.log` over a run (bar: 50 microseconds), all of it together, and the share of a
step's time with layers measured every 100 steps (bar: 1 %), on a small transformer.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import multiprocessing
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loganalyze.diagnosis import diagnose
from loganalyze.ingest import load
from loganalyze.live.judge import AT_THE_END
from loganalyze.live.stopping import NOT_YET, SURE
from loganalyze.monitor import Monitor
from loganalyze.monitor.layers import Layers
from loganalyze.run import Run

FAULTS = Path(__file__).parent / "faults"
MARK = "<!-- written by benchmarks/monitor.py -->\n"
BAR_LOG = 50.0  # microseconds, the median
BAR_LAYERS = 0.01  # share of a step's time
EVERY = 100  # steps between two measurements of layers


@dataclass(frozen=True)
class Replay:
    """One run, replayed: where it was stopped, if it was, of how many log points."""

    id: str
    split: str
    healthy: bool
    doomed: bool  # its whole log has a finding that is reason to stop
    points: int
    stopped: int | None
    by: str
    onset: int  # log points before the first step that the finding is about


def unpacked(name: str, folder: Path) -> Path:
    target = folder / "run"
    shutil.copytree(FAULTS / "logs" / name, target)
    for packed in target.rglob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return target


def points(run: Run) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the numbers of each step, in the order of the steps."""
    rows: dict[int, dict[str, float]] = {}
    for metric in run.preferred:
        series = run.series(metric)
        for step, value in zip(series.step.tolist(), series.value.tolist(), strict=True):
            rows.setdefault(step, {})[metric] = value
    yield from sorted(rows.items())


def replay(label: dict) -> Replay | None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        run = load(unpacked(label["id"], Path(folder)))
        reasons = [
            finding
            for finding in diagnose(run).findings
            if finding.severity.value == "critical"
            and finding.confidence >= SURE
            and finding.id not in (*AT_THE_END, *NOT_YET)
        ]
        settings = {key: value.value for key, value in run.config.items()}
        monitor = Monitor(
            Path(folder) / "monitor",
            planned_steps=run.planned_steps,
            config=settings,
            stop_on="critical",
        )
        stopped, count = None, 0
        losses = run.series("train/loss").step.tolist()
        for step, values in points(run):
            count += "train/loss" in values
            if monitor.log(step, **values):
                stopped = count
                break
        found = monitor.stopped_by
        first = found.steps[0] if found and found.steps else 0
        onset = sum(step < first for step in losses)
        return Replay(
            label["id"], label["split"], label["healthy"], bool(reasons), len(losses), stopped,
            found.id if found else "", onset,
        )  # fmt: skip


def replays(workers: int) -> list[Replay]:
    labels = [json.loads(line) for line in (FAULTS / "labels.jsonl").open()]
    with multiprocessing.Pool(workers) as pool:
        found = []
        for number, item in enumerate(pool.imap(replay, labels, chunksize=4), 1):
            found.append(item)
            if number % 100 == 0:
                print(f"{number} of {len(labels)}", file=sys.stderr)
    return found


def stops(found: list[Replay]) -> tuple[str, bool]:
    """Return the table of stops, and whether no healthy run was stopped."""
    lines = ["| runs | replayed | stopped | log points to the stop |\n|---|--:|--:|---|\n"]
    for split in ("dev", "held-out"):
        some = [item for item in found if (item.split == "dev") == (split == "dev")]
        healthy = [item for item in some if item.healthy]
        stopped = [item for item in healthy if item.stopped is not None]
        names = ", ".join(f"{item.id} ({item.by})" for item in stopped)
        lines.append(f"| healthy, {split} | {len(healthy)} | {len(stopped)} | {names} |\n")
        doomed = [item for item in some if not item.healthy and item.doomed and item.points > 1]
        hit = [item for item in doomed if item.stopped is not None]
        lags = sorted(item.stopped - item.onset for item in hit)
        saved = [1 - item.stopped / item.points for item in hit]
        told = (
            f"median {statistics.median(lags):.0f} after what it is about began, 9 of 10 within "
            f"{lags[int(0.9 * (len(lags) - 1))]}; {statistics.mean(saved):.0%} of the run saved"
            if lags
            else ""
        )
        lines.append(f"| with a critical fault, {split} | {len(doomed)} | {len(hit)} | {told} |\n")
    never = not any(item.healthy and item.stopped is not None for item in found)
    return "".join(lines), never


def overhead(steps: int = 20_000) -> tuple[list[str], bool]:
    """Measure `Monitor.log` on an ordinary course, logged at every step."""
    noise, taken = random.Random(0), []
    with tempfile.TemporaryDirectory() as folder:
        monitor = Monitor(folder, planned_steps=steps)
        for step in range(1, steps + 1):
            loss = 2 * 0.9998**step + 1 + noise.gauss(0, 0.02)
            norm = 1 + noise.random()
            start = time.perf_counter()
            monitor.log(step, loss=loss, grad_norm=norm, lr=1e-3)
            taken.append(time.perf_counter() - start)
    taken.sort()
    median = 1e6 * statistics.median(taken)
    mean = 1e6 * statistics.mean(taken)
    tail = 1e6 * taken[int(0.99 * steps)]
    rows = [
        f"| `Monitor.log`, median of {steps:,} steps | {median:.0f} µs | <= {BAR_LOG:.0f} µs |",
        f"| the same, 99 of 100 within | {tail:.0f} µs |  |",
        f"| the same, all calls of the detectors shared out | {mean:.0f} µs |  |",
        f"| longest call (the first also imports) | {1e3 * taken[-1]:.0f} ms |  |",
    ]
    return rows, median <= BAR_LOG


def layers(steps: int = 60) -> tuple[list[str], bool]:
    """Measure a step of a small transformer, and what measuring its layers costs."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    model = nn.Sequential(
        nn.TransformerEncoder(block, 6, enable_nested_tensor=False), nn.Linear(256, 1000)
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    inputs, labels = torch.randn(16, 64, 256), torch.randint(0, 1000, (16 * 64,))
    measured = Layers(model.named_parameters())
    plain, more = [], []
    for _ in range(steps):
        start = time.perf_counter()
        loss = nn.functional.cross_entropy(model(inputs).reshape(-1, 1000), labels)
        optimizer.zero_grad()
        loss.backward()
        middle = time.perf_counter()
        measured.before_update()
        after = time.perf_counter()
        optimizer.step()
        end = time.perf_counter()
        measured.after_update()
        last = time.perf_counter()
        plain.append(middle - start + end - after)
        more.append(after - middle + last - end)
    step, extra = statistics.median(plain), statistics.median(more)
    share = extra / step / EVERY
    size = sum(weight.numel() for weight in model.parameters()) / 1e6
    count = sum(1 for _ in model.parameters())
    rows = [
        f"| a step of a transformer of {size:.1f} M parameters | {1e3 * step:.0f} ms |  |",
        f"| measuring its {count} layers once | {1e3 * extra:.1f} ms |  |",
        f"| the same every {EVERY} steps | {share:.2%} of a step | <= {BAR_LAYERS:.0%} |",
    ]
    return rows, share <= BAR_LAYERS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", metavar="PAGE")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cost-only", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows, quick = overhead()
    more, light = layers()
    table = "| cost | measured | bar |\n|---|--:|---|\n" + "\n".join([*rows, *more]) + "\n"
    never = True
    if not options.cost_only:
        told, never = stops(replays(options.workers))
        table = f"{told}\n{table}"
    print(table)
    if options.write:
        page = Path(options.write)
        before, _, after = page.read_text("utf-8").split(MARK)
        page.write_text(f"{before}{MARK}\n{table}\n{MARK}{after}", "utf-8")
    return int(not (quick and light and never))


if __name__ == "__main__":
    sys.exit(main())
