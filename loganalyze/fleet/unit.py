"""A unit of work: what is read together, where it is, and what tells that it has not changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from loganalyze.fleet.listing import Entry


class Place(StrEnum):
    """How a unit is reached."""

    LOCAL = "local"
    DATABASE = "database"  # one run of an MLflow database on this machine
    SERVER = "server"  # one run on an MLflow tracking server
    REMOTE = "remote"  # an object store


@dataclass(frozen=True, slots=True)
class Unit:
    """What one call of the work reads.

    Attributes
    ----------
    address
        What is opened: a path, an MLflow address, or the URL of a folder in an object store.
    name
        What is shown, unique in a scan.
    stamp
        The same as long as nothing in it has changed.
    modified
        UNIX seconds of its newest file.
    root
        The folder or URL that `files` are relative to.
    sure
        Whether a file is named like a log; where none is, finding nothing is no failure.
    ranks
        Logs of the ranks of one job, by path.
    """

    place: Place
    address: str
    name: str
    stamp: str
    modified: float
    root: str = ""
    files: tuple[Entry, ...] = ()
    sure: bool = True
    ranks: tuple[tuple[int, str], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def stamp_of(parts: Iterable[str]) -> str:
    """Return a short digest of texts, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    return digest.hexdigest()
