"""Point it at a training run's directory, get a postmortem.

    import loganalyze as la
    run = la.load("runs/x")
    diagnosis = la.diagnose(run)
    diagnosis.to_html("postmortem.html")
    la.diff("runs/last-week", run).to_html("diff.html")

Names are imported on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff
    from loganalyze.compare.diff import diff
    from loganalyze.diagnosis import diagnose
    from loganalyze.errors import (
        LogAnalyzeError,
        MissingExtra,
        NothingReadable,
        SettingsError,
        UsageError,
    )
    from loganalyze.finding import Cause, Diagnosis, Finding
    from loganalyze.fleet.found import Scan
    from loganalyze.fleet.plan import Plan
    from loganalyze.fleet.scan import scan
    from loganalyze.ingest import load
    from loganalyze.run import Run
    from loganalyze.settings import Settings

__all__ = [
    "Cause",
    "Diagnosis",
    "Diff",
    "Finding",
    "LogAnalyzeError",
    "MissingExtra",
    "NothingReadable",
    "Plan",
    "Run",
    "Scan",
    "Settings",
    "SettingsError",
    "UsageError",
    "diagnose",
    "diff",
    "load",
    "scan",
]

_HOMES = {
    "Cause": "finding",
    "Diagnosis": "finding",
    "Diff": "compare.comparison",
    "Finding": "finding",
    "LogAnalyzeError": "errors",
    "MissingExtra": "errors",
    "NothingReadable": "errors",
    "Plan": "fleet.plan",
    "Run": "run",
    "Scan": "fleet.found",
    "Settings": "settings",
    "SettingsError": "errors",
    "UsageError": "errors",
    "diagnose": "diagnosis",
    "diff": "compare.diff",
    "load": "ingest",
    "scan": "fleet.scan",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'loganalyze' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"loganalyze.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
