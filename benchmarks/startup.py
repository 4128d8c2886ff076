"""How long a command takes to start: ``python benchmarks/startup.py``.

Bars: `--help` and `--version` under 0.2 s; `diagnose` of a small run under the time of `import pandas` plus
0.5 s. All are measured in one go, in turns, each in a process of its own; the median counts. Exit status 1
if a bar is missed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = str(ROOT / "sample_logs" / "report-280-classes")
ROUNDS = 9
SHORT = 0.2  # seconds that `--help` and `--version` may take
MORE_THAN_PANDAS = 0.5  # seconds that `diagnose` may take beyond `import pandas`
COMMANDS = {
    "python": ["-c", "pass"],
    "import pandas": ["-c", "import pandas"],
    "loganalyze --help": ["-m", "loganalyze", "--help"],
    "loganalyze --version": ["-m", "loganalyze", "--version"],
    "loganalyze diagnose RUN": ["-m", "loganalyze", "diagnose", RUN],
    "loganalyze diagnose RUN --format json": ["-m", "loganalyze", "diagnose", RUN, "--format", "json"],
}  # fmt: skip


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> int:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            taken[name].append(seconds(arguments))
    median = {name: statistics.median(times) for name, times in taken.items()}
    limit = median["import pandas"] + MORE_THAN_PANDAS
    missed = 0
    print("| command | s | bar |\n|---|--:|---|")
    for name, value in median.items():
        bar = limit if "diagnose" in name else SHORT if "--" in name else None
        missed += bar is not None and value > bar
        print(f"| `{name}` | {value:.2f} | {'' if bar is None else f'<= {bar:.2f}'} |")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
