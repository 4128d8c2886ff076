"""Addresses of MLflow runs: ``mlflow:URI#RUN_ID``.

``http`` and ``https`` name a tracking server. ``sqlite`` and ``file`` name a store on this machine,
which is read as any other file: read-only, where MLflow's own client would create and migrate it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from loganalyze.errors import UsageError
from loganalyze.ingest.ingester import Table

PREFIX = "mlflow:"
_RUN_ID = re.compile(r"[A-Za-z0-9][\w.-]*")
_SERVERS = ("http", "https")
_HELP = "mlflow:URI#RUN_ID takes http://, https://, sqlite:///FILE or file:///FOLDER"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a run is.

    Attributes
    ----------
    uri
        The address as MLflow takes it; it may hold a password, and is never shown.
    run_id
        The run's id, or None for the newest ones.
    local
        The file or folder of a store on this machine; None for a server.
    """

    uri: str
    run_id: str | None
    local: Path | None

    @property
    def shown_uri(self) -> str:
        """The address without user, password and what follows a question mark."""
        if self.local is not None:
            return self.uri
        parts = urlsplit(self.uri)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))

    @property
    def shown(self) -> str:
        """What the user typed, without user and password."""
        return f"{PREFIX}{self.shown_uri}" + (f"#{self.run_id}" if self.run_id else "")

    def wants(self, table: Table) -> bool:
        """Tell whether a table of the store belongs to the run that is meant."""
        return self.run_id is None or table.run == f"mlflow:{self.run_id}"


def parse_address(text: str) -> Address | None:
    """Read ``mlflow:URI#RUN_ID``; None for anything that does not begin so.

    Raises
    ------
    UsageError
        If it begins so, and the rest is no address that can be read.
    """
    if not text.startswith(PREFIX):
        return None
    uri, mark, run_id = text.removeprefix(PREFIX).partition("#")
    if mark and not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"what follows # must be a run's id; {_HELP}")
    scheme = uri.partition(":")[0].lower()
    if scheme in _SERVERS and _host(uri):
        return Address(uri, run_id or None, None)
    if scheme == "sqlite" and uri.startswith("sqlite:///"):
        return Address(uri, run_id or None, Path(uri.removeprefix("sqlite:///").partition("?")[0]))
    if scheme == "file" and urlsplit(uri).path:
        return Address(uri, run_id or None, Path(unquote(urlsplit(uri).path)))
    raise UsageError(f"an address of this kind is not read: {_HELP}")


def _host(uri: str) -> str | None:
    try:
        return urlsplit(uri).hostname
    except ValueError:
        return None
