"""Finding what a directory holds, and reading it: every file ends as a table or is of no interest.

The directory is hostile: links do not lead out of it, pipes and devices are not opened, and an
ingester that fails costs its own file only.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loganalyze.ingest.ingester import HEAD_BYTES, Ingester, Table, relative
from loganalyze.run import Problem

MAX_FILES = 200_000  # files looked at below one root; a run directory holds a few hundred
SKIPPED_FOLDERS = frozenset(
    {".git", "__pycache__", "node_modules", "site-packages", ".ipynb_checkpoints", ".venv", "venv"}
)
LOG_ENDINGS = (".log", ".out", ".err", ".txt", ".json", ".jsonl", ".csv", ".tsv", ".db", ".wandb")
# What this tool wrote itself: a report, or a diagnosis as JSON. Its settings are quotations.
OWN_MARK = re.compile(
    rb'<meta name="generator" content="loganalyze|"tool":\s*\{\s*"name":\s*"loganalyze"'
)
LFS_MARK = b"version https://git-lfs"


@dataclass
class Found:
    """What a walk yielded: tables in a stable order, and the names of all files seen."""

    tables: list[Table] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def discover(
    root: Path, ingesters: Sequence[Ingester], keep: Callable[[Path], bool] = lambda path: True
) -> Found:
    """Read everything below `root` (or `root` itself, if it is a file) that an ingester claims.

    Files and folders below it that `keep` refuses are passed by.
    """
    found = Found()
    if not root.is_dir():
        _visit_file(root, root, ingesters, found)
        return found
    base = root.resolve()
    for path in _walk(root, root, ingesters, found, keep):
        if len(found.names) >= MAX_FILES:
            text = f"more than {MAX_FILES:,} files: the rest was not looked at"
            found.tables.append(_remark(root, root, "directory", text))
            break
        if path.is_symlink() and not _inside(path, base):
            found.tables.append(
                _remark(path, root, "link", "a link that leads out of the directory: not followed")
            )
            continue
        _visit_file(path, root, ingesters, found)
    return found


def _walk(
    folder: Path,
    root: Path,
    ingesters: Sequence[Ingester],
    found: Found,
    keep: Callable[[Path], bool],
) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=_promise)
    except OSError as error:
        found.tables.append(_remark(folder, root, "directory", f"cannot list: {error.strerror}"))
        return
    claimed = next((item for item in ingesters if item.claims(folder, b"")), None)
    if claimed is not None:
        found.names.append(relative(folder, root))
        found.tables.extend(_read(claimed, folder, root))
        return
    for entry in entries:
        path = Path(entry.path)
        if not keep(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED_FOLDERS:
                yield from _walk(path, root, ingesters, found, keep)
        elif not _leads_to_folder(entry):
            yield path


def _promise(entry: os.DirEntry[str]) -> tuple[bool, str]:
    """Sort what is named like a log to the front: the limit must not cut it off."""
    is_log = entry.name.endswith(LOG_ENDINGS) or "tfevents" in entry.name
    return not is_log, entry.name


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _inside(path: Path, base: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(base)
    except (OSError, RuntimeError):  # what it leads to is not there, or itself
        return False


def _visit_file(path: Path, root: Path, ingesters: Sequence[Ingester], found: Found) -> None:
    found.names.append(relative(path, root))
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            found.tables.append(
                _remark(path, root, "special", "a pipe, socket or device: not opened")
            )
            return
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        found.tables.append(
            _remark(path, root, "unreadable", f"cannot be read: {error.strerror}", lossy=True)
        )
        return
    if not head:
        if path.name.endswith(LOG_ENDINGS) or "tfevents" in path.name:
            found.tables.append(_remark(path, root, "empty", "empty file"))
        return
    if head.startswith(LFS_MARK):
        text = "a git-lfs pointer, not the file itself: run `git lfs pull`"
        found.tables.append(_remark(path, root, "git-lfs-pointer", text))
        return
    if OWN_MARK.search(head):
        text = "written by loganalyze: `loganalyze inspect` reads a report back"
        found.tables.append(_remark(path, root, "report", text))
        return
    claimed = next((item for item in ingesters if item.claims(path, head)), None)
    if claimed is not None:
        found.tables.extend(_read(claimed, path, root))


def _read(ingester: Ingester, path: Path, root: Path) -> Sequence[Table]:
    try:
        return ingester.read(path, root)
    except Exception as error:  # noqa: BLE001 - a broken file must not hide the others
        text = f"{type(error).__name__}: {error}"
        return [_remark(path, root, ingester.name, text, lossy=True)]


def _remark(path: Path, root: Path, kind: str, text: str, *, lossy: bool = False) -> Table:
    source = relative(path, root)
    folder = relative(path.parent, root) if path != root else "."
    return Table(source=source, format=kind, run=folder, problems=(Problem(text, lossy=lossy),))
