"""The user's own command, run once for each finding.

The command is the text from the command line and nothing else. What the log says reaches it in the
environment only, so that no line of a log can become part of a command.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loganalyze.finding import Severity
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from loganalyze.finding import Finding

LONGEST = 4000  # characters of a value in the environment
PREFIX = "LOGANALYZE_"


@dataclass
class Hook:
    """A command for findings of at least one severity."""

    level: Severity
    command: str
    _done: set[str] = field(default_factory=set)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def call(self, finding: Finding, run: str, path: str) -> bool:
        """Run the command for a finding, unless it was run for it; tell whether it began."""
        if finding.severity.rank < self.level.rank or finding.id in self._done:
            return False
        self._done.add(finding.id)
        self._running = [process for process in self._running if process.poll() is None]
        try:
            process = subprocess.Popen(  # noqa: S602 - the command line's own text
                self.command,
                shell=True,
                env={**os.environ, **variables(finding, run, path)},
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__ and sys.__stderr__.fileno(),
            )
        except OSError:
            return False
        self._running.append(process)
        return True

    def wait(self, seconds: float) -> None:
        """Give the commands that run so many seconds to end; they go on after that."""
        for process in self._running:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                seconds = 0.0


def variables(finding: Finding, run: str, path: str) -> dict[str, str]:
    """Return what a command learns of a finding, by the names of environment variables."""
    steps = finding.steps or ("", "")
    told = {
        "ID": finding.id,
        "SEVERITY": finding.severity.value,
        "TITLE": finding.title,
        "SUMMARY": finding.summary,
        "FIRST_STEP": str(steps[0]),
        "LAST_STEP": str(steps[1]),
        "WHERE": str(finding.where[0]) if finding.where else "",
        "RUN": run,
        "PATH": path,
    }
    return {f"{PREFIX}{key}": visible(redact(value))[:LONGEST] for key, value in told.items()}
