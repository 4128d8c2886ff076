"""Which files are one run's, by their names alone: the tree of a root, parted into units of work.

The rules are those by which `loganalyze.ingest.group` sorts tables: a folder joins the one above it if it
adds a format, unless others beside it hold the same one. What a unit holds is settled when it is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from loganalyze.fleet.kinds import TEXT, claimed, is_holder, is_part, strong, weak
from loganalyze.fleet.listing import Entry, Folder
from loganalyze.ingest.ranks import members

MOST_LOGS = 64  # logs of other jobs in one folder that may be restarts of one run


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are read together.

    Attributes
    ----------
    path
        The folder, relative to the root; or the file, if it is read alone.
    kinds
        Formats that the names promise; empty where none of them is a log for certain.
    """

    path: str
    kinds: frozenset[str]
    files: tuple[Entry, ...]
    name: str = ""

    @property
    def shown(self) -> str:
        """What tells it from all other groups: its path, or that of its first file."""
        return self.name or self.path


def groups(folder: Folder) -> list[Group]:
    """Part what is below a folder into groups of files that are one run, or cannot be told apart."""
    kind = claimed(folder)
    if kind is not None:
        return [Group(folder.path, frozenset({kind}), tuple(folder.all_files()))]
    own = list(folder.files)
    below: list[Group] = []
    for item in folder.folders:
        if is_part(item):
            own += item.all_files()
        else:
            below += groups(item)
    kinds = frozenset(kind for file in own if (kind := strong(file.name)) is not None)
    sure = [group for group in below if group.kinds]
    joined = _joined(kinds, sure, folder)
    if not kinds and not joined:
        return [*_unsure(folder, own), *below]
    rest = [group for group in sure if group not in joined]
    files = [*own, *(file for group in joined for file in group.files)]
    files += [file for group in below if not group.kinds for file in group.files]
    whole = Group(folder.path, kinds.union(*(group.kinds for group in joined)), tuple(files))
    return [*_split_logs(whole), *rest]


def _joined(kinds: frozenset[str], below: Sequence[Group], folder: Folder) -> list[Group]:
    """Return the groups that add a format to this folder, which no other of them has."""
    counts: dict[str, int] = defaultdict(int)
    for group in below:
        for kind in group.kinds:
            counts[kind] += 1
    alone = [group for group in below if all(counts[kind] == 1 for kind in group.kinds)]
    if kinds:
        return [group for group in alone if kinds.isdisjoint(group.kinds)]
    # logs/train.log beside tb/events...: one run in two folders, if they are named like it.
    start = len(folder.path) + 1 if folder.path else 0
    named = sum(is_holder(group.path[start:]) for group in alone)
    needed = max(len(alone) - 1, 1)
    return alone if len(below) == len(alone) and named >= needed else []


def _unsure(folder: Folder, own: Sequence[Entry]) -> list[Group]:
    """Return what may be a log in a folder without one that is named so."""
    files = tuple(file for file in own if file.size)
    return [Group(folder.path, frozenset(), files)] if any(weak(f.name) for f in files) else []


def _split_logs(group: Group) -> list[Group]:
    """Part a folder of many logs of text, which are as many runs, by the jobs that wrote them."""
    if group.kinds != {TEXT}:
        return [group]
    logs = [file for file in group.files if strong(file.name) == TEXT]
    known = members(file.path for file in logs)
    jobs: dict[str, list[Entry]] = defaultdict(list)
    for file in logs:
        jobs[known[file.path].job].append(file)
    if len(jobs) <= MOST_LOGS:
        return [group]
    return [
        Group(
            files[0].path if len(files) == 1 else group.path,
            group.kinds,
            tuple(files),
            files[0].path,
        )
        for files in jobs.values()
    ]
