"""Finding the runs below a root: a folder, an MLflow store or server, or a URL of an object store."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from loganalyze.errors import NothingReadable
from loganalyze.fleet.kinds import DATABASE, TEXT, strong
from loganalyze.fleet.listing import Entry, Folder, local_tree
from loganalyze.fleet.unit import Place, Unit, stamp_of
from loganalyze.fleet.units import Group, groups
from loganalyze.ingest.mlflow_sqlite import list_runs
from loganalyze.ingest.mlflow_uri import Address, parse_address
from loganalyze.ingest.ranks import members

if TYPE_CHECKING:
    from mlflow import MlflowClient

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.I)
PAGE = 1_000  # runs that a tracking server gives at once
FEWEST_RANKS = 2  # ranks of one job, from which on they are compared


def find(root: str) -> Iterator[Unit]:
    """Yield the units below a root, by the names, sizes and times of files alone.

    Raises
    ------
    NothingReadable
        If there is no such root, or it cannot be listed.
    """
    address = parse_address(root)
    if address is not None and address.local is None:
        yield from _on_server(address)
    elif address is not None:
        yield from _in_folder(Path(str(address.local)), address.run_id)
    elif root.startswith("file://"):
        yield from _in_folder(Path(unquote(urlsplit(root).path)))
    elif _URL.match(root):
        yield from _in_store(root.rstrip("/"))
    else:
        yield from _in_folder(Path(root))


def _in_folder(root: Path, run: str | None = None) -> Iterator[Unit]:
    if not root.exists():
        raise NothingReadable(f"{root} does not exist")
    if root.is_file():
        info = root.stat()
        entry = Entry(root.name, info.st_size, f"{info.st_size}-{info.st_mtime_ns}", info.st_mtime)
        base, tree = root.parent, Folder("", [entry])
    else:
        base, tree = root, local_tree(root)
    for group in groups(tree):
        databases = {}
        for file in group.files:
            if strong(file.name) == DATABASE and len(runs := list_runs(base / file.path)) > 1:
                databases[file.path] = runs
        for path, runs in databases.items():
            yield from _in_database(base, path, runs, run)
        rest = tuple(file for file in group.files if file.path not in databases)
        if any(strong(file.name) for file in rest) or not databases:
            single = len(tree.files) == 1 and root.is_file()
            yield _local(
                base, Group(rest[0].path if single else group.path, group.kinds, rest, group.name)
            )


def _local(base: Path, group: Group) -> Unit:
    address = base / group.path if group.path else base
    return Unit(
        Place.LOCAL,
        str(address),
        group.shown or base.resolve().name or "run",
        _stamp(group),
        _modified(group),
        root=str(base),
        files=group.files,
        sure=bool(group.kinds),
        ranks=rank_logs(group),
    )


def _stamp(group: Group) -> str:
    return stamp_of(f"{file.path} {file.stamp}" for file in group.files)


def _modified(group: Group) -> float:
    return max((file.modified for file in group.files), default=0.0)


def rank_logs(group: Group) -> tuple[tuple[int, str], ...]:
    """Return the logs of the ranks of one job, by rank: of the job that has the most."""
    logs = [file.path for file in group.files if strong(file.name) == TEXT]
    by_job: dict[str, list[tuple[int, str]]] = {}
    for path, member in members(logs).items():
        if member.rank is not None:
            by_job.setdefault(member.job, []).append((member.rank, path))
    largest = max(by_job.values(), key=len, default=[])
    return tuple(sorted(largest)) if len({rank for rank, _ in largest}) >= FEWEST_RANKS else ()


def _in_database(
    base: Path, path: str, runs: dict[str, tuple[str, float]], wanted: str | None
) -> Iterator[Unit]:
    for identifier, (stamp, when) in runs.items():
        if wanted in (None, identifier):
            yield Unit(
                Place.DATABASE,
                f"mlflow:sqlite:///{base / path}#{identifier}",
                f"{path}#{identifier}",
                stamp,
                when,
            )


def _in_store(url: str) -> Iterator[Unit]:
    from loganalyze.fleet.remote import remote_tree

    tree = remote_tree(url)
    found = groups(tree)
    if not found:
        raise NothingReadable(f"nothing in {url} is named like a log of a training")
    for group in found:
        yield Unit(
            Place.REMOTE,
            f"{url}/{group.path}" if group.path else url,
            group.shown or url.rpartition("/")[2],
            _stamp(group),
            _modified(group),
            root=url,
            files=group.files,
            sure=bool(group.kinds),
        )


def _on_server(address: Address) -> Iterator[Unit]:
    from loganalyze.ingest.mlflow_server import client

    with client(address) as server:
        if address.run_id:
            yield _served(server.get_run(address.run_id), address)
            return
        for run in _all_runs(server):
            if run.data.metrics:
                yield _served(run, address)


def _all_runs(server: MlflowClient) -> Iterator[Any]:
    experiments = [item.experiment_id for item in server.search_experiments()]
    token = None
    while experiments:
        page = server.search_runs(experiments, "", max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _served(run: Any, address: Address) -> Unit:
    info = run.info
    latest = sorted(f"{name} {value!r}" for name, value in run.data.metrics.items())
    times = sorted(
        f"{metric.key} {metric.step} {metric.timestamp}"
        for metric in getattr(run.data, "_metric_objs", ())
    )
    when = (info.end_time or info.start_time or 0) / 1000.0
    name = str(info.run_name or info.run_id)
    return Unit(
        Place.SERVER,
        f"mlflow:{address.uri}#{info.run_id}",
        f"{name}#{info.run_id[:8]}",
        stamp_of((str(info.status), str(info.end_time), *latest, *times)),
        when,
    )
