"""What a shell completes: ids, settings, names of runs. Imported with the command, so it imports little."""

from __future__ import annotations

import os
from pathlib import Path

import click

# A press of TAB must not read for long: nothing is completed for runs larger than this.
MOST_BYTES = 20_000_000
MOST_FILES = 500


def finding_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the id of a check."""
    from loganalyze.detect import detectors

    return _beginning(incomplete, [detector.id for detector in detectors()])


def all_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the id of a finding or a cause."""
    from loganalyze.causes import hypotheses

    causes = _beginning(incomplete, [hypothesis.id for hypothesis in hypotheses()])
    return sorted({*finding_ids(ctx, param, incomplete), *causes})


def setting_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a threshold, up to its equals sign."""
    from loganalyze.detect import known_settings

    return _beginning(incomplete, [f"{name}=" for name in sorted(known_settings())])


def run_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a run below the path on the command line; never over a network."""
    from loganalyze.errors import LogAnalyzeError

    # While the value of an option is being typed, click leaves the arguments before it unread.
    path = ctx.params.get("path") or next(iter(ctx.args), None)
    if not path or not _is_small(Path(path)):
        return []
    from loganalyze.ingest import load_all

    try:
        return _beginning(incomplete, [run.name for run in load_all(path)])
    except LogAnalyzeError:
        return []


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _is_small(root: Path) -> bool:
    """Tell whether `root` is a directory of this machine that is read at once."""
    if not root.is_dir():
        return False
    files = size = 0
    for folder, _, names in os.walk(root):
        files += len(names)
        size += sum(_size(Path(folder, name)) for name in names[:MOST_FILES])
        if files > MOST_FILES or size > MOST_BYTES:
            return False
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
