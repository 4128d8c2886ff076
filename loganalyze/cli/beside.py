"""What a probe found, where a report looks for it: the file that was named, or one beside the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loganalyze.errors import NothingReadable

if TYPE_CHECKING:
    from loganalyze.probed import Probed
    from loganalyze.run import Run

NAME = "probe.json"


def probed_of(path: str, run: Run, named: str | None) -> Probed | None:
    """Return the results in the named file, or in one beside the run that was made for it.

    Raises
    ------
    NothingReadable
        If the named file cannot be read. One that was found and cannot be read is left out, with a line.
    """
    from loganalyze.probe_file import read

    if named is not None:
        return read(Path(named))
    for candidate in _candidates(path, run):
        try:
            found = read(candidate)
        except NothingReadable as error:
            click.echo(f"loganalyze: not used: {error}", err=True)
            continue
        if _is_of(found, run):
            click.echo(f"With the results of {candidate}", err=True)
            return found
    return None


def _candidates(path: str, run: Run) -> list[Path]:
    """Return the files in the run's directory, and beside it, that may hold results; none behind a link."""
    root = Path(path)
    if not root.exists():  # an address, or standard input
        return []
    folders = [root, root.resolve().parent] if root.is_dir() else [root.resolve().parent]
    names = (NAME, f"{Path(run.name).name}-{NAME}")
    found = [folder / name for folder in folders for name in names]
    return [one for one in dict.fromkeys(found) if one.is_file() and not one.is_symlink()]


def _is_of(found: Probed, run: Run) -> bool:
    """Tell whether results were made for this run: by its path, or its name."""
    if not found.run_name:
        return False
    same_path = Path(found.run_path).resolve() == Path(run.path).resolve()
    return same_path or found.run_name == run.name
