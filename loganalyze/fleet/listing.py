"""What lies below a root, by name, size and time: nothing is opened.

The tree is the same for a folder on this machine and for an object store's listing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from loganalyze.ingest.discover import SKIPPED_FOLDERS

DEEPEST = 40  # levels of folders; what is deeper is no run directory


@dataclass(frozen=True, slots=True)
class Entry:
    """A file.

    Attributes
    ----------
    path
        Relative to the root, with forward slashes.
    stamp
        What changes when its content does: size and time of the file, or an object's ETag.
    modified
        UNIX seconds; 0 where the store does not say.
    """

    path: str
    size: int
    stamp: str
    modified: float

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(slots=True)
class Folder:
    """A folder of the tree; ``path`` is relative to the root, ``""`` for the root itself."""

    path: str
    files: list[Entry] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def all_files(self) -> Iterator[Entry]:
        """Yield the files of the folder and of all below it."""
        yield from self.files
        for folder in self.folders:
            yield from folder.all_files()


def local_tree(root: Path) -> Folder:
    """List what is below a folder of this machine; links do not lead out of it."""
    return _list(root, "", str(root.resolve()), DEEPEST)


def _list(place: Path, path: str, base: str, levels: int) -> Folder:
    folder = Folder(path)
    try:
        with os.scandir(place) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return folder  # reading it will say so
    for entry in entries:
        below = f"{path}/{entry.name}" if path else entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED_FOLDERS and levels:
                folder.folders.append(_list(Path(entry.path), below, base, levels - 1))
        elif (info := _status(entry, base)) is not None:
            stamp = f"{info.st_size}-{info.st_mtime_ns}"
            folder.files.append(Entry(below, info.st_size, stamp, info.st_mtime))
    return folder


def _status(entry: os.DirEntry[str], base: str) -> os.stat_result | None:
    """Return the state of an ordinary file; None for what is none, or lies outside of the root."""
    try:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if os.path.commonpath([target, base]) != base:
                return None
        info = entry.stat()
    except (OSError, ValueError):
        return None
    return info if stat.S_ISREG(info.st_mode) else None


def tree_of(entries: Iterable[Entry]) -> Folder:
    """Lay a flat listing out as a tree."""
    root = Folder("")
    known = {"": root}
    for entry in sorted(entries, key=lambda entry: entry.path):
        parts = PurePosixPath(entry.path).parts[:-1]
        if len(parts) <= DEEPEST and SKIPPED_FOLDERS.isdisjoint(parts):
            _folder(known, "/".join(parts)).files.append(entry)
    return root


def _folder(known: dict[str, Folder], path: str) -> Folder:
    if path not in known:
        above, _, _ = path.rpartition("/")
        known[path] = Folder(path)
        _folder(known, above).folders.append(known[path])
    return known[path]
