"""What the two kinds of MLflow store have in common: states, steps, times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loganalyze.run import Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TAG = 500  # characters of a tag that are settings; longer ones are documents
OWN_TAGS = "loganalyze."  # what `loganalyze.report.attach` adds
NO_SETTINGS = ("mlflow.log-model", OWN_TAGS)  # how tags begin that are no settings of the run
COUNTED = "every point has the same step: they were counted instead"
# MLflow's RunStatus: its number in meta.yaml, its name in databases.
STATUS = {
    **dict.fromkeys(("1", "RUNNING", "2", "SCHEDULED"), Status.RUNNING),
    **dict.fromkeys(("3", "FINISHED"), Status.COMPLETED),
    **dict.fromkeys(("4", "FAILED", "5", "KILLED"), Status.CRASHED),
}


def count_steps(
    step: NDArray[np.int64], time: NDArray[np.float64]
) -> tuple[NDArray[np.int64], bool]:
    """Count the points of a metric that was logged without steps (all at one)."""
    import numpy as np

    if len(step) < 2 or (step != step[0]).any():
        return step, False
    return np.argsort(np.argsort(time, kind="stable"), kind="stable") + 1, True


def segments(step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the restarts: every fall of the step begins a new one."""
    import numpy as np

    return np.cumsum(np.diff(step, prepend=step[:1]) < 0).astype(np.int64)


def is_deleted(run: Mapping[str, Any]) -> bool:
    """Tell whether somebody deleted this run in MLflow."""
    return str(run.get("lifecycle_stage")) == "deleted"


def seconds(milliseconds: Any) -> float | None:
    """Turn MLflow's milliseconds into UNIX seconds; None where there are none."""
    try:
        return float(milliseconds) / 1000.0 if milliseconds else None
    except (TypeError, ValueError):
        return None
