"""How long a command takes to start: ``python benchmarks/startup.py [--write docs/performance.md]``.

Bars: `--help` and `--version` under 0.2 s; `diagnose` of a small run under the time of `import pandas` plus
0.5 s. All are measured in one go, in turns, each in a process of its own, with compiled modules as an
installed package has them; the best counts. Exit status 1 if a bar is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = str(ROOT / "sample_logs" / "report-280-classes")
ROUNDS = 9
MARK = "<!-- written by benchmarks/startup.py -->\n"
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


def seconds(arguments: list[str], compiled: str) -> float:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPYCACHEPREFIX": compiled}
    command = [sys.executable, *arguments]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def measured() -> tuple[str, bool]:
    """Return the table, and whether every bar was kept."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as compiled:
        for arguments in COMMANDS.values():
            seconds(arguments, compiled)
        for _ in range(ROUNDS):
            for name, arguments in COMMANDS.items():
                taken[name].append(seconds(arguments, compiled))
    best = {name: min(times) for name, times in taken.items()}
    limit = best["import pandas"] + MORE_THAN_PANDAS
    lines, kept = ["| command | s | bar |", "|---|--:|---|"], True
    for name, value in best.items():
        bar = limit if "diagnose" in name else SHORT if "--" in name else None
        kept = kept and (bar is None or value <= bar)
        lines.append(f"| `{name}` | {value:.2f} | {'' if bar is None else f'<= {bar:.2f}'} |")
    return "\n".join(lines) + "\n", kept


def main(arguments: list[str]) -> int:
    table, kept = measured()
    print(table, end="")
    if arguments[:1] == ["--write"]:
        page = Path(arguments[1])
        before, _, after = page.read_text("utf-8").split(MARK)
        page.write_text(f"{before}{MARK}\n{table}\n{MARK}{after}", "utf-8")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
