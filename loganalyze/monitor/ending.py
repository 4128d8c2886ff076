"""The end of a monitored run: how it ended, and the postmortem of its directory."""

from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.diagnosis import diagnose
from loganalyze.errors import LogAnalyzeError
from loganalyze.ingest import load
from loganalyze.monitor.quiet import Quiet

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis
    from loganalyze.run import Run
    from loganalyze.settings import Settings

REPORT, DOCUMENT = "postmortem.html", "diagnosis.json"
MOST = 20_000  # characters of a traceback


def state(error: BaseException | None, *, stopped: bool) -> str:
    """Return in a word how a run ended."""
    if error is not None:
        return "crashed"
    return "stopped" if stopped else "completed"


def told(error: BaseException) -> dict[str, str]:
    """Return an exception for the journal: its name, its message, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    at = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return {
        "exception": type(error).__name__,
        "message": str(error)[:MOST],
        "frame": at,
        "traceback": "".join(traceback.format_exception(error))[-MOST:],
    }


def conclude(directory: Path, run: Run, settings: Settings) -> Diagnosis:
    """Diagnose a run that is over, from its directory, and write the report and the document there.

    What else the training left there is read too. If that holds no run, what the monitor has in memory
    is diagnosed.
    """
    import numpy as np

    with suppress(LogAnalyzeError):
        run = load(directory)
    with np.errstate(all="ignore"):
        diagnosis = diagnose(run, settings)
    with Quiet("Writing the report"):
        diagnosis.to_html(directory / REPORT)
    with Quiet("Writing the diagnosis"):
        (directory / DOCUMENT).write_text(diagnosis.to_json(), encoding="utf-8")
    return diagnosis
