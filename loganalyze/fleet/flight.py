"""Flight recorder dumps of PyTorch: which collective each rank was in. Pickles are never loaded.

A pickled dump is walked by its opcodes (`loganalyze.ingest.pickle_values`): nothing in it is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loganalyze.ingest.pickle_values import values

LARGEST = 64_000_000  # bytes of a dump; the recorder keeps 2,000 entries by default
MOST_INSTRUCTIONS = 5_000_000  # an entry with its frames takes some hundred
MOST_ITEMS = 5_000_000
_NAME = re.compile(
    r"(?:nccl_trace|flight|fr_trace|fr_dump|comm_lib_trace)\w*?_?(?:rank_?)?(\d{1,6})(?:\.json|\.pkl)?$"
)


@dataclass(frozen=True, slots=True)
class Flight:
    """Where one rank stood in one process group.

    Attributes
    ----------
    done
        Sequence number of the last collective that it completed.
    pending
        The first collective after that which it had begun or queued, or empty.
    """

    rank: int
    group: str
    done: int
    pending: str
    path: str


def dump_rank(name: str) -> int | None:
    """Return the rank that a dump is of by its name; None for any other file."""
    found = _NAME.search(name)
    return int(found[1]) if found else None


def read_dump(path: Path, rank: int, shown: str) -> list[Flight]:
    """Read where a rank stood in each of its process groups; empty for a damaged dump."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            return []
        return list(_flights(_loaded(data), rank, shown))
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return []


def _loaded(data: bytes) -> Any:
    if data.lstrip()[:1] in (b"{", b"["):
        import orjson

        return orjson.loads(data)
    return next(values(data, MOST_INSTRUCTIONS, MOST_ITEMS))


def _flights(dump: Any, rank: int, shown: str) -> Iterable[Flight]:
    entries = dump.get("entries") if isinstance(dump, Mapping) else None
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("collective_seq_id"), int):
            groups.setdefault(_group(entry), []).append(entry)
    for group, found in groups.items():
        found.sort(key=lambda entry: entry["collective_seq_id"])
        completed = [e["collective_seq_id"] for e in found if e.get("state") == "completed"]
        done = max(completed, default=0)
        pending = next((e for e in found if e["collective_seq_id"] > done), None)
        yield Flight(rank, group, done, _told(pending) if pending else "", shown)


def _group(entry: Mapping[str, Any]) -> str:
    group = entry.get("process_group")
    parts = group if isinstance(group, (list, tuple)) else [entry.get("pg_id", 0)]
    return " ".join(str(part) for part in parts)[:80]


def _told(entry: Mapping[str, Any]) -> str:
    name = str(entry.get("profiling_name", "?")).removeprefix("nccl:")[:60]
    return (
        f"{name} number {entry['collective_seq_id']:,} of {str(entry.get('input_sizes', '?'))[:60]}"
    )
