"""Libraries that send alerts log addresses, which hold secrets: what they log in a thread can be silenced."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Who logs, at some level, where a message goes: apprise, and what its services send with.
TALKERS = (
    "apprise", "urllib3.connectionpool", "urllib3.util.retry", "requests", "requests_oauthlib", "smtplib",
    "http.client", "paho", "markdown", "asyncio", "charset_normalizer",
)  # fmt: skip


class _OtherThreads(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let pass what other threads log."""
        return record.thread != self.thread


@contextmanager
def silent() -> Iterator[None]:
    """Drop what the libraries log in this thread; other threads go on as they are."""
    mute = _OtherThreads()
    loggers = [logging.getLogger(name) for name in TALKERS]
    for logger in loggers:
        logger.addFilter(mute)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(mute)
