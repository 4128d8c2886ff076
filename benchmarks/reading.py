"""How long reading takes, and how much memory, beside other readers of the same files.

    python benchmarks/reading.py [--quick] [--write docs/performance.md]

Every reader runs in a process of its own. A ratio compares times that were taken one after the other
on one machine; seconds alone say little about another. The best of several readings counts: the file is
in the system's cache then.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import written

REPEATS = 5
MEMORY_BASE, MEMORY_PER_FRAME = 300, 3  # MB; times the size of the table
MARK = "<!-- written by benchmarks/reading.py -->"

OURS = r"""
import json, re, sys, time
import loganalyze as la, pandas, pyarrow.compute
start = time.perf_counter(); run = la.load(sys.argv[1]); first = time.perf_counter() - start
peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1e3
times = [first]
for _ in range(int(sys.argv[2]) - 1):
    start = time.perf_counter(); la.load(sys.argv[1]); times.append(time.perf_counter() - start)
frame = run.metrics.memory_usage(deep=True).sum() / 1e6
print(json.dumps({"seconds": min(times), "rows": len(run.metrics), "frame": frame, "peak": peak}))
"""
TIMED = """
import json, sys, time
{setup}
times = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter(); {work}; times.append(time.perf_counter() - start)
print(json.dumps({{"seconds": min(times)}}))
"""
MLFLOW_WORK = (
    "[p for k in ('loss', 'grad_norm', 'learning_rate', 'eval_loss') "
    "for p in client.get_metric_history(run, k)]"
)
MLFLOW_RUN = "run = client.search_runs([e.experiment_id for e in client.search_experiments()])[0].info.run_id"
RIVALS = {
    "tbparse": TIMED.format(
        setup="from tbparse import SummaryReader", work="SummaryReader(sys.argv[1]).scalars"
    ),
    "orjson.loads": TIMED.format(
        setup="import orjson; data = open(sys.argv[1], 'rb').read()", work="orjson.loads(data)"
    ),
    "reading its bytes": TIMED.format(
        setup="import pathlib",
        work="[p.read_bytes() for p in pathlib.Path(sys.argv[1]).iterdir()]",
    ),
    "runmedic": TIMED.format(
        setup="import io, contextlib; from runmedic.cli import main",
        work="contextlib.redirect_stdout(io.StringIO()).__enter__(); main(['diagnose', sys.argv[1]]); "
        "sys.stdout = sys.__stdout__",
    ),
    "mlflow's client (folder)": TIMED.format(
        setup="import os; os.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'\n"
        "from mlflow import MlflowClient; client = MlflowClient(tracking_uri='file://' + sys.argv[1]); "
        + MLFLOW_RUN,
        work=MLFLOW_WORK,
    ),
    "mlflow's client (database)": TIMED.format(
        setup="from mlflow import MlflowClient\n"
        "client = MlflowClient(tracking_uri='sqlite:///' + sys.argv[1]); " + MLFLOW_RUN,
        work=MLFLOW_WORK,
    ),
}
SLOW = {"tbparse": 1, "runmedic": 1, "mlflow's client (folder)": 1, "mlflow's client (database)": 1}


@dataclass(frozen=True)
class Case:
    """One file to read: how it is made, beside whom it is read, and what is asked of it."""

    name: str
    write: Callable[[Path], Path]
    beside: tuple[str, ...]
    bar: str


def cases(scale: float) -> list[Case]:
    """Return the cases; `scale` makes them smaller."""

    def sized(count: int) -> int:
        return max(int(count * scale), 100)

    w = written
    return [
        Case("TensorBoard, 600,000 scalars", lambda f: w.event_file(f / "tb", sized(600_000)),
             ("tbparse", "data server"), ">= 20 x tbparse; <= 1.5 x the data server's time"),
        Case("TensorBoard, 1 GB of pictures", lambda f: w.event_file_of_pictures(f / "px", sized(1000)),
             ("reading its bytes",), "no payload decoded, memory flat"),
        Case("text, 500,000 dictionaries", lambda f: w.printed(f, sized(500_000)),
             ("runmedic",), ">= 50 MB/s; >= 10 x runmedic"),
        Case("text, the same with progress bars", lambda f: w.printed_with_bars(f, sized(500_000)),
             ("runmedic",), ">= 50 MB/s; >= 10 x runmedic"),
        Case("trainer_state.json, 500,000 entries", lambda f: w.trainer_state(f, sized(500_000)),
             ("orjson.loads",), "<= 1.6 x the time of orjson.loads"),
        Case("MLflow folder, 1,000,000 points", lambda f: w.mlflow_folder(f, sized(1_000_000)),
             ("mlflow's client (folder)",), "reported"),
        Case("MLflow database, 1,000,000 points", lambda f: w.mlflow_database(f, sized(1_000_000)),
             ("mlflow's client (database)",), "reported"),
    ]  # fmt: skip


def measure(code: str, path: Path, repeats: int) -> dict[str, float] | None:
    """Run `code` on `path` in a process of its own; None where its library is not installed."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(repeats)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def data_server(path: Path) -> dict[str, float] | None:
    """Return how long TensorBoard's compiled data server says that it loads."""
    try:
        from tensorboard_data_server import server_binary
    except ImportError:
        return None
    times = []
    for _ in range(REPEATS):
        server = subprocess.Popen(
            [str(server_binary()), "--logdir", str(path), "--reload", "once", "--port", "0",
             "--samples-per-plugin", "scalars=all", "--die-after-stdin", "--verbose"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert server.stderr is not None
        for line in server.stderr:
            if found := re.search(r"Finished load cycle \(([\d.]+)(ms|s)\)", line):
                times.append(float(found[1]) * (1e-3 if found[2] == "ms" else 1))
                break
        server.kill()
        server.communicate()
    return {"seconds": min(times)} if times else None


def row(case: Case, folder: Path) -> str:
    """Measure one case; return its line of the table."""
    path = case.write(folder)
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    ours = measure(OURS, path, REPEATS)
    if ours is None:
        raise SystemExit(f"{case.name}: could not be read")
    beside = []
    for rival in case.beside:
        theirs = (
            data_server(path)
            if rival == "data server"
            else measure(RIVALS[rival], path, SLOW.get(rival, REPEATS))
        )
        ratio = "not installed"
        if theirs:
            faster = theirs["seconds"] / ours["seconds"]
            ratio = f"{theirs['seconds']:.2f} s: " + (
                f"{faster:.1f} x faster than it" if faster >= 1 else f"{1 / faster:.2f} x its time"
            )
        beside.append(f"{rival} {ratio}")
    limit = MEMORY_BASE + MEMORY_PER_FRAME * ours["frame"]
    speed = size / ours["seconds"]
    cells = (
        case.name, f"{size:,.0f}", f"{ours['rows']:,}", f"{ours['seconds']:.2f}", f"{speed:,.0f}",
        "; ".join(beside), case.bar, f"{ours['peak']:,.0f} of {limit:,.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


DIAGNOSING = """
import json, sys, time
sys.path.insert(0, "benchmarks")
import numpy as np, written
import loganalyze as la
from loganalyze.frame import labelled, metrics_frame
from loganalyze.run import (Run, Source)
n = int(sys.argv[2])
loss = written.curve(n)
frame = metrics_frame({
    "metric": labelled(np.repeat(np.arange(3), n), written.TAGS),
    "step": np.tile(np.arange(1, n + 1), 3),
    "value": np.concatenate([loss, 3 * loss, np.full(n, 1e-4)]),
    "source": "x",
})
times = []
for _ in range(3):
    sources = (Source("x", "text", len(frame)),)
    run = Run("x", "x", frame, preferred={tag: ("x",) for tag in written.TAGS}, sources=sources)
    start = time.perf_counter(); la.diagnose(run); times.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(times)}))
"""


def diagnosing(scale: float) -> str:
    """Measure the diagnosis of three curves after reading."""
    count = int(200_000 * scale)
    found = measure(DIAGNOSING, Path(), count)
    seconds = f"{found['seconds']:.2f} s" if found else "failed"
    return f"Diagnosing 3 x {count:,} points after reading: {seconds} (bar: 1 s)."


def machine() -> str:
    """Describe the machine and the libraries, without any name or path."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = ("numpy", "pandas", "pyarrow", "orjson", "google-crc32c", "tbparse", "tensorboard-data-server",
             "runmedic", "mlflow")  # fmt: skip
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return (
        f"{os.cpu_count()} cores, {pages:.0f} GB of memory, {platform.system()}, Python "
        f"{platform.python_version()}; {', '.join(versions)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this page")
    chosen = parser.parse_args()
    scale = 0.1 if chosen.quick else 1.0
    lines = [
        "| work | MB | rows | s | MB/s | beside it | bar | peak MB of limit |",
        "|---|--:|--:|--:|--:|---|---|--:|",
    ]
    print("\n".join(lines))
    for case in cases(scale):
        with tempfile.TemporaryDirectory() as name:
            lines.append(row(case, Path(name)))
            print(lines[-1], flush=True)
    lines += ["", diagnosing(scale), "", f"Measured on {machine()}"]
    print("\n".join(lines[-4:]))
    if chosen.write:
        before, _, after = chosen.write.read_text().split(MARK)
        chosen.write.write_text(MARK.join((before, "\n\n" + "\n".join(lines) + "\n\n", after)))


if __name__ == "__main__":
    main()
