"""Settings that stand in a file as text: printed arguments, and the overrides of Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loganalyze.ingest.text_config import scalar, settings
from loganalyze.run import Scalar

# ``batch_size: 1   [default: 1]``, ``--lr=0.1``, ``--lr 0.1``, ``lr = 0.1``
_PRINTED = re.compile(
    r"^\s*(?P<flag>--)?(?P<key>[A-Za-z_][\w.-]{0,60})\s*(?:[:=]|(?(flag)\s|(?!)))\s*"
    r"(?P<value>.*?)\s*(?:\[default: .*\])?$"
)
_FLAG_AND_VALUE = re.compile(r"^(--[\w.-]{1,60})[ \t]*\r?\n(?!--|\s)(.+)$", re.MULTILINE)
_OVERRIDE = re.compile(r"^\+{0,2}(?P<key>[\w./@-]{1,200})=(?P<value>.*)$")
MAX_TEXT = 500  # characters of a value


def printed_settings(text: str) -> dict[str, Scalar]:
    """Return the settings of a file of printed arguments, one a line or as ``Namespace(...)``.

    A flag may also stand on one line and its value on the next, as `argparse` reads them.
    """
    found: dict[str, Scalar] = {}
    for line in _FLAG_AND_VALUE.sub(r"\1=\2", text).splitlines():
        block = settings(line, "") if "(" in line else {}
        for key, item in block.items():
            found.setdefault(key, item.value)
        match = None if block else _PRINTED.match(line)
        if match:
            found.setdefault(match["key"], scalar(match["value"][:MAX_TEXT]))
    return found


def overrides(items: Iterable[object]) -> dict[str, Scalar]:
    """Return the settings that Hydra was given: ``["lr=0.1", "+model.depth=3"]``."""
    matches = [_OVERRIDE.match(item) for item in items if isinstance(item, str)]
    return {match["key"]: scalar(match["value"][:MAX_TEXT]) for match in matches if match}
