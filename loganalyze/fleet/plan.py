"""How a scan is made, and what it took."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from loganalyze.fleet.rank_log import RanksDone
from loganalyze.fleet.work import Done
from loganalyze.settings import Settings


@dataclass(frozen=True)
class Plan:
    """How a scan is made.

    Attributes
    ----------
    index
        The file that remembers what was read; None to remember nothing.
    dask
        Address of a Dask scheduler; empty for processes of this machine.
    workers, memory
        Number of processes and the bytes that each may use; 0 for what the machine has.
    since
        UNIX seconds: runs that were not written to since then are left out.
    newest
        How many runs, the newest ones; 0 for all.
    reports
        Folder for the postmortems; empty for none.
    """

    settings: Settings = field(default_factory=Settings)
    index: Path | None = None
    dask: str = ""
    workers: int = 0
    memory: int = 0
    since: float = 0.0
    newest: int = 0
    reports: str = ""
    lang: str = "en"


@dataclass(frozen=True)
class Costs:
    """What a scan took.

    Attributes
    ----------
    units, known
        Units found, and those of them that were not read again.
    seconds
        Of the whole scan; ``finding`` of looking for units.
    cpu
        Processor seconds of the work, over all workers.
    read
        Bytes of the files of the units that were read.
    requests
        To object stores and servers, beside the listing.
    peak
        Most bytes of memory that one process of the work has used; 0 where the system does not say.
    """

    units: int = 0
    known: int = 0
    seconds: float = 0.0
    finding: float = 0.0
    cpu: float = 0.0
    read: int = 0
    requests: int = 0
    peak: int = 0

    def plus(self, done: Done | RanksDone) -> Costs:
        """Return these costs with those of one more task."""
        read, requests = (done.read, done.requests) if isinstance(done, Done) else (0, 0)
        return replace(
            self,
            cpu=self.cpu + done.cpu,
            read=self.read + read,
            requests=self.requests + requests,
            peak=max(self.peak, done.peak),
        )
