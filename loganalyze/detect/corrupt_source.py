"""Part of a file could not be read.

What it does
------------
Lists every source with data lost: damaged or cut-off files, broken lines, files that are only
pointers. Each says where, why and how much was kept.

Why it matters
--------------
A curve with a hole is read differently from a whole one.

Not to be confused with
-----------------------
Remarks that cost no data, such as steps that had to be counted (they stand with the sources).

Settings
--------
None.

Fix
---
Copy the file again; run ``git lfs pull``; a writer that was killed leaves a cut-off last record.

References
----------
TFRecord and git-lfs file formats.
"""

from __future__ import annotations

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, Severity
from loganalyze.run import FATAL, Run, Where
from loganalyze.settings import NoSettings

SHOWN = 5  # problems listed in the evidence
# Formats that hold no numbers of this run that could be missed.
UNREAD = frozenset({"empty", "git-lfs-pointer", "link", "special", "directory"})


def detect(run: Run, settings: NoSettings) -> Detected:
    """List the sources that lost data."""
    lossy = [
        (source, problem)
        for source in run.sources
        for problem in source.problems
        if problem.lossy or source.format in UNREAD
    ]
    if not lossy:
        return ()
    # A crash before the first log line leaves a table with a header only: nothing of it was lost.
    unborn = run.metrics.empty and bool(run.events_of(*FATAL))
    lost = [source for source, problem in lossy if problem.lossy and source.format != "config"]
    files = list(dict.fromkeys(source.path for source, _ in lossy))
    source, problem = next(((s, p) for s, p in lossy if p.lossy), lossy[0])
    more = f", and {len(lossy) - 1} more problems" if len(lossy) > 1 else ""
    return (
        Finding(
            id="corrupt-source",
            severity=Severity.WARNING if lost and not unborn else Severity.INFO,
            confidence=1.0,
            title=f"{len(files)} of {len(run.sources)} sources could not be read whole",
            summary=f"{source.path}: {problem.text}{more}.",
            evidence={
                "files": len(files),
                "problems": len(lossy),
                **{
                    f"problem_{i}": f"{s.path}: {p.text}"
                    for i, (s, p) in enumerate(lossy[:SHOWN], 1)
                },
            },
            where=tuple(Where(s.path, p.row) for s, p in lossy[:SHOWN]),
            fix=("Copy the file again from where the run was written",),
        ),
    )


DETECTOR = Detector(
    id="corrupt-source",
    group="corrupt",
    passed="Every source was read whole",
    failed="Part of a source could not be read",
    requires=(),
    settings=NoSettings,
    detect=detect,
)
