"""Runs in an object store: a listing tells what changed, and only what can be a log is fetched.

Any file system that fsspec knows (``s3://``, ``gs://``, ``memory://``, ...). Credentials and the endpoint
come from its own configuration and the environment, as its client takes them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.errors import MissingExtra, NothingReadable
from loganalyze.fleet.kinds import TFEVENTS, WANDB, strong
from loganalyze.fleet.listing import Entry, Folder, tree_of
from loganalyze.fleet.unit import Unit
from loganalyze.ingest.ingester import HEAD_BYTES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

MOST_BYTES = 4_000_000_000  # of one run that are copied; a checkpoint is no log and is not fetched
CERTAIN = frozenset({"hf-trainer-state", TFEVENTS, WANDB})  # kinds that a name alone tells
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "generation")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
_ARTIFACTS = ("/artifacts/", "/media/")  # what MLflow and W&B keep beside numbers


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL and the path in it.

    Raises
    ------
    MissingExtra
        If fsspec, or the client for this kind of URL, is not installed.
    NothingReadable
        If fsspec knows no such kind.
    """
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingExtra(f"{url} needs the extra `fleet`: {error}") from None
    except ValueError as error:
        raise NothingReadable(f"{url}: {error}") from None
    return system, str(path)


def remote_tree(url: str) -> Folder:
    """List what is below a URL.

    Raises
    ------
    NothingReadable
        If the store cannot be reached, refuses, or has nothing there.
    """
    system, base = file_system(url)
    try:
        found = system.find(base, detail=True)
    except Exception as error:  # noqa: BLE001 - a foreign store behind a foreign client
        raise NothingReadable(f"cannot list {url}: {type(error).__name__}: {error}") from None
    start = len(base.rstrip("/")) + 1
    return tree_of(_entry(path[start:], info) for path, info in found.items() if path[start:])


def _entry(path: str, info: dict[str, Any]) -> Entry:
    size = int(info.get("size") or 0)
    changed = _first(info, _TIMES)
    when = changed.timestamp() if hasattr(changed, "timestamp") else 0.0
    if isinstance(changed, (int, float)):
        when = float(changed)
    return Entry(path, size, f"{size}-{_first(info, _TAGS) or changed}", when)


def _first(info: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((info[name] for name in names if info.get(name)), None)


@contextmanager
def fetched(unit: Unit) -> Iterator[tuple[Path, int]]:
    """Copy what may be a log of a unit into a temporary folder, which is gone afterwards.

    Yields
    ------
    The folder, and the number of requests that were made.
    """
    system, base = file_system(unit.root)
    with tempfile.TemporaryDirectory(prefix="loganalyze-") as folder:
        root = Path(folder) / (unit.name.rpartition("/")[2] or "run")
        below = unit.address.removeprefix(unit.root).strip("/")
        requests = left = 0
        budget = MOST_BYTES
        for file in unit.files:
            target = _inside(root, file.path.removeprefix(below).lstrip("/") or file.name)
            if target is None or any(part in f"/{file.path}" for part in _ARTIFACTS):
                continue
            if file.size > budget:
                left += 1
                continue
            made, copied = _fetch(system, f"{base.rstrip('/')}/{file.path}", file, target)
            requests += made
            budget -= copied
        if left and not requests:
            raise NothingReadable(f"more than {MOST_BYTES / 1e9:,.0f} GB: not fetched")
        root.mkdir(exist_ok=True)
        yield root, requests


def _inside(root: Path, path: str) -> Path | None:
    """Return where a file is copied to; None for a name that leads out of the folder."""
    parts = path.split("/")
    return None if {"", ".", ".."} & set(parts) else root.joinpath(*parts)


def _fetch(system: AbstractFileSystem, path: str, file: Entry, target: Path) -> tuple[int, int]:
    """Copy a file that an ingester claims by its head; give the requests made and the bytes copied."""
    from loganalyze.ingest import ingesters

    if not file.size:
        return 0, 0
    if _is_certain(file):
        target.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(path, str(target))
        return 1, file.size
    head = system.cat_file(path, start=0, end=min(HEAD_BYTES, file.size))
    if not any(ingester.claims(target, head) for ingester in ingesters()):
        return 1, 0
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.size <= HEAD_BYTES:
        target.write_bytes(head)
        return 1, file.size
    system.get_file(path, str(target))
    return 2, file.size


def _is_certain(file: Entry) -> bool:
    """Tell whether a file is read whatever its head holds: by its name, or because of its folder."""
    parts = file.path.split("/")
    return (
        strong(file.name) in CERTAIN
        or file.name == "meta.yaml"
        or bool({"metrics", "params", "tags", "files"} & set(parts[-4:-1]))
    )
