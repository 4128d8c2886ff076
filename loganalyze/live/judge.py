"""The diagnosis of a run that is not over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loganalyze.diagnosis import diagnose
from loganalyze.run import Status

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis
    from loganalyze.run import Run
    from loganalyze.settings import Settings

# What is true of the end of a log says nothing while the log goes on: its last line is only the newest.
AT_THE_END = ("run-truncated", "insufficient-data", "crash", "oom-gpu", "oom-host")


def judge(run: Run, settings: Settings) -> Diagnosis:
    """Make every check on `run` that means something while it goes on.

    Same detectors, same settings and same numbers as `diagnose`: only the checks in `AT_THE_END` are
    left out.
    """
    import numpy as np

    waiting = replace(settings, ignore=(*settings.ignore, *AT_THE_END))
    with np.errstate(all="ignore"):  # a training's terminal is no place for what a check computes
        found = diagnose(replace(run, status=Status.RUNNING, _cache={}), waiting)
    checks = tuple(check for check in found.checks if check.id not in AT_THE_END)
    return replace(found, checks=checks)
