"""What a log may hold and a report must not show: secrets, and characters that act on the reader.

Every output passes text from the log through `redact`; terminals and pages also through
`visible`. Whoever wants the secrets too asks for them around a rendering, with `secrets_shown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

T = TypeVar("T")

MASK = "[redacted]"
_masking: ContextVar[bool] = ContextVar("masking", default=True)

_SENSITIVE = r"(?:api[_-]?key|access[_-]?key|secret|token|passwd|password|authorization|credential)"
_SECRET_KEY = re.compile(rf"(?i)(?:^|[._/-]){_SENSITIVE}s?$|_{_SENSITIVE}(?:_id)?$")
_PATTERNS = (
    # name = value, name: value, "name": "value"; the name may have a prefix (WANDB_API_KEY).
    (
        re.compile(rf"""(?ix)\b([\w.-]*{_SENSITIVE}s?["']?\s*[=:]\s*["']?)([^\s"',;&)}}]{{4,}})"""),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), rf"\g<1>{MASK}"),
    # Tokens with a known beginning: Hugging Face, OpenAI, GitHub, Slack, AWS.
    (
        re.compile(
            r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
            r"|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16})\b"
        ),
        MASK,
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@"), rf"\g<1>{MASK}@"),
)

# Names that hold one of the words and are no secret.
_NOT_SECRET = re.compile(
    r"(?i)(?:num|max|pad|eos|bos|unk|sep|cls|mask|special|per_sec|input)[\w.-]*token"
    r"|token(?:s|izer|_id|_type|ization|_dropout)"
)

# C0 and C1 controls, zero-width and bidirectional controls, line separators; lone surrogates, which
# stand for the bytes of a file's name that are no text.
_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
)


@contextmanager
def secrets_shown() -> Iterator[None]:
    """Render without masks inside this block, in this thread only."""
    token = _masking.set(False)
    try:
        yield
    finally:
        _masking.reset(token)


def redact(text: str) -> str:
    """Return `text` with keys, tokens, passwords and credentials in URLs masked."""
    if not _masking.get():
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(partial(_mask, replacement), text)
    return text


def _mask(replacement: str, found: re.Match[str]) -> str:
    return found[0] if _NOT_SECRET.search(found[0]) else found.expand(replacement)


def redact_value(key: str, value: T) -> T | str:
    """Return a configuration value, masked if its key names a secret."""
    if not isinstance(value, str) or not value or not _masking.get():
        return value
    if _SECRET_KEY.search(key) and not _NOT_SECRET.search(key):
        return MASK
    return redact(value)


def visible(text: str) -> str:
    """Return `text` with control and direction-changing characters shown as ``\\u202e``."""
    return _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
