"""Files that a command writes: whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from loganalyze.errors import UsageError
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label

HEAD = 2048  # bytes in which a file of ours carries its mark


@dataclass(frozen=True, slots=True)
class Output:
    """A file to write.

    Attributes
    ----------
    is_ours
        Tells from the first bytes of a file that is there already whether this tool wrote it.
    """

    path: str
    content: bytes
    is_ours: Callable[[bytes], bool]


def write(
    outputs: Sequence[Output], *, force: bool, run: str | tuple[str, ...], lang: str = ENGLISH
) -> None:
    """Write results and say so on stderr; if one of them must not be written, write none.

    `force` allows to overwrite a file that this tool did not write, and to add one to the run's own
    directory. What was read from is never overwritten. `run` is where that was, or several such places.

    Raises
    ------
    UsageError
        If a file must not, or cannot, be written.
    """
    for output in outputs:
        for path in (run,) if isinstance(run, str) else run:
            _guard(output, force=force, root=_root(path))
    for output in outputs:
        try:
            _replace(Path(output.path), output.content)
        except OSError as error:
            raise UsageError(f"cannot write {output.path}: {error.strerror or error}") from None
        click.echo(label(f"Wrote {output.path} ({size(len(output.content))})", lang), err=True)


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1000:,.0f} kB" if count >= 1000 else f"{count} bytes"


def _root(run: str) -> Path | None:
    """Return the file or the folder that a run is read from, where it is one."""
    from loganalyze.ingest.mlflow_uri import parse_address

    address = parse_address(run)
    path = Path(run) if address is None else address.local
    return None if path is None or run == "-" else path.resolve()


def _guard(output: Output, *, force: bool, root: Path | None) -> None:
    target = Path(output.path)
    if target.is_dir():
        raise UsageError(f"{target} is a directory; give a file name with -o")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} is no ordinary file; give another name with -o")
    foreign = target.exists() and not _is_ours(target, output)
    inside = root is not None and target.resolve().is_relative_to(root)
    if inside and foreign:
        raise UsageError(f"{target} is part of the run, which is never changed")
    if inside and not force:
        raise UsageError(
            f"{target} lies inside the run directory, which is never written to; "
            "choose another place with -o, or insist with --force"
        )
    if foreign and not force:
        raise UsageError(
            f"{target} exists and was not written by loganalyze; "
            "choose another name with -o, or overwrite it with --force"
        )


def _is_ours(target: Path, output: Output) -> bool:
    try:
        with target.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return not head or output.is_ours(head)


def _replace(target: Path, content: bytes) -> None:
    """Write beside the target, then put it in its place."""
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name[:100]}.", delete=False
    ) as partial:
        path = Path(partial.name)
        try:
            partial.write(content)
            partial.close()
            path.chmod(0o666 & ~_umask())
            path.replace(target)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
