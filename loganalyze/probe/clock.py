"""How long a probe may take."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

GRACE = 1.25  # times the time of a check: then it is stopped, wherever it is


class OutOfTime(BaseException):
    """The time of a check is over; no `Exception`, so that the code of a target does not swallow it."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time that a check may take.

    A check asks `is_over` between its steps and then concludes from what it has.
    """

    seconds: float
    started: float

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(self.seconds - self.spent, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return self.left <= 0

    def allows(self, share: float) -> bool:
        """Tell whether less than this share of the time is used up, for checks with several parts."""
        return self.spent < share * self.seconds


def start(seconds: float) -> Clock:
    """Return a clock that starts now."""
    return Clock(seconds, time.monotonic())


@contextmanager
def alarm(clock: Clock) -> Iterator[None]:
    """Raise `OutOfTime` in this thread when a check does not come to an end by itself.

    Only where the system has timers and this is the main thread; elsewhere checks still ask the clock.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(clock.left * GRACE, 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until this is done: putting everything back is never left half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def keep(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    before = signal.signal(signal.SIGINT, keep)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt
