"""A training must not end because of what watches it: failures are told once, in the log, and passed over."""

from __future__ import annotations

import logging
from types import TracebackType

LOGGER = logging.getLogger("loganalyze.monitor")


class Quiet:
    """Passes over the errors of one kind of work: ``with quiet: ...``. The first one is logged.

    Attributes
    ----------
    failures
        How often the work failed.
    """

    def __init__(self, work: str) -> None:
        self.work = work
        self.failures = 0

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):  # nor what is to end the process
            return False
        self.failures += 1
        if self.failures == 1:
            LOGGER.warning(
                "%s failed and is passed over from now on where it fails: %s: %s",
                self.work, type(error).__name__, error,
            )  # fmt: skip
        return True
