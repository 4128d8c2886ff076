"""The thread that sends: it takes messages from a queue, tries again where a server fails, and gives up."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.alerts.silence import silent

if TYPE_CHECKING:
    from loganalyze.alerts.destination import Destination
    from loganalyze.alerts.message import Message

LOGGER = logging.getLogger("loganalyze.alerts")
MOST_WAITING = 100  # messages; a server that hangs must not fill the memory


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: ``tries`` in all, the first after ``delay`` seconds more, each next twice as long."""

    tries: int = 4
    delay: float = 1.0  # seconds
    longest: float = 60.0  # seconds


class Courier:
    """Sends messages to destinations, each in a thread of its own: one that hangs holds up only itself."""

    def __init__(self, places: Sequence[Destination], patience: Patience | None = None) -> None:
        self._routes = [_Route(place, patience or Patience()) for place in places]

    def send(self, message: Message) -> None:
        """Hand over a message; returns at once."""
        for route in self._routes:
            route.send(message)

    def close(self, seconds: float) -> bool:
        """Wait at most so long until all is sent; tell whether it is."""
        until = time.monotonic() + seconds
        late = [not route.close(max(until - time.monotonic(), 0.0)) for route in self._routes]
        return not any(late)


class _Route:
    """One destination, its queue and its thread, which begins with the first message."""

    def __init__(self, place: Destination, patience: Patience) -> None:
        self._place, self._patience = place, patience
        self._waiting: queue.Queue[Message | None] = queue.Queue(MOST_WAITING)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, message: Message) -> None:
        if self._thread is None:
            # A daemon: the process may end while a server hangs.
            self._thread = threading.Thread(
                target=self._work, name="loganalyze-alerts", daemon=True
            )
            self._thread.start()
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            LOGGER.warning("an alert to %s was dropped: too many are waiting", self._place.name)

    def close(self, seconds: float) -> bool:
        if self._thread is None:
            return True
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            seconds = 0.0
        self._thread.join(seconds)
        self._closed.set()  # from here on nothing is tried again, and what waits is let go
        return not self._thread.is_alive()

    def _work(self) -> None:
        with silent():
            while (message := self._waiting.get()) is not None and not self._closed.is_set():
                self._deliver(message)

    def _deliver(self, message: Message) -> None:
        delay, reason = self._patience.delay, ""
        for number in range(self._patience.tries):
            if number and self._closed.wait(min(delay, self._patience.longest)):
                break
            delay = delay * 2 if number else delay
            try:
                if self._place.send(message):
                    return
                reason = "it was refused"
            except Exception as error:  # noqa: BLE001 - a foreign service; its message may hold the address
                reason = type(error).__name__
        LOGGER.warning("an alert to %s could not be delivered: %s", self._place.name, reason)
