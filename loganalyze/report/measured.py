"""The measured accuracy that the report's footer tells: what docs/accuracy.md says, read by scripts/docs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

FILE = "accuracy.json"
SETS = ("faults, held-out", "healthy, held-out")


@dataclass(frozen=True, slots=True)
class Measured:
    """Shares as text, with their counts: ``"90.2 % (230/255)"``."""

    recall: str
    precision: str
    cause_first: str
    healthy_warned: str


def measured() -> Measured:
    """Return the figures that ship with this version."""
    import orjson

    return Measured(
        **orjson.loads(resources.files("loganalyze.report").joinpath(FILE).read_bytes())
    )


def from_page(page: str) -> dict[str, str]:
    """Read the figures from the first table of docs/accuracy.md."""
    rows = {}
    names: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| set |"):
            names = cells
        elif names and cells[0] in SETS and len(cells) == len(names):
            rows[cells[0]] = dict(zip(names, cells, strict=True))
    faults, healthy = (rows[name] for name in SETS)
    figures = {
        "recall": faults["recall"],
        "precision": faults["precision"],
        "cause_first": faults["cause first"],
        "healthy_warned": healthy["healthy runs warned of"],
    }
    return {name: re.sub(r"\s+", " ", value) for name, value in figures.items()}
