"""Runs on an MLflow tracking server: ``mlflow:http://host:5000#RUN_ID``.

This is the one reader that talks to a network: to the address that the user gave, through
MLflow's own client, with the credentials that MLflow itself takes from its environment
(``MLFLOW_TRACKING_USERNAME``, ``MLFLOW_TRACKING_TOKEN``, ...). Reading writes nothing to the server;
`loganalyze.report.attach` does, when it is asked to.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loganalyze.errors import LogAnalyzeError, NothingReadable, UsageError
from loganalyze.frame import metrics_frame
from loganalyze.ingest.ingester import Facts, Table
from loganalyze.ingest.mlflow_run import (
    COUNTED,
    MAX_TAG,
    NO_SETTINGS,
    STATUS,
    count_steps,
    seconds,
    segments,
)
from loganalyze.ingest.mlflow_sqlite import DOUBLE_LIMIT
from loganalyze.ingest.mlflow_uri import Address
from loganalyze.ingest.text_config import scalar
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Problem, Run

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.entities import Run as Logged
    from numpy.typing import NDArray

FORMAT = "mlflow-server"
MAX_RUNS = 50  # newest runs that are listed; a server holds the work of years
MAX_EXPERIMENTS = 1_000  # what the server allows to be searched at once
PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
# For the time of a call, where the user's environment does not say otherwise: MLflow's defaults
# (120 s, 7 attempts) would keep a mistyped address waiting for minutes, and a redirection or
# telemetry would ask others than the server that was named.
_CALM = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # it refuses its own old kind of store otherwise
}
_DENIED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"})
_TIMEOUTS = frozenset({"ReadTimeout", "ReadTimeoutError", "ConnectTimeout", "ConnectTimeoutError"})
_CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


def load_run(address: Address, name: str | None) -> Run:
    """Read one run: the one called `name`, else the one addressed, else the newest.

    Raises
    ------
    NothingReadable
        If the server cannot be reached, refuses, or has no such run.
    UsageError
        If no run there is called `name`.
    """
    with client(address) as server:
        found, problems = _find(server, address)
        return _read(server, address, found, _choose(found, name, address), problems)


def load_runs(address: Address) -> list[Run]:
    """Read all runs with metrics that `load_run` would list, in its order.

    Raises
    ------
    NothingReadable
        If the server cannot be reached, refuses, or has no such run.
    """
    with client(address) as server:
        found, problems = _find(server, address)
        _choose(found, None, address)
        names = [name for name, run in found.items() if run.data.metrics]
        return [_read(server, address, found, name, problems) for name in names]


def _choose(found: Mapping[str, Logged], name: str | None, address: Address) -> str:
    """Return the name of the run to read: `name`, the one addressed, or the newest with metrics."""
    if name is not None and name not in found:
        raise UsageError(f"no run is called {name!r}; there are: {', '.join(found)}")
    first = next(iter(found))
    chosen = name or next((key for key, run in found.items() if run.data.metrics), first)
    if address.run_id and name is None:
        chosen = first
    if not found[chosen].data.metrics:
        nested = ", ".join(other for other in found if other != chosen)
        hint = f"; there are also: {nested} (--run NAME)" if nested else ""
        raise NothingReadable(f"the run {chosen} in {address.shown_uri} holds no metric{hint}")
    return chosen


@contextmanager
def client(address: Address) -> Iterator[MlflowClient]:
    """Give a client that fails soon, with errors that say what to do."""
    before = dict(os.environ)
    os.environ.update({key: value for key, value in _CALM.items() if key not in before})
    try:
        with warnings.catch_warnings():
            # MLflow's dependencies deprecate parts of each other while they are imported.
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient
        yield MlflowClient(tracking_uri=address.uri)
    except LogAnalyzeError:
        raise
    except Exception as error:  # noqa: BLE001 - a foreign server behind a foreign client
        # Not chained: MLflow's messages hold the address with its password.
        raise NothingReadable(_explain(error, address)) from None
    finally:
        for key in _CALM.keys() - before.keys():
            os.environ.pop(key, None)


def _explain(error: Exception, address: Address) -> str:
    """Word an error of MLflow's client in one line."""
    code = str(getattr(error, "error_code", ""))
    causes = {type(cause).__name__ for cause in _chain(error)}
    if address.run_id and code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return (
            f"no run {address.run_id} in {address.shown_uri}: without #RUN_ID its newest are listed"
        )
    if address.local is not None:
        told = str(error).splitlines() or [type(error).__name__]
        return f"MLflow cannot use {address.shown_uri}: {told[0][:200]}"
    if code in _DENIED:
        return f"{address.shown_uri} refuses: set {_CREDENTIALS} in the environment"
    if causes & _TIMEOUTS:
        return (
            f"{address.shown_uri} does not answer in time: is it the right address? "
            "MLFLOW_HTTP_REQUEST_TIMEOUT sets the seconds to wait"
        )
    if "ConnectionError" in causes:
        return f"cannot reach {address.shown_uri}: is the tracking server running, at this address?"
    return (
        f"{address.shown_uri} does not answer as an MLflow tracking server ({type(error).__name__})"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _find(client: MlflowClient, address: Address) -> tuple[dict[str, Logged], list[Problem]]:
    """Return runs by unique names: the addressed one and its children, or the newest of all."""
    if address.run_id:
        run = client.get_run(address.run_id)
        query = f"tags.`{PARENT}` = '{run.info.run_id}'"
        listed = _search(client, [run.info.experiment_id], query)
        return _named([run, *listed]), _bound(listed, "of its nested runs")
    experiments = [
        found.experiment_id for found in client.search_experiments(max_results=MAX_EXPERIMENTS)
    ]
    listed = _search(client, experiments, "")
    if not listed:
        raise NothingReadable(f"{address.shown_uri} holds no run")
    return _named(listed), _bound(listed, "runs")


def _search(client: MlflowClient, experiments: list[str], query: str) -> Any:
    return client.search_runs(
        experiments, query, max_results=MAX_RUNS, order_by=["attributes.start_time DESC"]
    )


def _bound(listed: Any, what: str) -> list[Problem]:
    if not listed.token:
        return []
    return [Problem(f"only the newest {MAX_RUNS} {what} are listed", lossy=False)]


def _named(runs: Sequence[Logged]) -> dict[str, Logged]:
    """Give each run a name of its own; a nested one stands under its parent's."""
    known = {run.info.run_id: run for run in runs}
    named: dict[str, Logged] = {}
    for identifier, run in known.items():
        parent = known.get(run.data.tags.get(PARENT, ""))
        name = _name(run) if parent is None else f"{_name(parent)}/{_name(run)}"
        named[f"{name}#{identifier}" if name in named else name] = run
    return named


def _name(run: Logged) -> str:
    return str(run.data.tags.get(RUN_NAME) or run.info.run_name or run.info.run_id)


def _read(
    client: MlflowClient,
    address: Address,
    found: Mapping[str, Logged],
    name: str,
    problems: Sequence[Problem],
) -> Run:
    from loganalyze.ingest.merge import merge

    table = _table(client, address, found[name], problems)
    others = tuple(other for other in found if other != name)
    return replace(merge(name, [table], address.shown), others=others)


def _table(
    client: MlflowClient, address: Address, run: Logged, problems: Sequence[Problem]
) -> Table:
    source = f"{address.shown_uri}#{run.info.run_id}"
    told = list(problems)
    config = {
        key: ConfigValue(scalar(value), f"{source}: params")
        for key, value in run.data.params.items()
    }
    for key, value in run.data.tags.items():
        if key != RUN_NAME and len(value) <= MAX_TAG and not key.startswith(NO_SETTINGS):
            config[f"tags.{key}"] = ConfigValue(value, f"{source}: tags")
    return Table(
        source=source,
        format=FORMAT,
        run=f"mlflow:{run.info.run_id}",
        metrics=_metrics(client, run, source, told),
        config=config,
        problems=tuple(told),
        facts=Facts(
            status=STATUS.get(str(run.info.status)),
            started=seconds(run.info.start_time),
            ended=seconds(run.info.end_time),
            name=_name(run),
        ),
    )


def _metrics(
    client: MlflowClient, run: Logged, source: str, problems: list[Problem]
) -> pd.DataFrame:
    """Return the whole history of every metric, page by page; ``row`` counts within a metric."""
    import numpy as np

    names = sorted(run.data.metrics)
    parts = []
    for name in names:
        part, counted = _history(client.get_metric_history(run.info.run_id, name))
        parts.append(part)
        if counted:
            problems.append(Problem(f"{name}: {COUNTED}", lossy=False))
    if not parts:
        return metrics_frame({})
    counts = [len(part["step"]) for part in parts]
    metric = np.array([canonical(name) for name in names], dtype=object)
    return metrics_frame(
        {
            **{column: np.concatenate([part[column] for part in parts]) for column in parts[0]},
            "metric": np.repeat(metric, counts),
            "name": np.repeat(np.array(names, dtype=object), counts),
            "source": np.full(sum(counts), source, dtype=object),
        }
    )


def _history(points: Sequence[Metric]) -> tuple[dict[str, NDArray[Any]], bool]:
    """Lay out one metric in the order of logging."""
    import numpy as np

    time = np.array([point.timestamp for point in points], np.float64) / 1000.0
    step = np.array([point.step for point in points], np.int64)
    value = np.array([point.value for point in points], np.float64)
    value[value >= DOUBLE_LIMIT] = np.inf
    value[value <= -DOUBLE_LIMIT] = -np.inf
    order = np.lexsort((step, time))
    time, step, value = time[order], step[order], value[order]
    step, counted = count_steps(step, time)
    row = np.arange(1, len(step) + 1)
    return {
        "step": step,
        "time": time,
        "value": value,
        "row": row,
        "segment": segments(step),
    }, counted
