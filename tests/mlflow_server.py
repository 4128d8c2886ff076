"""A tracking server on loopback with runs, for the tests that read from it and attach to it."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import loganalyze as la
from loganalyze.run import Run

TIME = 1_700_000_000_000  # milliseconds
SPECIAL = {7: math.nan, 8: math.inf, 9: -math.inf}
LONG = 10_000
STARTING = 90  # seconds that a server may take to start on a busy machine
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Server:
    """A tracking server with runs, and the database behind it."""

    def __init__(self, uri: str, database: Path) -> None:
        self.uri, self.database = uri, database
        self.ids: dict[str, str] = {}

    def load(self, name: str) -> Run:
        return la.load(f"mlflow:{self.uri}#{self.ids[name]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    found = Server(f"http://127.0.0.1:{free_port()}", folder / "mlflow.db")
    fill(found, folder)
    command = [
        sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1",
        "--port", found.uri.rpartition(":")[2], "--backend-store-uri", f"sqlite:///{found.database}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **QUIET}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(found.uri, process)
            yield found
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # the group that was started for it
            process.wait(timeout=30)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(uri: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + STARTING
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail("the tracking server did not start")


def fill(server: Server, folder: Path) -> None:
    """Write the runs straight into the database, before the server opens it."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for key, value in QUIET.items():
            patch.setenv(key, value)
        warnings.simplefilter("ignore")  # MLflow's own imports
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        client = MlflowClient(tracking_uri=f"sqlite:///{server.database}")
        experiment = client.create_experiment(
            "sample", artifact_location="mlflow-artifacts:/sample"
        )

        def write(name: str, metrics: dict[str, list[Any]], parent: str = "", **more: Any) -> None:
            tags = {"mlflow.parentRunId": server.ids[parent]} if parent else {}
            run = client.create_run(
                experiment, run_name=name, start_time=TIME + len(server.ids), tags=tags
            )
            server.ids[name] = run.info.run_id
            points = [Metric(key, value, TIME + at, step) for key, values in metrics.items() for at, (step, value) in enumerate(values)]  # fmt: skip
            for first in range(0, len(points), 1_000):
                client.log_batch(run.info.run_id, metrics=points[first : first + 1_000])
            client.log_batch(
                run.info.run_id,
                params=[Param(key, str(value)) for key, value in more.get("params", {}).items()],
                tags=[RunTag("team", "vision")],
            )
            client.set_terminated(run.info.run_id, more.get("status", "FINISHED"), end_time=TIME + 9_000)  # fmt: skip

        losses = [(step, SPECIAL.get(step, 5.0 / step)) for step in range(1, LONG + 1)]
        restarted = [(1, 9.0), (2, 8.0), (3, 7.0), (2, 5.0), (3, 4.0)]
        write("long", {"train/loss": losses, "eval_loss": losses[::1000]}, params={"lr": 1e-5})
        write("failed", {"loss": restarted, "acc": [(0, 0.5), (0, 0.6)]}, status="FAILED")
        write("search", {}, params={"trials": 2})
        write("trial-a", {"loss": [(1, 2.0)]}, "search", status="KILLED")
        write("trial-b", {"loss": [(1, 3.0)]}, "search")
        write("empty", {})
        client._tracking_client.store.engine.dispose()
