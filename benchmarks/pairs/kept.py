"""The logs as they are kept, compressed, and as they are read."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

LOGS = Path(__file__).parent / "logs"
INDEX = Path(__file__).parent / "pairs.jsonl"
COMPRESSED_ABOVE = 4_000  # bytes


@dataclass(frozen=True)
class Pair:
    """Two runs by name.

    Attributes
    ----------
    split
        ``dev`` for pairs that were looked at while the test was made, ``held-out`` for the others.
    change
        Step before which the second run changes; 0 without.
    """

    kind: str
    split: str
    a: str
    b: str
    change: int = 0

    @property
    def identifier(self) -> str:
        return f"{self.kind}: {self.a} against {self.b}"


def kept_pairs() -> list[Pair]:
    """Return the pairs whose logs are kept."""
    return [Pair(**json.loads(line)) for line in INDEX.read_text("utf-8").splitlines()]


def relocate(folder: Path) -> None:
    """Replace this machine's folder of this package in tracebacks; `writers` does so for its own."""
    for path in folder.rglob("*.log"):
        here = str(Path(__file__).parent).encode()
        path.write_bytes(path.read_bytes().replace(here, b"/workspace/study"))


def compress(folder: Path) -> None:
    """Compress the larger files of a run."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > COMPRESSED_ABOVE:
            with gzip.GzipFile(f"{path}.gz", "wb", mtime=0) as packed:
                packed.write(path.read_bytes())
            path.unlink()


def unpack(name: str, target: Path) -> Path:
    """Write the log of a run, as its writer left it, below `target`."""
    folder = target / name
    for path in (LOGS / name).rglob("*"):
        if path.is_file():
            place = folder / path.relative_to(LOGS / name)
            place.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            packed = path.suffix == ".gz"
            place.with_suffix("" if packed else place.suffix).write_bytes(
                gzip.decompress(data) if packed else data
            )
    return folder
