"""`Alerts`: what a monitor and a watch tell people, at most once in a while for each kind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.alerts import message as words
from loganalyze.alerts.courier import Courier, Patience
from loganalyze.alerts.destination import destinations

if TYPE_CHECKING:
    from loganalyze.alerts.message import Message
    from loganalyze.finding import Diagnosis, Finding

COOLDOWN = 300.0  # seconds between two alerts of one kind
LAST_WAIT = 10.0  # seconds that the end of a run waits for alerts on their way


class Alerts:
    """Tells of one run. No method blocks or raises, whatever the servers do."""

    def __init__(
        self,
        courier: Courier,
        *,
        cooldown: float = COOLDOWN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._courier, self._cooldown, self._clock = courier, cooldown, clock
        self._last: dict[str, float] = {}

    def send(self, message: Message) -> bool:
        """Send a message, unless one of its kind was sent a moment ago; tell whether it goes out."""
        now = self._clock()
        last = self._last.get(message.kind)
        if last is not None and now - last < self._cooldown:
            return False
        self._last[message.kind] = now
        self._courier.send(message)
        return True

    def started(self, run: str, planned: int | None) -> None:
        """Tell that a run began."""
        self.send(words.started(run, planned))

    def found(
        self, run: str, step: int | None, finding: Finding, report: Path | str | None
    ) -> None:
        """Tell of a finding."""
        self.send(words.found(run, step, finding, report))

    def recovered(self, run: str, step: int | None, finding: Finding) -> None:
        """Tell that a finding is there no more."""
        self.send(words.recovered(run, step, finding))

    def ended(
        self,
        run: str,
        step: int | None,
        status: str,
        diagnosis: Diagnosis | None,
        report: Path | str | None,
    ) -> None:
        """Tell how a run ended."""
        self.send(words.ended(run, step, status, diagnosis, report))

    def close(self, seconds: float = LAST_WAIT) -> bool:
        """Wait a little for what is on its way; tell whether all arrived."""
        return self._courier.close(seconds)


def open_alerts(
    urls: Sequence[str],
    *,
    environ: Mapping[str, str] = os.environ,
    patience: Patience | None = None,
    cooldown: float = COOLDOWN,
) -> Alerts | None:
    """Return alerts to these addresses and to those in the environment; None without any.

    Raises
    ------
    UsageError, MissingExtra
        See `destinations`.
    """
    places = destinations(urls, environ)
    return Alerts(Courier(places, patience), cooldown=cooldown) if places else None
