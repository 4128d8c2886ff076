"""A diagnosis attached to its run on MLflow: the report and the JSON as artifacts, the verdict as tags.

This is the one thing that writes to where a run is kept, and only when it is asked for by name
(``--log-to-mlflow``). It goes through MLflow's own client, with the credentials that MLflow takes from
its environment. Attached again, it takes the place of what was attached before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from loganalyze import __version__
from loganalyze.errors import NothingReadable, UsageError
from loganalyze.ingest.mlflow_run import OWN_TAGS
from loganalyze.ingest.mlflow_server import FORMAT, client
from loganalyze.ingest.mlflow_uri import Address, parse_address
from loganalyze.report.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loganalyze.finding import Diagnosis

FOLDER = "loganalyze"  # of the run's artifacts
REPORT, DOCUMENT = "postmortem.html", "diagnosis.json"
LONGEST_TAG = 500  # characters; the least that a tracking server takes
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def attachable(path: str) -> Address:
    """Return the address of a RUN that something can be attached to.

    Raises
    ------
    UsageError
        If RUN is no address of a run on MLflow, or one of a store on this machine without the run's id.
    """
    address = parse_address(path)
    if address is None:
        raise UsageError(
            f"--log-to-mlflow needs a run on MLflow, and {path} is read as files: name it as "
            "mlflow:URI#RUN_ID (http://, https://, file:///FOLDER/mlruns or sqlite:///FILE)"
        )
    if address.local is not None and address.run_id is None:
        raise UsageError(f"--log-to-mlflow needs the run's id: {address.shown}#RUN_ID")
    return address


def attach(diagnosis: Diagnosis, address: Address, page: str) -> str:
    """Attach the `page` and the JSON to the run that was diagnosed, and return the run's address.

    Raises
    ------
    UsageError
        If the run cannot be written to; the message says why.
    """
    run_id = _run_id(diagnosis, address)
    try:
        with client(address) as server:
            run = server.get_run(run_id)
            _check_place(str(run.info.artifact_uri), address)
            server.log_text(run_id, page, f"{FOLDER}/{REPORT}")
            server.log_text(run_id, diagnosis.to_json(), f"{FOLDER}/{DOCUMENT}")
            for name, value in tags(diagnosis).items():
                server.set_tag(run_id, name, value)
    except NothingReadable as error:
        raise UsageError(f"nothing was attached: {error}") from None
    return f"mlflow:{address.shown_uri}#{run_id}"


def tags(diagnosis: Diagnosis) -> Mapping[str, str]:
    """Return the verdict as tags of a run."""
    told = {
        "verdict": diagnosis.verdict.level.value,
        "headline": redact(diagnosis.verdict.headline),
        "findings": ", ".join(dict.fromkeys(finding.id for finding in diagnosis.findings)),
        "causes": ", ".join(f"{cause.id} {cause.probability:.0%}" for cause in diagnosis.causes),
        "version": __version__,
    }
    return {f"{OWN_TAGS}{name}": value[:LONGEST_TAG] for name, value in told.items()}


def _run_id(diagnosis: Diagnosis, address: Address) -> str:
    """Return the id of the run that was read: the one addressed, or the one that was picked."""
    read = [s.path.rpartition("#")[2] for s in diagnosis.run.sources if s.format == FORMAT]
    return read[0] if read else str(address.run_id)


def _check_place(artifacts: str, address: Address) -> None:
    """Refuse to write where the store has no business to send us.

    A folder named by a store on this machine must lie beside it; one named by a server is a folder of that
    server, unless it runs here.
    """
    parts = urlsplit(artifacts)
    if parts.scheme not in ("", "file"):
        if address.local is not None:
            raise UsageError(f"nothing was attached: the artifacts of the run are in {artifacts}")
        return
    if address.local is None:
        if urlsplit(address.uri).hostname not in _LOOPBACK:
            raise UsageError(
                "nothing was attached: the server keeps artifacts in a folder of its own, "
                f"{parts.path}, and does not serve them (mlflow server --serve-artifacts does)"
            )
        return
    _check_beside(type(address.local)(unquote(parts.path)), address.local)


def _check_beside(folder: Path, store: Path) -> None:
    home = store if store.is_dir() else store.parent
    if not folder.resolve().is_relative_to(home.resolve()):
        raise UsageError(f"nothing was attached: {folder} lies outside of the store {store}")
