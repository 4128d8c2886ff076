"""The fingerprint of what a unit holds: the same for the same bytes, wherever they lie."""

from __future__ import annotations

import hashlib
from os.path import commonpath
from pathlib import Path

from loganalyze.fleet.unit import Place, Unit, stamp_of

WHOLE = 4_000_000  # bytes of a file up to which all of it counts
PIECE = 65_536  # bytes of each piece of a larger one
PIECES = 64  # pieces, evenly over it, first and last included


def content_key(unit: Unit) -> str:
    """Return the fingerprint of a unit's content.

    Files of this machine are read: whole up to `WHOLE` bytes, of larger ones `PIECES` pieces. Objects and
    runs of a tracking server are known by what their store says of them.
    """
    if unit.place is Place.LOCAL:
        start = len(_base(unit))
        return stamp_of(
            f"{file.path[start:]} {file.size} {_digest(Path(unit.root) / file.path, file.size)}"
            for file in unit.files
        )
    if unit.place is Place.REMOTE:
        start = len(_base(unit))
        return stamp_of(f"{file.path[start:]} {file.size} {file.stamp}" for file in unit.files)
    return stamp_of((unit.place.value, unit.name.rpartition("#")[2], unit.stamp))


def _base(unit: Unit) -> str:
    """Return the folder that all files of a unit are in, relative to the root."""
    return commonpath([f"{file.path.rpartition('/')[0]}/" for file in unit.files])


def _digest(path: Path, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            if size <= WHOLE:
                digest.update(file.read())
            else:
                for number in range(PIECES):
                    file.seek((size - PIECE) * number // (PIECES - 1))
                    digest.update(file.read(PIECE))
    except OSError as error:
        return f"unreadable {error.errno}"
    return digest.hexdigest()
