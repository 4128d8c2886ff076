"""Whether a file is the one it was: by its inode, size, time of change and first bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loganalyze.ingest.discover import MAX_FILES, SKIPPED_FOLDERS

HEAD = 256  # bytes at the beginning that tell one log from the next under the same name


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is known of a file without reading it, and its first bytes."""

    inode: int
    size: int
    changed: int  # nanoseconds
    head: bytes

    def grew_from(self, before: Fingerprint) -> bool:
        """Tell whether this may be the same file with more at its end."""
        same = self.inode == before.inode and self.head.startswith(before.head)
        return same and self.size >= before.size


def fingerprint(path: Path) -> Fingerprint | None:
    """Return the fingerprint of a file; None where it is gone or no ordinary file."""
    try:
        info = path.stat()
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    return Fingerprint(info.st_ino, info.st_size, info.st_mtime_ns, head)


def states(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and time of change of every file below `root`, or of `root`: cheap to compare."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in [str(root)] if root.is_file() else _below(str(root)):
        try:
            info = os.stat(path)  # noqa: PTH116 - of a hundred thousand files
        except OSError:
            continue
        found[path] = (info.st_ino, info.st_size, info.st_mtime_ns)
        if len(found) >= MAX_FILES:
            break
    return found


def _below(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for name in files:
            yield f"{folder}/{name}"
