"""The `Scan`: what a scan found, and its renderings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.fleet.plan import Costs
from loganalyze.fleet.ranks import Job
from loganalyze.fleet.row import Row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scan:
    """What a scan found: a row for each run, the worst first; and the jobs of many ranks among them.

    Attributes
    ----------
    reports
        Name of a row -> file with its postmortem.
    empty
        Places in which no run was found, although their files might have been logs.
    """

    roots: tuple[str, ...]
    rows: tuple[Row, ...]
    jobs: tuple[Job, ...] = ()
    reports: dict[str, str] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    empty: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Number of runs of each level, the worst first."""
        levels = ("critical", "warning", "unreadable", "insufficient", "healthy")
        return {level: sum(row.level == level for row in self.rows) for level in levels}

    def to_dict(self) -> dict[str, Any]:
        """Return the scan as plain values, in the shape of schema_version 1."""
        from loganalyze.report.scan_json import to_dict

        return to_dict(self)

    def to_json(self) -> str:
        """Return the scan as strict JSON, schema_version 1."""
        from loganalyze.report.scan_json import render

        return render(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row for each run."""
        from loganalyze.report.scan_json import table

        return table(self)

    def to_html(self, path: str | Path, *, lang: str = "en") -> Path:
        """Write the index page to `path`, in English or Korean (``"ko"``)."""
        from loganalyze.report.scan_html import render

        target = Path(path)
        page = render(self, beside=str(target.parent), lang=lang)
        target.write_text(page, encoding="utf-8", errors="replace")
        return target
