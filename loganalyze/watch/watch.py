"""A watch: each refresh reads what is new, judges the run as it is, and says what changed.

Judging a run takes longer the longer it is. A refresh waits until the last one was at most `SHARE` of the
time since, so that a watch costs the same share of a processor however long the run gets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.diagnosis import diagnose
from loganalyze.errors import NothingReadable, UsageError
from loganalyze.ingest import load
from loganalyze.live.judge import judge
from loganalyze.live.standing import Changes, Standing, last_look, look
from loganalyze.run import Status
from loganalyze.watch.follower import Follower

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis
    from loganalyze.run import Run
    from loganalyze.settings import Settings

SHARE = 0.05  # of the time, spent on reading and judging
IDLE = 300.0  # seconds without anything new after which a run is over
PATIENT = 20.0  # times the usual pause between two changes, if that is longer
FADING = 0.9  # of the usual pause that is left with each shorter one
LAST_WORDS = 10.0  # seconds of silence after an end or an error, for what is written after it


@dataclass(frozen=True)
class Refresh:
    """What one look at the run came to."""

    diagnosis: Diagnosis
    changes: Changes


class Watch:
    """Watches the run at a path.

    Parameters
    ----------
    run
        Which run, where the path holds several; the newest otherwise, also if it begins later.
    idle
        Seconds without anything new after which the run counts as over.
    """

    def __init__(
        self,
        path: str,
        settings: Settings,
        *,
        run: str | None = None,
        idle: float = IDLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._settings, self._wanted, self._idle = path, settings, run, idle
        self._follower, self._clock = Follower(path), clock
        self._standing = Standing()
        self._name: str | None = None
        self._cost = 0.0
        self._looked = self._changed = clock()
        self._pause = 0.0  # the usual one between two changes
        self._size = -1
        self._status = Status.UNKNOWN
        self.diagnosis: Diagnosis | None = None

    @property
    def silent(self) -> float:
        """Seconds since something new was seen."""
        return self._clock() - self._changed

    def refresh(self) -> Refresh | None:
        """Look at the run; None where there is nothing new, or where it is too early to look again."""
        now = self._clock()
        if self._cost > SHARE * (now - self._looked) and self.diagnosis is not None:
            return None
        if not self._follower.changed():
            return None
        try:
            run = self._pick(self._follower.read())
        except NothingReadable:
            return None
        found = self._judge(run, now)
        self._looked = self._clock()
        self._cost = self._looked - now
        return found

    def _pick(self, runs: list[Run]) -> Run:
        if self._wanted is None:
            return runs[0]
        named = next((run for run in runs if run.name == self._wanted), None)
        if named is None:
            names = ", ".join(run.name for run in runs)
            raise UsageError(f"no run is called {self._wanted!r}; there are: {names}")
        return named

    def _judge(self, run: Run, now: float) -> Refresh:
        if run.name != self._name:
            self._name, self._standing = run.name, Standing()
        size = len(run.metrics) + len(run.events)
        if size != self._size:
            if self._size >= 0:
                self._pause = max(FADING * self._pause, now - self._changed)
            self._size, self._changed = size, now
        self._status = run.status
        self.diagnosis = judge(run, self._settings)
        self._standing, changes = look(self._standing, self.diagnosis.findings, size)
        return Refresh(self.diagnosis, changes)

    def is_over(self) -> bool:
        """Tell whether the run has ended: it says so, an error came last, or nothing came for long."""
        if self._status in (Status.COMPLETED, Status.CRASHED):
            return self.silent >= min(LAST_WORDS, self._idle)
        return self.silent >= max(self._idle, PATIENT * self._pause)

    def conclude(self) -> Refresh:
        """Read the whole run anew, as it is now that it is over, and make every check.

        Raises
        ------
        NothingReadable
            If there never was anything.
        """
        self.diagnosis = diagnose(load(self._path, run=self._wanted), self._settings)
        self._standing, changes = last_look(self._standing, self.diagnosis.findings)
        return Refresh(self.diagnosis, changes)
