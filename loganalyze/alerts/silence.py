"""Libraries that send alerts log addresses, which hold secrets: what they log of it is dropped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Who logs, at some level, where a message goes: apprise, and what its services send with.
TALKERS = (
    "apprise", "urllib3.connectionpool", "urllib3.util.retry", "requests", "requests_oauthlib", "oauthlib",
    "http.client", "paho", "markdown", "asyncio", "charset_normalizer",
)  # fmt: skip
_sending: ContextVar[bool] = ContextVar("sending", default=False)


class _Elsewhere(logging.Filter):
    """Lets pass what is logged while no alert is sent; threads that sending starts inherit that it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _sending.get()


_ELSEWHERE = _Elsewhere()


@contextmanager
def silent() -> Iterator[None]:
    """Drop what the libraries log on behalf of this block; everybody else's goes on as it is."""
    for name in TALKERS:
        logging.getLogger(name).addFilter(_ELSEWHERE)  # once, however often it is added
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)
